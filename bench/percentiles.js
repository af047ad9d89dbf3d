'use strict'

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** The median, the 99th percentile and the most. */
function cells(values) {
  return [percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]
}

module.exports = { cells }
