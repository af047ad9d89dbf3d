'use strict'

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Returns the median, the 99th percentile and the maximum. */
function cells(values) {
  return [percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]
}

/** Returns the same by name. */
function named(values) {
  const [p50, p99, max] = cells(values)
  return { p50, p99, max }
}

module.exports = { cells, named }
