'use strict'

// Whether one sound is another: as long, at the same place, and alike.

const RATE = 48000
const SECONDS = 0.25

/** The signal of __test__/fixtures/formats/, as it comes out at 48 kHz: its formula is in make.sh there. */
function signal() {
  return Float32Array.from({ length: RATE * SECONDS }, (_, n) => {
    const t = n / RATE
    return 0.5 * Math.sin(4 * Math.PI * t) ** 2 * Math.sin(2 * Math.PI * (300 * t + 5400 * t * t))
  })
}

/** How much of another sound is in one that is `late` by so many samples: their product. */
function product(heard, expected, late) {
  let sum = 0
  const to = Math.min(expected.length, heard.length - late)
  for (let n = Math.max(0, -late); n < to; n++) sum += heard[n + late] * expected[n]
  return sum
}

/** By how many samples `heard` is late, at most `most`: where it is most alike. */
function lateness(heard, expected, most) {
  let best = [0, -Infinity]
  for (let late = -most; late <= most; late++) {
    const alike = product(heard, expected, late)
    if (alike > best[1]) best = [late, alike]
  }
  return best[0]
}

/**
 * Compares what was heard with what should have been: how much `longer` and how `late` it is, in samples; how `alike`, their correlation from −1 to 1; and
 * how much `louder`, as a ratio.
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
