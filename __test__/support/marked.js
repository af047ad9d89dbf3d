'use strict'

// A sound whose ends are known by their pitch. What a listener's buffer makes up for what it lacks, or stretches, is of the middle's.

const { level, wavFile } = require('./wav')

const MS = 48
const MARK_MS = 60
const [FIRST, MIDDLE, LAST] = [1000, 440, 2000]
const STEP_MS = 4

/** Returns a sound of `ms` whose first 60 ms have one pitch, and its last 60 ms another. */
function marked(ms) {
  const pitch = (at) => (at < MARK_MS ? FIRST : at < ms - MARK_MS ? MIDDLE : LAST)
  const samples = Array.from({ length: ms * MS }, (_, n) => 0.3 * Math.sin((2 * Math.PI * pitch(n / MS) * n) / 48000))
  return wavFile(samples, 48000)
}

/** Returns how much of each mark is missing in the samples, in ms. */
function missing(samples) {
  const steps = Array.from({ length: Math.floor(samples.length / (STEP_MS * MS)) }, (_, n) => n * STEP_MS * MS)
  const heard = (hz) => STEP_MS * steps.filter((at) => level(samples, at, at + STEP_MS * MS, hz) > 0.15).length
  return { first: MARK_MS - heard(FIRST), last: MARK_MS - heard(LAST) }
}

module.exports = { marked, missing }
