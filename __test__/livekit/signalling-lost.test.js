'use strict'

// Signalling that a server or a proxy before it ends, while sound arrives: the place in the room is resumed, and nobody hears it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, isBack, moderator, publish, publishings, speakOverWire, until } = require('../support/room')
const { Sent } = require('../support/rtp')
const { tone, windows } = require('../support/wav')

/** The status that opens a WebSocket. */
const SWITCHING = 101
/** How often harm is done again. */
const TIMES = 3
const BACK_MS = 20_000
const PLAY_MS = 60_000
/** How much of it the ear is to hear behind the harm. */
const HEARD_MS = 500

after(dispose) // or the ear keeps the process

/** Answers the next attempts with a status. */
function refuse(wire, status) {
  let left = TIMES
  wire.answers = ({ upgrade }) => (upgrade && left-- > 0 ? status : undefined)
}

/** Closes the next connections as soon as the server has said something over them. */
function closeAgain(wire) {
  const before = wire.attempts().length
  const closed = new Set()
  wire.onMessage = (_, direction) => {
    const nth = wire.attempts().length - before
    if (direction === 'up' || nth < 1 || nth > TIMES || closed.has(nth)) return
    closed.add(nth)
    setImmediate(() => wire.sayGoodbye())
  }
}

/** What is done to the signalling, and how the attempts that follow are answered. */
const HARMS = {
  'closed by the server': { harm: (wire) => wire.sayGoodbye(), answers: [SWITCHING] },
  'reset': { harm: (wire) => wire.reset(), answers: [SWITCHING] },
  ...Object.fromEntries([500, 502, 503].map((status) => [`reset and answered ${status} for a while`, {
    harm: (wire) => (refuse(wire, status), wire.reset()),
    answers: [...Array(TIMES).fill(status), SWITCHING]
  }])),
  'closed as soon as it is open, for a while': {
    harm: (wire) => (closeAgain(wire), wire.sayGoodbye()),
    answers: Array(TIMES + 1).fill(SWITCHING)
  }
}

for (const [what, { harm, answers }] of Object.entries(HARMS)) {
  test(`signalling ${what}: no gap is heard, and the place in the room is kept`, async (t) => {
    const { room, wire, session, told } = await speakOverWire(t, { publish: 'lazy' })
    const identity = `speaker-${t.name}`
    const service = moderator(room.server)
    const { sid } = await service.getParticipant(room.name, identity)
    const playing = session.playAudio({ audio: tone(440, PLAY_MS) })
    await until(() => windows(room.ear.heard.get('speaker'), 440).length >= 5, 'it is heard')

    const before = wire.attempts().length
    const sent = new Sent(wire)
    harm(wire)
    const isHere = () => wire.attempts().length === before + answers.length && isBack(told)
    await until(isHere, 'it is back', BACK_MS)
    const heard = fromNow(room.ear, 'speaker')
    await until(() => windows(heard(), 440).length >= HEARD_MS / 100, 'it is heard behind that')
    sent.assertWhole(session, HEARD_MS)
    await publish(session, room, { tts: 2 }) // what needs the signalling works again
    await session.stopAudio()
    assert.equal((await playing).outcome, 'stopped')

    assert.deepEqual(wire.attempts().slice(before).map(({ status }) => status), answers)
    assert.equal(publishings(room.ear, 'speaker'), 1, 'the track was published once')
    const present = (await service.listParticipants(room.name)).filter((one) => one.identity === identity)
    assert.deepEqual(present.map((participant) => participant.sid), [sid])
  })
}

test('what is played while the signalling of a silent session is lost is heard at once', async (t) => {
  const { room, wire, session, told } = await speakOverWire(t)
  // Longer than a server that hears sound is silent.
  await sleep(3000)
  const lost = once(session, 'reconnecting')
  wire.cut()
  await lost
  const heard = fromNow(room.ear, 'speaker')
  const played = await session.playAudio({ audio: tone(440, 1000) })
  assert.ok(!told.some(({ type }) => type === 'reconnected'), 'it waited for the signalling')
  assert.deepEqual([played.durationMs, played.unheardMs], [1000, undefined])
  await until(() => windows(heard(), 440).length >= 8, 'it is heard')
  const back = once(session, 'reconnected')
  wire.mend()
  await back
})
