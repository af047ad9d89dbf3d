'use strict'

// Changes of volume, in every state a playback can be in, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { close, ramp, slice } = require('../support/samples')
const { open, finish } = require('../support/session')

const MS = 48
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })
const scaled = (fromMs, toMs, volume) => slice(clip.samples, fromMs, toMs).map((sample) => sample * volume)

test('volume ramps linearly, 5 ms by default', async (t) => {
  const { session, heard } = open(t)
  play(session, 'a')
  await session.advance(100)
  assert.deepEqual(await session.setVolume({ volume: 0.5 }), { changed: ['a'] })
  await session.advance(100)
  await session.setVolume({ requestId: 'a', volume: 0, fadeMs: 100 })
  await session.advance(50)
  await session.setVolume({ trackId: 0, volume: 1, fadeMs: 75 }) // from the current volume
  await finish(session)
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 100), slice(clip.samples, 0, 100))
  for (let n = 0; n < 5 * MS; n++) close(samples[100 * MS + n], clip.samples[100 * MS + n] * (1 - n / 480), `fall ${n}`)
  assert.deepEqual(slice(samples, 105, 200), scaled(105, 200, 0.5))
  close(samples[225 * MS], clip.samples[225 * MS] * 0.375, 'on the way down')
  close(samples[250 * MS], clip.samples[250 * MS] * 0.25, 'the turn')
  close(samples[275 * MS], clip.samples[275 * MS] * 0.5, 'on the way up')
  assert.deepEqual(slice(samples, 325, 500), slice(clip.samples, 325, 500))
})

test('fadeMs 0 is immediate and gain stays', async (t) => {
  const { session, heard, of } = open(t, { gain: 0.5 })
  play(session, 'a', { volume: 0.25, gain: 0.5 })
  await session.advance(100)
  await session.setVolume({ volume: 0, fadeMs: 0 })
  await session.advance(100)
  await session.setVolume({ volume: 1, fadeMs: 0 })
  await finish(session)
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 100), scaled(0, 100, 1 / 16))
  assert.ok(slice(samples, 100, 200).every((sample) => sample === 0))
  assert.deepEqual(slice(samples, 200, 500), scaled(200, 500, 0.25))
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
})

test('volume and stop fade multiply', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.stopAudio({ fadeOutMs: 100 })
  assert.deepEqual(await session.setVolume({ volume: 0.5, fadeMs: 50 }), { changed: ['a'] })
  await finish(session)
  const samples = heard()
  for (let n = 0; n < 100 * MS; n += 7) {
    const levels = [1 - n / (100 * MS), Math.max(0.5, 1 - n / (100 * MS))]
    close(samples[100 * MS + n], clip.samples[100 * MS + n] * levels[0] * levels[1], `sample ${n}`)
  }
  assert.deepEqual(of('a'), ['started@0', 'stopped@200'])
})

test('volume before the start needs no ramp', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue' })
  play(session, 'a')
  play(session, 'b')
  assert.deepEqual(await session.setVolume({ volume: 0.5, fadeMs: 1000 }), { changed: ['a', 'b'] })
  await session.setVolume({ requestId: 'b', volume: 0.25 })
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(100)
  await session.setVolume({ requestId: 'a', volume: 0.125, fadeMs: 1000 })
  await session.resumeAudio()
  await finish(session)
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 100), scaled(0, 100, 0.5))
  assert.deepEqual(slice(samples, 205, 595), scaled(110, 500, 0.125))
  assert.deepEqual(slice(samples, 595, 1095), scaled(0, 500, 0.25))
})

test('volume and fade-in multiply', async (t) => {
  const { session, heard } = open(t)
  play(session, 'a', { fadeInMs: 200 })
  await session.setVolume({ volume: 0.5 })
  await finish(session)
  close(heard()[100 * MS], clip.samples[100 * MS] / 4, 'half of the way up')
})

test('volume without a match resolves empty', async (t) => {
  const { session } = open(t)
  assert.deepEqual(await session.setVolume({ requestId: 'nobody', volume: 1 }), { changed: [] })
  for (const [request, message] of [
    [undefined, /an object for setVolume but received undefined/],
    [{}, /^Expected a number from 0 to 1 for volume but received undefined/],
    [{ volume: 1.5 }, /for volume but received 1.5/],
    [{ volume: 1, fadeMs: -1 }, /for fadeMs but received -1/],
    [{ volume: 1, trackId: 0, requestId: 'a' }, /only one of requestId, trackId and group for setVolume/]
  ]) {
    await assert.rejects(session.setVolume(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})
