'use strict'

/** Returns a generator of pseudorandom numbers, the same for the same seed: each call returns one from 0 to below `below`. */
function random(seed) {
  return (below) => {
    seed = (seed * 1664525 + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
}

module.exports = { random }
