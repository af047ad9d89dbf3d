'use strict'

// The expected mix of constant clips, sample by sample.

const assert = require('node:assert/strict')

const { wavFile } = require('./wav')

const MS = 48

/** Returns a clip of a constant value, so that a sample tells the level at which it was mixed. */
const flat = (ms, value) => wavFile(new Float64Array(Math.round(ms * MS)).fill(value), 48000)

/** Describes a clip in a mix: `value` from ms to ms, with its crossfades at either end. */
const lane = (value, from, to, { rise = 0, fall = 0 } = {}) => ({ value, from, to, rise, fall })

function levelOf({ value, from, to, rise, fall }, n) {
  if (n < from * MS || n >= to * MS) return 0
  const risen = rise > 0 ? Math.min((n - from * MS) / (rise * MS), 1) : 1
  const left = fall > 0 ? Math.min((to * MS - n) / (fall * MS), 1) : 1
  return value * Math.sin((Math.PI / 2) * risen) * Math.sin((Math.PI / 2) * left)
}

/** Asserts that every sample is the sum of these lanes. */
function assertMix(samples, lanes, channels = 1) {
  for (let n = 0; n < samples.length; n++) {
    const expected = lanes.reduce((sum, each) => sum + levelOf(each, Math.floor(n / channels)), 0)
    if (Math.abs(samples[n] - expected) > 1e-4) {
      assert.fail(`${samples[n]} rather than ${expected} at ${n / channels / MS} ms`)
    }
  }
}

module.exports = { MS, flat, lane, assertMix }
