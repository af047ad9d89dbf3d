'use strict'

// Tracks that a session unpublishes, and publishes again.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { RoomEvent, dispose } = require('@livekit/rtc-node')

const { fromNow, moderator, openRoom, publishings, speak, speakOverWire, types, until } = require('../support/room')
const { level, tone } = require('../support/wav')

const LIMIT = { timeout: 60_000 }
/** Long enough for a listener on a busy machine. */
const PATIENT = { subscribeTimeoutMs: 30_000 }

after(dispose) // otherwise the ear keeps the process alive

/** Returns the names of a session's tracks, as the server lists them. */
async function listed(t, room) {
  const { tracks } = await moderator(room.server).getParticipant(room.name, `speaker-${t.name}`)
  return tracks.map(({ name }) => name).sort()
}

/** Waits until a server lists these tracks of a session and no others, which takes a moment after they are published. */
async function lists(t, room, names) {
  await until(async () => (await listed(t, room)).join() === names.join(), `${names.join()} are listed`)
}

/** Asserts that a track is not in the room. */
async function isOut(t, room, name) {
  assert.ok(!(await listed(t, room)).includes(name), `${name} is listed`)
}

/** Records an ear's events about tracks. */
function watch({ room }) {
  const seen = []
  room.on(RoomEvent.TrackUnpublished, ({ name }) => seen.push(`unpublished ${name}`))
  room.on(RoomEvent.TrackUnsubscribed, (track, { name }) => seen.push(`unsubscribed ${name}`))
  return seen
}

/** Returns the duration of a tone of 440 Hz in ms, in steps of 10. */
function toneMs(samples) {
  let windows = 0
  for (let n = 0; n + 480 <= samples.length; n += 480) if (level(samples, n, n + 480, 440) > 0.15) windows++
  return windows * 10
}

test('a track is unpublished and published again', LIMIT, async (t) => {
  const room = await openRoom(t)
  const seen = watch(room.ear)
  const { session, told } = speak(t, room, PATIENT)
  await session.connect()
  const first = fromNow(room.ear, 'speaker')
  await session.playAudio({ audio: tone(440, 1000) })
  await session.unpublish(0)
  await isOut(t, room, 'speaker')
  await until(() => seen.length === 2, 'the ear sees it leave')
  assert.deepEqual(seen.toSorted(), ['unpublished speaker', 'unsubscribed speaker'])
  assert.ok(toneMs(first()) >= 950, `${toneMs(first())} ms are heard of what ended before`)

  const second = fromNow(room.ear, 'speaker')
  await session.playAudio({ audio: tone(440, 1000) })
  await until(() => toneMs(second()) >= 950, 'all of it is heard')
  assert.equal(publishings(room.ear, 'speaker'), 2)
  await lists(t, room, ['app_audio', 'speaker', 'tts'])
  assert.deepEqual(types(told), ['connected', 'started', 'completed', 'started', 'completed'])
})

test('unpublishing stops its playbacks with a fade', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room, { startWhen: 'published' })
  await session.connect()
  const beside = session.playAudio({ audio: tone(660, 60_000), trackId: 1, stopOther: false })
  const playing = session.playAudio({ audio: tone(440, 60_000), stopOther: false })
  const waiting = session.playAudio({ audio: tone(440, 1000), stopOther: false, overlap: 'queue' })
  await until(() => toneMs(room.ear.heard.get('speaker') ?? []) > 500, 'it is heard')
  const since = fromNow(room.ear, 'speaker')
  const left = once(room.ear.room, RoomEvent.TrackUnpublished)
  await session.unpublish(0)
  for (const { outcome, reason } of await Promise.all([playing, waiting])) {
    assert.deepEqual([outcome, reason], ['stopped', 'unpublished'])
  }
  await left
  const { durationMs } = await playing
  const heardMs = toneMs(room.ear.heard.get('speaker'))
  assert.ok(heardMs >= durationMs - 100, `${heardMs} of ${durationMs} ms are heard`)
  assert.ok(since().at(-1) === 0, 'it does not end in silence')
  assert.deepEqual(session.playbacks().map(({ trackId, state }) => [trackId, state]), [[1, 'playing']])
  await session.stopAudio()
  assert.equal((await beside).unheardMs, undefined)
  assert.ok(!told.some(({ type }) => type === 'unpublished'), 'it is told as if the server had done it')
})

test('a request right after it is heard whole', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, PATIENT)
  await session.connect()
  const loop = session.playAudio({ audio: tone(660, 60_000) })
  await once(session, 'started')
  const second = fromNow(room.ear, 'speaker')
  const out = session.unpublish(0)
  const again = session.unpublish(0)
  const { durationMs } = await session.playAudio({ audio: tone(440, 1000) })
  assert.equal(durationMs, 1000)
  await Promise.all([out, again])
  assert.equal((await loop).reason, 'unpublished')
  await until(() => toneMs(second()) >= 950, 'all of it is heard')
  assert.equal(publishings(room.ear, 'speaker'), 2)
})

test('unpublishing before or during the join', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await session.unpublish(1)
  const connected = session.connect()
  await session.unpublish(2)
  await connected
  await session.playAudio({ audio: tone(440, 200), trackId: 3 })
  await lists(t, room, ['speaker', 'track_3'])
  await session.playAudio({ audio: tone(440, 200), trackId: 2 })
  await lists(t, room, ['speaker', 'track_3', 'tts'])
  await session.unpublish(7)
})

test('a muted track returns muted', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { onMute: 'pause' })
  await session.connect()
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  const paused = once(session, 'paused')
  await session.setMuted({ trackId: 0, muted: true })
  await paused
  await session.unpublish(0)
  assert.equal((await playing).reason, 'unpublished')
  await isOut(t, room, 'speaker')
  const next = session.playAudio({ audio: tone(440, 200) })
  await lists(t, room, ['app_audio', 'speaker', 'tts'])
  const { tracks } = await moderator(room.server).getParticipant(room.name, `speaker-${t.name}`)
  assert.equal(tracks.find(({ name }) => name === 'speaker').muted, true)
  await session.setMuted({ trackId: 0, muted: false })
  assert.equal((await next).unheardMs, undefined)
})

test('an unpublished track stays out despite a grant', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const may = (canPublish) =>
    moderator(room.server).updateParticipant(room.name, `speaker-${t.name}`, { permission: { canPublish, canSubscribe: true } })
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  await may(false)
  await until(() => told.filter(({ type }) => type === 'unpublished').length === 3, 'all are out')
  await session.unpublish(0)
  assert.equal((await playing).reason, 'unpublished')
  await may(true)
  await until(() => told.filter(({ type }) => type === 'republished').length === 2, 'the others are back')
  await lists(t, room, ['app_audio', 'tts'])
  await session.playAudio({ audio: tone(440, 200) })
  await lists(t, room, ['app_audio', 'speaker', 'tts'])
})

test('unpublishing during lost signalling', LIMIT, async (t) => {
  const { room, wire, session } = await speakOverWire(t)
  await session.connect()
  const lost = once(session, 'reconnecting')
  wire.cut()
  await lost
  const out = session.unpublish(0)
  wire.mend()
  await out
  await isOut(t, room, 'speaker')
  const since = fromNow(room.ear, 'speaker')
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await until(() => toneMs(since()) >= 500, 'a new one is heard')
  await session.stopAudio()
  assert.equal((await playing).unheardMs, undefined)
})

test('an unpublished track stays out after a rejoin', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await session.connect()
  await session.unpublish(1)
  const [lost, back] = [once(session, 'reconnecting'), once(session, 'reconnected')]
  const restarted = room.server.restart()
  await lost
  await session.unpublish(2)
  await Promise.all([restarted, back])
  await session.playAudio({ audio: tone(440, 200), trackId: 3 })
  await lists(t, room, ['speaker', 'track_3'])
})

test('it settles when the session or room ends', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await session.connect()
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  const lost = session.unpublish(0)
  await moderator(room.server).removeParticipant(room.name, `speaker-${t.name}`)
  await lost
  assert.equal((await playing).reason, 'unpublished')
  await session.connect()
  const closed = session.unpublish(1)
  await Promise.all([session.close(), closed])
  await assert.rejects(session.unpublish(0), { code: 'ERR_CLOSED' })
})
