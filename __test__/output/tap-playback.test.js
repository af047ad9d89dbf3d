'use strict'

// Taps of one playback: its exact samples, and their end with the playback.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { ramp, slice } = require('../support/samples')
const { open, finish } = require('../support/session')
const { listen, timeline } = require('../support/tap')

const MS = 48
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

/** Returns what a tap heard from its first frame on, without the silence that fills the last one. */
async function heardBy(tap) {
  const frames = listen(tap)
  await once(tap, 'end')
  return { frames, samples: timeline(frames, { format: 'f32' }) }
}

test("a playback's tap is post-volume and ends with it", async (t) => {
  const { session, heard } = open(t)
  await session.track(1).setVolume({ volume: 0.5 })
  play(session, 'a', { trackId: 1, volume: 0.5 })
  play(session, 'b', { trackId: 1, startMs: 200, durationMs: 100, gain: 0.25 })
  const tapped = heardBy(session.tap({ requestId: 'a', format: 'f32' }))
  await session.advance(700)
  const { frames, samples } = await tapped
  assert.equal(frames[0].atMs, 0)
  assert.deepEqual(samples.subarray(0, clip.samples.length), clip.samples.map((sample) => sample * 0.25))
  assert.ok(samples.subarray(clip.samples.length).every((sample) => sample === 0))
  const { session: other, heard: untapped } = open(t)
  await other.track(1).setVolume({ volume: 0.5 })
  play(other, 'a', { trackId: 1, volume: 0.5 })
  play(other, 'b', { trackId: 1, startMs: 200, durationMs: 100, gain: 0.25 })
  await other.advance(700)
  assert.deepEqual(heard(), untapped(), 'a tap changes nothing')
})

test('frames carry session time, also after waiting in line', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  play(session, 'a')
  play(session, 'b')
  const tapped = heardBy(session.tap({ requestId: 'b', format: 'f32' }))
  await session.advance(1200)
  const { frames, samples } = await tapped
  assert.equal(frames[0].atMs, 500)
  assert.deepEqual(slice(samples, 500, 1000), clip.samples)
})

test('a stop ends the tap after the fade', async (t) => {
  const { session } = open(t)
  play(session, 'a')
  const faded = heardBy(session.tap({ requestId: 'a', format: 'f32' }))
  await session.advance(100)
  await session.stopAudio({ requestId: 'a' })
  const late = heardBy(session.tap({ requestId: 'a', format: 'f32' }))
  await session.advance(50)
  const { samples } = await faded
  assert.deepEqual(slice(samples, 0, 100), slice(clip.samples, 0, 100))
  assert.notEqual(samples[102 * MS], 0)
  assert.ok(samples.subarray(105 * MS).every((sample) => sample === 0))
  assert.equal((await late).frames[0].atMs, 100, 'what fades out can be tapped still')
  play(session, 'b')
  const never = heardBy(session.tap({ requestId: 'b' }))
  await session.stopAudio()
  await session.advance(0)
  assert.deepEqual((await never).frames, [])
})

test('playback, track and session taps coexist', async (t) => {
  const { session } = open(t)
  play(session, 'a', { trackId: 3 })
  const options = { format: 'f32' }
  const taps = [session.tap({ requestId: 'a', ...options }), session.tap({ requestId: 'a', ...options })].map(heardBy)
  const others = [session.tap({ trackId: 3, ...options }), session.tap(options)].map(listen)
  await session.advance(600)
  for (const { samples } of await Promise.all(taps)) assert.deepEqual(samples.subarray(0, clip.samples.length), clip.samples)
  for (const frames of others) assert.deepEqual(timeline(frames, options).subarray(0, clip.samples.length), clip.samples)
  play(session, 'a')
  await finish(session)
})

test('a stereo tap has the pan of the track', async (t) => {
  const { session } = open(t, { output: { channels: 2 } })
  await session.track(0).setPan({ pan: -1 })
  play(session, 'a')
  const tapped = heardBy(session.tap({ requestId: 'a', format: 'f32', channels: 2 }))
  await session.advance(600)
  const frames = (await tapped).frames
  const samples = timeline(frames, { format: 'f32', channels: 2 })
  assert.deepEqual(samples.filter((_, n) => n % 2 === 0).subarray(0, clip.samples.length), clip.samples)
  assert.ok(samples.filter((_, n) => n % 2 === 1).every((sample) => sample === 0))
})

test('in real time it ends by itself', async (t) => {
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  const playing = play(session, 'a', { durationMs: 200 })
  const { frames, samples } = await heardBy(session.tap({ requestId: 'a', format: 'f32' }))
  assert.equal((await playing).outcome, 'completed')
  // The playback may have begun before it was tapped.
  const { atMs } = told.find(({ type }) => type === 'started')
  const [from, begun] = [frames[0].atMs, atMs].map((ms) => Math.round(ms * MS))
  assert.ok(from >= begun)
  assert.deepEqual(samples.subarray(from, begun + 195 * MS), clip.samples.subarray(from - begun, 195 * MS))
})

test('validates the requestId of a tap', async (t) => {
  const { session } = open(t)
  assert.throws(() => session.tap({ requestId: 'a' }), {
    code: 'ERR_INVALID_ARGUMENT', message: `Expected the id of a live playback for requestId but received 'a' of type string`
  })
  play(session, 'a')
  for (const options of [{ requestId: 'a', trackId: 1 }, { requestId: '' }, { requestId: 1 }, { requestId: null }]) {
    assert.throws(() => session.tap(options), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
  assert.throws(() => session.track(1).tap({ requestId: 'a' }), { code: 'ERR_INVALID_ARGUMENT' })
  const closed = heardBy(session.tap({ requestId: 'a' }))
  await session.close()
  await closed
  assert.throws(() => session.tap({ requestId: 'a' }), { code: /ERR_CLOSED|ERR_INVALID_ARGUMENT/ })
})
