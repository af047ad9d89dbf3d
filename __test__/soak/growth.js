'use strict'

/**
 * How much a series of measurements grows over the last two thirds of it: the median slope between all pairs of points (Theil and
 * Sen), so that neither a single peak nor one step makes it, and what a process fetches once in the beginning is not counted.
 */
function growth(series) {
  const from = Math.floor(series.length / 3)
  const steady = series.slice(from)
  const slopes = steady.flatMap((early, n) => steady.slice(n + 1).map((late, m) => (late - early) / (m + 1)))
  slopes.sort((one, other) => one - other)
  return slopes[slopes.length >> 1] * (steady.length - 1)
}

module.exports = { growth }
