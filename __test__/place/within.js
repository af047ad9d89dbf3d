'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/** Resolves to the promise's value; throws if it does not settle within this many ms. */
async function within(promise, ms = 5000) {
  const late = Symbol('late')
  const first = await Promise.race([promise, sleep(ms, late, { ref: false })])
  if (first === late) throw new Error(`Expected an answer within ${ms} ms but received none`)
  return first
}

module.exports = { within }
