'use strict'

// Collects garbage at once, in processes that were not started with --expose-gc.

const v8 = require('node:v8')
const { runInNewContext } = require('node:vm')

/** Returns a function that collects all garbage. */
function collector() {
  if (process.versions.bun) return () => globalThis.Bun.gc(true)
  v8.setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

module.exports = { gc: collector() }
