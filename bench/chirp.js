'use strict'

// A word whose every moment is different from every other: a rising tone (a chirp). So each piece of it that was heard tells its position,
// wherever it was cut, and also where a listener's buffer has stretched it or filled a gap with earlier sound.

const { wavFile } = require('../__test__/support/wav')

const RATE = 48000
const PER_MS = RATE / 1000
const AMPLITUDE = 0.3
const FROM_HZ = 500
const HZ_PER_MS = 10
const WINDOW = 10 * PER_MS
const HOP = 2 * PER_MS
/** The power below which a window is silent: −20 dB below the word. */
const AUDIBLE = (AMPLITUDE ** 2 / 2) * 0.01
/** The deviation of a period from the mean of its window that is allowed beside the rise: an edge in a window causes more. */
const ODD = 0.05
/** The number of whole periods that a window needs. */
const LEAST_PERIODS = 3

/** Returns the samples of the word. */
function chirpSamples(ms) {
  const phase = (n) => 2 * Math.PI * (FROM_HZ * (n / RATE) + (HZ_PER_MS * 1000 * (n / RATE) ** 2) / 2)
  return Float64Array.from({ length: ms * PER_MS }, (_, n) => AMPLITUDE * Math.sin(phase(n)))
}

/** Returns the word as a WAV file. */
function chirp(ms) {
  return wavFile(chirpSamples(ms), RATE)
}

/** Returns the positions of rising zero crossings, interpolated between samples. */
function crossings(samples, from, to) {
  const found = []
  for (let n = from + 1; n < to; n++) {
    const [before, after] = [samples[n - 1], samples[n]]
    if (before < 0 && after >= 0) found.push(n - 1 + before / (before - after))
  }
  return found
}

/** Returns the part of the word in a window, `[fromMs, toMs]`, or undefined if there is none. */
function part(samples, from) {
  let power = 0
  for (let n = from; n < from + WINDOW; n++) power += samples[n] ** 2 / WINDOW
  if (power < AUDIBLE) return undefined
  const found = crossings(samples, from, from + WINDOW)
  const periods = found.slice(1).map((at, n) => at - found[n])
  if (periods.length < LEAST_PERIODS) return undefined
  const span = found.at(-1) - found[0]
  const mean = span / periods.length
  const hz = RATE / mean
  const rise = (HZ_PER_MS * WINDOW) / PER_MS / 2 / hz
  if (periods.some((period) => Math.abs(period / mean - 1) > rise + ODD)) return undefined
  const middleMs = (hz - FROM_HZ) / HZ_PER_MS
  return [middleMs - span / PER_MS / 2, middleMs + span / PER_MS / 2]
}

/** Returns how many ms of a word of this length are missing in the samples: at its start, at its end and in all. */
function missing(samples, ms) {
  const heard = new Uint8Array(ms)
  for (let from = 0; from + WINDOW <= samples.length; from += HOP) {
    const [fromMs, toMs] = part(samples, from) ?? []
    if (fromMs !== undefined) heard.fill(1, Math.max(0, Math.floor(fromMs)), Math.max(0, Math.ceil(toMs)))
  }
  const [first, last] = [heard.indexOf(1), heard.lastIndexOf(1)]
  if (first === -1) return { start: ms, within: 0, end: 0 }
  const between = heard.subarray(first, last + 1)
  return { start: first, within: between.length - between.reduce((sum, one) => sum + one), end: ms - 1 - last }
}

module.exports = { chirp, chirpSamples, missing }
