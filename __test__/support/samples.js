'use strict'

// A clip in which each sample tells its position.

const assert = require('node:assert/strict')

const { wavFile } = require('./wav')

const PER_MS = 48

/** Returns a WAV file of `length` samples that all differ from their neighbours, and its decoded samples. */
function ramp(length) {
  const samples = Float32Array.from({ length }, (_, n) => Math.round((0.1 + (n % 997) / 2000) * 32767) / 32768)
  return { audio: wavFile(samples.map((sample) => (sample * 32768) / 32767), 48000), samples }
}

/** Returns samples[fromMs…toMs). */
function slice(samples, fromMs, toMs) {
  return samples.slice(fromMs * PER_MS, toMs * PER_MS)
}

/** Asserts equality up to rounding, for samples that went through a fade. */
function close(actual, expected, what) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${what}: ${actual}, not ${expected}`)
}

/** The length of a fade in samples. */
const EDGE = 5 * PER_MS

/** Asserts a fade out and a fade in: each is `[atMs, positionMs]`, its time in `samples` and its position in `clip`. */
function crossed(samples, clip, [fallMs, fromMs], [riseMs, toMs]) {
  for (let n = 0; n < EDGE; n++) {
    close(samples[fallMs * PER_MS + n], (clip[fromMs * PER_MS + n] * (EDGE - n)) / EDGE, `fall ${n}`)
    close(samples[riseMs * PER_MS + n], (clip[toMs * PER_MS + n] * n) / EDGE, `rise ${n}`)
  }
}

module.exports = { ramp, slice, close, crossed }
