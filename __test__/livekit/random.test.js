'use strict'

// Random faults and calls on a room: whatever happened, after all faults are repaired the session is back, every promise has settled, and
// the next playback is heard. SPEAKER_SESSION_SEEDS=4,5,6 tries others.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, moderator, openRoom, speak, until } = require('../support/room')
const { tone, windows } = require('../support/wav')
const { random } = require('../support/random')
const { Wire } = require('../support/wire')

const SEEDS = (process.env.SPEAKER_SESSION_SEEDS ?? '1,2').split(',').map(Number)
const STEPS = 100
/** The longest wait for the effect of a step: the server may be slow meanwhile. */
const STEP_MS = 500
const BACK_MS = 60_000
const IDENTITY = 'speaker'
const TRACKS = [0, 1, 2, 3, 4]

after(dispose) // otherwise the ear keeps the process alive

/** Returns the possible steps by name. */
function acts({ session, room, wire, playing, pick }) {
  const service = moderator(room.server)
  const track = () => pick(TRACKS)
  const awaited = (promise) => {
    const settle = () => playing.delete(promise)
    playing.add(promise)
    promise.then(settle, settle)
  }
  const may = (canPublish) => service.updateParticipant(room.name, IDENTITY, undefined, { canPublish, canSubscribe: true })
  return {
    play() {
      const overlap = pick(['mix', 'queue', 'replace'])
      awaited(session.playAudio({ audio: tone(440, pick([200, 2000])), trackId: track(), stopOther: false, overlap }))
    },
    unpublish: () => awaited(session.unpublish(track())),
    stop: () => session.stopAudio({ trackId: track() }),
    pause: () => session.pauseAudio({ trackId: track() }),
    resume: () => session.resumeAudio(),
    mute: () => session.setMuted({ trackId: track(), muted: pick([true, false]) }),
    connect: () => session.connect(),
    cutSignalling: () => wire.cut(),
    mendSignalling: () => wire.mend(),
    resetSignalling: () => wire.reset(),
    closeSignalling: () => wire.sayGoodbye(),
    refuseSignalling() {
      let left = pick([1, 2, 3])
      wire.answers = ({ upgrade }) => (upgrade && left-- > 0 ? pick([500, 503, 429]) : undefined)
    },
    cutSound: () => wire.media.cut(),
    mendSound: () => wire.media.mend(),
    loseSound() {
      wire.media.loss = pick([0, 0.1])
    },
    async moderate() {
      const { tracks } = await service.getParticipant(room.name, IDENTITY)
      if (tracks.length > 0) await service.mutePublishedTrack(room.name, IDENTITY, pick(tracks).sid, pick([true, false]))
    },
    revoke: () => may(false),
    grant: () => may(true)
  }
}

for (const seed of SEEDS) {
  test(`random faults and calls, seed ${seed}`, async (t) => {
    const next = random(seed)
    const pick = (list) => list[next(list.length)]
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    const { session, told } = speak(t, room, {
      url: wire.url,
      token: () => room.token(IDENTITY),
      publish: pick(['lazy', 'connect']),
      onMute: pick(['continue', 'pause']),
      onReconnect: pick(['pause', 'continue', 'drop'])
    })
    const playing = new Set()
    const can = acts({ session, room, wire, playing, pick })
    const done = []
    for (let n = 0; n < STEPS; n++) {
      const name = pick(Object.keys(can))
      done.push(name)
      // Requests that are refused while the room is lost do not matter here.
      await Promise.race([Promise.resolve().then(can[name]).catch(() => {}), sleep(STEP_MS)])
      await sleep(pick([0, 5, 50, 200, 600]))
    }
    t.diagnostic(done.join(' '))

    wire.answers = () => undefined
    wire.media.loss = 0
    wire.mend()
    wire.media.mend()
    await until(async () => {
      // A room that was lost for good is joined again by a request.
      if (['new', 'disconnected'].includes(session.connection)) await session.connect().catch(() => {})
      return session.connection === 'connected'
    }, 'the room is back', BACK_MS)
    await can.grant()
    for (const trackId of TRACKS) await session.setMuted({ trackId, muted: false })
    await session.resumeAudio()
    await session.stopAudio()
    await until(() => playing.size === 0, 'every promise has settled')

    const heard = fromNow(room.ear, 'track_4')
    await until(async () => {
      const { outcome, unheardMs } = await session.playAudio({ audio: tone(440, 500), trackId: 4 }).catch((error) => error)
      return outcome === 'completed' && unheardMs === undefined
    }, 'what is played is sent', BACK_MS)
    await until(() => windows(heard(), 440).length >= 3, 'it is heard')
    const ends = told.filter(({ type }) => ['completed', 'stopped', 'failed'].includes(type)).map(({ playback, requestId }) => playback ?? requestId)
    assert.equal(new Set(ends).size, ends.length, 'a playback ended twice')
    await session.close()
    assert.equal(session.connection, 'closed')
  })
}
