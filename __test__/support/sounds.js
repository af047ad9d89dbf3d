'use strict'

// Comparison of sounds: length, position and correlation.

const RATE = 48000
const SECONDS = 0.25

/** Returns the signal of __test__/fixtures/formats/ as it is decoded to 48 kHz: its formula is in make.sh there. */
function signal() {
  return Float32Array.from({ length: RATE * SECONDS }, (_, n) => {
    const t = n / RATE
    return 0.5 * Math.sin(4 * Math.PI * t) ** 2 * Math.sin(2 * Math.PI * (300 * t + 5400 * t * t))
  })
}

/** Returns the product of a sound that is `late` by so many samples with the expected one. */
function product(heard, expected, late) {
  let sum = 0
  const to = Math.min(expected.length, heard.length - late)
  for (let n = Math.max(0, -late); n < to; n++) sum += heard[n + late] * expected[n]
  return sum
}

/** Returns by how many samples `heard` is late, `most` at most: the lag with the largest product. */
function lateness(heard, expected, most) {
  let best = [0, -Infinity]
  for (let late = -most; late <= most; late++) {
    const alike = product(heard, expected, late)
    if (alike > best[1]) best = [late, alike]
  }
  return best[0]
}

/**
 * Compares a sound with the expected one: how much `longer` and how `late` it is, in samples; how `alike`, their correlation from −1 to 1;
 * and how much `louder`, as a ratio.
 */
function compare(heard, expected, most = 1500) {
  const energy = (samples) => product(samples, samples, 0)
  const late = lateness(heard, expected, most)
  return {
    longer: heard.length - expected.length,
    late,
    alike: product(heard, expected, late) / Math.sqrt(energy(heard) * energy(expected) || 1),
    louder: Math.sqrt(energy(heard) / energy(expected))
  }
}

module.exports = { compare, signal }
