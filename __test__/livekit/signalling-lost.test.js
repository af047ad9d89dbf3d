'use strict'

// Signalling that a server or its proxy ends while sound flows: the session resumes, and no gap is heard.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, isBack, moderator, publish, publishings, speakOverWire, until } = require('../support/room')
const { Sent } = require('../support/rtp')
const { tone, windows } = require('../support/wav')

/** The status of an upgrade to a WebSocket. */
const SWITCHING = 101
/** The number of repetitions. */
const TIMES = 3
const BACK_MS = 20_000
const PLAY_MS = 60_000
/** The sound that the ear must hear after the fault. */
const HEARD_MS = 500

after(dispose) // otherwise the ear keeps the process alive

/** Answers the next attempts with a status. */
function refuse(wire, status) {
  let left = TIMES
  wire.answers = ({ upgrade }) => (upgrade && left-- > 0 ? status : undefined)
}

/** Closes the next connections after the server's first message. */
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

/** The faults, and the answers to the attempts that follow. */
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
  test(`signalling ${what}: no gap is heard, and the participant is kept`, async (t) => {
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
    await publish(session, room, { tts: 2 }) // signalling works again
    await session.stopAudio()
    assert.equal((await playing).outcome, 'stopped')

    assert.deepEqual(wire.attempts().slice(before).map(({ status }) => status), answers)
    assert.equal(publishings(room.ear, 'speaker'), 1, 'the track was published once')
    const present = (await service.listParticipants(room.name)).filter((one) => one.identity === identity)
    assert.deepEqual(present.map((participant) => participant.sid), [sid])
  })
}

test('plays at once during lost signalling', async (t) => {
  const { room, wire, session, told } = await speakOverWire(t)
  // Longer than the pause of a server that receives sound.
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
