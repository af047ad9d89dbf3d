'use strict'

// Panning a track between two channels, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { ramp } = require('../support/samples')
const { open, finish } = require('../support/session')

const MS = 48
const clip = ramp(500 * MS)
const stereo = { output: { channels: 2 } }
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

/** Returns one channel of the output; 0 is left. */
const side = (samples, channel) => samples.filter((_, index) => index % 2 === channel)

/** The clip with each sample scaled by `level`; 32-bit floats as in the mixer. */
const turned = (level) => clip.samples.map((sample, n) => Math.fround(sample * Math.fround(level(n))))

test('pan attenuates only the opposite side', async (t) => {
  const sides = { '-1': [1, 0], '-0.5': [1, 0.5], 0: [1, 1], 0.25: [0.75, 1], 1: [0, 1] }
  for (const [pan, [left, right]] of Object.entries(sides)) {
    const { session, heard } = open(t, stereo)
    assert.equal(await session.track(1).setPan({ pan: Number(pan) }), undefined)
    play(session, 'a', { trackId: 1 })
    await finish(session)
    const samples = heard()
    assert.deepEqual(side(samples, 0).slice(0, clip.samples.length), turned(() => left), `left at ${pan}`)
    assert.deepEqual(side(samples, 1).slice(0, clip.samples.length), turned(() => right), `right at ${pan}`)
  }
})

test('pan ramps linearly and multiplies with the volume', async (t) => {
  const { session, heard } = open(t, stereo)
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2 })
  await session.track(2).setMuted(true)
  await session.track(1).setVolume({ volume: 0.5 })
  await session.advance(100)
  await session.track(1).setPan({ pan: 1, fadeMs: 100 })
  await finish(session)
  const level = (n) => (n < 100 * MS ? 0.5 : n < 200 * MS ? 0.5 * (1 - (n - 100 * MS) / (100 * MS)) : 0)
  const left = side(heard(), 0)
  const far = clip.samples.findIndex((sample, n) => Math.abs(left[n] - sample * level(n)) > 1e-6)
  assert.equal(far, -1, `sample ${far}`)
  assert.deepEqual(side(heard(), 1).slice(0, clip.samples.length), turned(() => 0.5))
})

test('two panned tracks and a tap of one', async (t) => {
  const { session, heard } = open(t, stereo)
  await session.track(1).setPan({ pan: -1 })
  await session.track(2).setPan({ pan: 1 })
  const tap = session.track(2).tap({ format: 'f32' })
  const tapped = []
  tap.on('data', ({ frame }) => tapped.push(frame))
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2, volume: 0.5 })
  await finish(session)
  assert.deepEqual(side(heard(), 0).slice(0, clip.samples.length), turned(() => 1))
  assert.deepEqual(side(heard(), 1).slice(0, clip.samples.length), turned(() => 0.5))
  await session.close()
  const bytes = Buffer.concat(tapped)
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  assert.ok(side(samples, 0).every((sample) => sample === 0), 'nothing of it is left')
  assert.deepEqual(side(samples, 1).slice(0, clip.samples.length), turned(() => 0.5))
})

test('panning back to the middle restores the samples', async (t) => {
  const { session, heard } = open(t, stereo)
  const track = session.track(0)
  await track.setPan({ pan: 0.7 })
  await track.setPan({ pan: 0 })
  play(session, 'a')
  await finish(session)
  assert.deepEqual(side(heard(), 0).slice(0, clip.samples.length), clip.samples)
})

test('validates pan', async (t) => {
  const { session } = open(t, stereo)
  for (const change of [{}, { pan: 1.1 }, { pan: -2 }, { pan: NaN }, { pan: '0' }, { pan: 0, fadeMs: -1 }, { volume: 1, pan: 0 }, null]) {
    await assert.rejects(session.track(0).setPan(change), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(change))
  }
  const { session: mono } = open(t)
  await assert.rejects(mono.track(0).setPan({ pan: 0.5 }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: 'Expected an output of 2 channels beside it for pan but received 0.5 of type number'
  })
  await session.close()
  await assert.rejects(session.track(0).setPan({ pan: 0 }), { code: 'ERR_CLOSED' })
})
