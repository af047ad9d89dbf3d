'use strict'

// A loop crosses its seam as if the source went on: one filter for all passes instead of one per pass.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const RATES = [8000, 11025, 24000, 44100, 48000]

/** Plays a loop to its end and returns what was heard, and the result. */
async function play(t, request, options) {
  const { session, heard } = open(t, options)
  const playing = session.playAudio(request)
  await finish(session)
  const result = await playing
  return { result, samples: heard().slice(0, Math.round(result.durationMs * 48)) }
}

/** Returns the largest second difference within samples[from…to): a click is a large one. */
function roughness(samples, from, to) {
  let worst = 0
  for (let n = from; n < to; n++) worst = Math.max(worst, Math.abs(samples[n - 1] - 2 * samples[n] + samples[n + 1]))
  return worst
}

/** Asserts that a loop of a sine is one sine, between its own start and its own end. */
function assertSmooth(samples, hz, length, what) {
  const passes = samples.length / length
  const calm = roughness(samples, length * 1.25, length * 1.75)
  for (let n = 1; n < passes; n++) {
    const rough = roughness(samples, n * length - 960, n * length + 960)
    assert.ok(rough < calm * 1.02 + 1e-4, `${what}: ${rough} at seam ${n}, ${calm} in the middle`)
  }
  for (let n = 1000; n < samples.length - 1000; n++) {
    const ideal = 0.5 * Math.sin((2 * Math.PI * hz * n) / 48_000)
    assert.ok(Math.abs(samples[n] - ideal) < 1e-3, `${what}: ${samples[n]} instead of ${ideal} at ${n}`)
  }
}

test('a looped sine stays a sine at every rate', async (t) => {
  for (const rate of RATES) {
    for (const ms of [1000, 40]) {
      if ((rate * ms) % 1000) continue // would not end with a whole period
      const audio = tone(1000, ms, { sampleRate: rate, amplitude: 0.5 })
      const { result, samples } = await play(t, { audio, loop: 4 })
      assert.equal(result.durationMs, 4 * ms)
      assertSmooth(samples, 1000, ms * 48, `${rate} Hz, ${ms} ms`)
    }
  }
})

test('stereo and sought loops have no click', async (t) => {
  const audio = tone(1000, 500, { sampleRate: 44100, amplitude: 0.5 })
  const stereo = await play(t, { audio, loop: 3 }, { output: { channels: 2 } })
  const { session, heard } = open(t)
  const playing = session.playAudio({ requestId: 'it', audio, loop: 3 })
  await session.advance(100)
  await session.seekAudio({ requestId: 'it', positionMs: 350 })
  await finish(session)
  const { durationMs } = await playing
  const calm = roughness(heard(), 1000, 4000)
  // After the seek: what is left of the first pass, and the seams of the next two.
  const from = 150 * 48
  assert.ok(roughness(heard(), from, Math.round(durationMs * 48) - 960) < calm * 1.02 + 1e-4)
  assert.equal(stereo.result.durationMs, 1500)
})

test("a loop keeps the source's start and end", async (t) => {
  for (const rate of RATES) {
    const audio = tone(1000, 200, { sampleRate: rate, amplitude: 0.5 })
    const [once, looped] = [await play(t, { audio }), await play(t, { audio, loop: 3 })]
    const length = once.samples.length
    assert.deepEqual(looped.samples.slice(0, length / 2), once.samples.slice(0, length / 2))
    assert.deepEqual(looped.samples.slice(-length / 2), once.samples.slice(-length / 2))
  }
})

test('a looped section is cut as before', async (t) => {
  const audio = tone(1000, 500, { sampleRate: 8000, amplitude: 0.5 })
  const whole = await play(t, { audio })
  for (const request of [{ startMs: 100, durationMs: 100 }, { durationMs: 100 }]) {
    const { samples } = await play(t, { audio, ...request, loop: 3 })
    const from = (request.startMs ?? 0) * 48
    assert.equal(samples.length, 3 * 4800)
    // All but the edges of the whole.
    for (let n = 240; n < samples.length - 240; n++) assert.equal(samples[n], whole.samples[from + (n % 4800)], `sample ${n}`)
  }
})
