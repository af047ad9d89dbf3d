'use strict'

// Tones to play, and functions that find them in samples.

const { readWav, tone, wavFile } = require('../../lib/testing')
const { amplitude: level } = require('../../lib/testing/hear')

const WINDOW = 4800

/** The results of `windows` so far, by samples and frequency: tests ask again and again, and samples only grow. */
const found = new WeakMap()

/** Returns the windows of 100 ms with a frequency, in samples at 48 kHz. They may grow from call to call. */
function windows(samples, hz) {
  if (!found.has(samples)) found.set(samples, new Map())
  const known = found.get(samples)
  if (!known.has(hz)) known.set(hz, { looked: 0, heard: [] })
  const one = known.get(hz)
  for (; (one.looked + 1) * WINDOW <= samples.length; one.looked++) {
    const from = one.looked * WINDOW
    if (level(samples, from, from + WINDOW, hz) > 0.15) one.heard.push(one.looked)
  }
  return [...one.heard]
}

/** Returns the level of the loudest window of a frequency. */
function loudest(samples, hz) {
  const levels = windows(samples, hz).map((n) => level(samples, n * WINDOW, (n + 1) * WINDOW, hz))
  return Math.max(0, ...levels)
}

module.exports = { wavFile, tone, readWav, level, windows, loudest }
