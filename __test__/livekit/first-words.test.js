'use strict'

// A track's first playback waits for its listeners, and for nobody else.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { openEmptyRoom, openRoom, speak, until } = require('../support/room')
const { level, tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

/** Each 10 ms contain whole periods of the tone. */
const HZ = 500
const WINDOW = 480
const PLAYED_MS = 600
/** The part that an ear's buffer may drop on a busy machine. Without waiting, the median loss was 180 ms. */
const TOLERANCE_MS = 100
/** Longer than the test's own limit: waiting for it fails the test. */
const FOR_EVER_MS = 3_600_000
const LIMIT = { timeout: 60_000 }

/** Returns the duration of the tone in samples at 48 kHz, in ms. */
function heardMs(samples) {
  let windows = 0
  for (let at = 0; at + WINDOW <= samples.length; at += WINDOW) windows += level(samples, at, at + WINDOW, HZ) > 0.15 ? 1 : 0
  return windows * 10
}

/** Asserts that an ear hears the whole tone on a track. */
async function assertWhole({ ear }, name) {
  const ms = () => heardMs(ear.heard.get(name) ?? [])
  const isWhole = () => ms() >= PLAYED_MS - TOLERANCE_MS
  await until(isWhole, '', 2000).catch(() => assert.fail(`${ms()} of ${PLAYED_MS} ms were heard on ${name}`))
}

/** Returns the events about listeners. */
function listeners(session) {
  const told = []
  session.on('subscribed', ({ trackId, identity }) => told.push([trackId, identity]))
  return told
}

test('the first playback on a track is heard whole', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { subscribeTimeoutMs: FOR_EVER_MS })
  const told = listeners(session)
  const trackIds = [0, 3, 4, 5, 6, 7, 8, 9]
  for (const trackId of trackIds) {
    await session.playAudio({ audio: tone(HZ, PLAYED_MS), trackId, stopOther: false })
    await assertWhole(room, trackId === 0 ? 'speaker' : `track_${trackId}`)
  }
  const expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((trackId) => [trackId, room.ear.identity])
  assert.deepEqual(told.sort(([a], [b]) => a - b), expected)
})

test('two first playbacks are both heard whole', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { publish: 'lazy', subscribeTimeoutMs: FOR_EVER_MS })
  const request = (trackId) => ({ audio: tone(HZ, PLAYED_MS), trackId, stopOther: false })
  await Promise.all([3, 4].map((trackId) => session.playAudio(request(trackId))))
  for (const name of ['track_3', 'track_4']) await assertWhole(room, name)
})

test('does not wait in an empty room', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room, { subscribeTimeoutMs: FOR_EVER_MS })
  assert.equal((await session.playAudio({ audio: tone(HZ, 100), trackId: 5 })).durationMs, 100)
})

test('does not wait for hidden participants', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  await room.join({ isDeaf: true, grants: { hidden: true } })
  const { session } = speak(t, room, { subscribeTimeoutMs: FOR_EVER_MS })
  assert.equal((await session.playAudio({ audio: tone(HZ, 100), trackId: 5 })).durationMs, 100)
})

test('waits for subscribeTimeoutMs at most', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  await room.join({ isDeaf: true })
  const subscribeTimeoutMs = 700
  const { session } = speak(t, room, { subscribeTimeoutMs })
  const told = listeners(session)
  await session.connect()
  const begun = performance.now()
  const playing = session.playAudio({ audio: tone(HZ, 100), trackId: 5 })
  await once(session, 'started')
  const waitedMs = performance.now() - begun
  assert.ok(waitedMs >= subscribeTimeoutMs, `it began after ${waitedMs} ms`)
  assert.equal((await playing).durationMs, 100)
  assert.deepEqual(told, [])
})

test("startWhen 'published' does not wait", LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  await room.join({ isDeaf: true })
  const { session } = speak(t, room, { startWhen: 'published', subscribeTimeoutMs: FOR_EVER_MS })
  assert.equal((await session.playAudio({ audio: tone(HZ, 100), trackId: 5 })).durationMs, 100)
})

test('connecting does not wait for listeners', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  await room.join({ isDeaf: true })
  const { session } = speak(t, room, { subscribeTimeoutMs: FOR_EVER_MS })
  await session.connect()
})

test('does not wait for one who left', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const deaf = await room.join({ isDeaf: true })
  const { session, told } = speak(t, room, { subscribeTimeoutMs: FOR_EVER_MS })
  await session.connect()
  const playing = session.playAudio({ audio: tone(HZ, 100), trackId: 5 })
  await sleep(500)
  assert.ok(!told.some(({ type }) => type === 'started'), 'it did not wait')
  await deaf.room.disconnect()
  assert.equal((await playing).durationMs, 100)
})

test('listeners are not named when there are others', LIMIT, async (t) => {
  const room = await openRoom(t)
  await room.join()
  const { session } = speak(t, room)
  const told = listeners(session)
  await session.playAudio({ audio: tone(HZ, 100) })
  await until(() => told.length === 3, 'the three tracks have listeners')
  assert.deepEqual(told.map(([, identity]) => identity), [undefined, undefined, undefined])
})
