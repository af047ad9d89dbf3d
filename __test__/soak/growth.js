'use strict'

/**
 * Returns the growth of a series of measurements over its last two thirds: the median slope between all pairs of points (Theil–Sen
 * estimator), so that neither a single peak nor one step counts, nor memory that a process allocates once in the beginning.
 */
function growth(series) {
  const from = Math.floor(series.length / 3)
  const steady = series.slice(from)
  const slopes = steady.flatMap((early, n) => steady.slice(n + 1).map((late, m) => (late - early) / (m + 1)))
  slopes.sort((one, other) => one - other)
  return slopes[slopes.length >> 1] * (steady.length - 1)
}

module.exports = { growth }
