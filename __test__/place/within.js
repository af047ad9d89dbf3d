'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/** Returns what the promise brings; throws if that does not come within so many ms. */
async function within(promise, ms = 5000) {
  const late = Symbol('late')
  const first = await Promise.race([promise, sleep(ms, late, { ref: false })])
  if (first === late) throw new Error(`Expected an answer within ${ms} ms but received none`)
  return first
}

module.exports = { within }
