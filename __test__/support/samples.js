'use strict'

// A clip that tells where each of its samples was.

const assert = require('node:assert/strict')

const { wavFile } = require('./wav')

const PER_MS = 48

/** A WAV file of `length` samples that all differ from their neighbours, and its samples as they come out. */
function ramp(length) {
  const samples = Float32Array.from({ length }, (_, n) => Math.round((0.1 + (n % 997) / 2000) * 32767) / 32768)
  return { audio: wavFile(samples.map((sample) => (sample * 32768) / 32767), 48000), samples }
}

/** samples[fromMs…toMs). */
function slice(samples, fromMs, toMs) {
  return samples.slice(fromMs * PER_MS, toMs * PER_MS)
}

/** Samples that went through a fade are rounded. */
function close(actual, expected, what) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${what}: ${actual}, not ${expected}`)
}

/** The length of a fade in samples. */
const EDGE = 5 * PER_MS

/** Asserts a fade out and a fade in: each is `[atMs, placeMs]`, its time in `samples` and its place in `clip`. */
function crossed(samples, clip, [fallMs, fromMs], [riseMs, toMs]) {
  for (let n = 0; n < EDGE; n++) {
    close(samples[fallMs * PER_MS + n], (clip[fromMs * PER_MS + n] * (EDGE - n)) / EDGE, `fall ${n}`)
    close(samples[riseMs * PER_MS + n], (clip[toMs * PER_MS + n] * n) / EDGE, `rise ${n}`)
  }
}

module.exports = { ramp, slice, close, crossed }
