'use strict'

// The limiter: its gain never jumps, and its samples do not depend on how time is advanced.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { wavFile } = require('../support/wav')

const MS = 48
const LOUD = 0.9

/** Returns a tone of whole periods and an odd number of samples: it begins and ends at zero, and never at a frame boundary. */
function odd(waves, length) {
  const samples = Float64Array.from({ length }, (_, n) => LOUD * Math.sin((2 * Math.PI * waves * n) / length))
  return wavFile(samples, 48000)
}

/** Low tones, so that the sum itself is smooth; each is a clip that ends at an odd sample. */
const CLIPS = [odd(101, 24_001), odd(43, 14_567), odd(67, 31_337), odd(23, 9_973), odd(211, 48_017)]

/** Plays loud sounds at odd times; `pass` advances the time. */
async function perform(session, pass) {
  const play = (requestId, n, options) => session.playAudio({ requestId, audio: CLIPS[n], stopOther: false, ...options })
  play('a', 0)
  play('b', 4)
  await pass(37 + 1 / MS)
  play('c', 1)
  await pass(101 + 5 / MS)
  await session.pauseAudio({ requestId: 'b' })
  play('d', 3, { fadeInMs: 1 })
  await pass(60)
  await session.resumeAudio()
  play('e', 2, { volume: 0.1 })
  await pass(83 + 17 / MS)
  await session.setVolume({ requestId: 'e', volume: 1 })
  play('f', 3, { gain: 4 })
  await pass(120)
  await session.stopAudio({ requestId: 'b' })
  await pass(50 + 7 / MS)
  play('g', 1, { fadeInMs: 7 })
  play('h', 1)
  await pass(300)
  await session.seekAudio({ requestId: 'e', positionMs: 100 })
}

test('the gain never jumps', async (t) => {
  for (const channels of [1, 2]) {
    const { session, heard } = open(t, { output: { channels } })
    await perform(session, (ms) => session.advance(ms))
    await finish(session)
    const samples = heard()
    assert.ok(samples.every((sample) => Math.abs(sample) <= 1))
    assert.ok(samples.some((sample) => Math.abs(sample) > 0.9), 'it is loud')
    let [largest, at] = [0, 0]
    for (let n = 2 * channels; n < samples.length; n++) {
      const bend = Math.abs(samples[n] - 2 * samples[n - channels] + samples[n - 2 * channels])
      if (bend > largest) [largest, at] = [bend, n]
    }
    t.diagnostic(`largest bend ${largest} at ${at / channels / MS} ms`)
    assert.ok(largest < 0.12, `a step of ${largest} at ${at / channels / MS} ms`)
  }
})

test('samples do not depend on the steps of time', async (t) => {
  const cuts = {
    whole: (session) => (ms) => session.advance(ms),
    'by 1 ms': (session) => async (ms) => {
      const samples = Math.round(ms * MS)
      for (let passed = 0; passed < samples; passed += MS) await session.advance(Math.min(MS, samples - passed) / MS)
    },
    'by 20 ms': (session) => async (ms) => {
      const samples = Math.round(ms * MS)
      for (let passed = 0; passed < samples; passed += 20 * MS) await session.advance(Math.min(20 * MS, samples - passed) / MS)
    },
    'by odd samples': (session) => async (ms) => {
      let [left, n] = [Math.round(ms * MS), 0]
      for (; left > 0; n++) {
        const step = Math.min(left, [1, 239, 240, 241, 97][n % 5])
        await session.advance(step / MS)
        left -= step
      }
    }
  }
  const outcomes = []
  for (const [how, passer] of Object.entries(cuts)) {
    const { session, told, heard } = open(t)
    const pass = passer(session)
    await perform(session, pass)
    await pass(900)
    assert.deepEqual(session.playbacks(), [])
    outcomes.push({ how, told, samples: heard() })
  }
  const [whole, ...others] = outcomes
  for (const { how, told, samples } of others) {
    const different = samples.findIndex((sample, n) => sample !== whole.samples[n])
    assert.equal(different, -1, `${how}: another sample at ${different / MS} ms`)
    assert.equal(samples.length, whole.samples.length, how)
    assert.deepEqual(told, whole.told, how)
  }
})
