'use strict'

// Checks of arguments that the adapters share. Errors have the form of the session's own: "Expected <what> for <argument> but received <value>".

const { SpeakerError } = require('..')

const DAY_MS = 86_400_000

/** Returns the error of an invalid argument. No content of an object is shown: a socket has a URL, and a session has a token. */
function invalidArgument(expected, argument, received) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${show(received)}`)
}

function show(value) {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return `an object of ${value.constructor?.name ?? 'no class'}`
  return String(value)
}

/** Returns the options of `name`, which must be an object with no other keys than `known`. */
function options(value, name, known) {
  if (typeof value !== 'object' || value === null) throw invalidArgument('an object', `the options of ${name}`, value)
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw invalidArgument(`only ${known.join(', ')}`, `the options of ${name}`, unknown)
  return value
}

/** Returns a number in a range, or the default if it is undefined. */
function number(value, argument, fallback, min, max) {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !(value >= min && value <= max)) throw invalidArgument(`a number from ${min} to ${max}`, argument, value)
  return value
}

/** Returns a time in ms, at most a day, or the default if it is undefined. */
function milliseconds(value, argument, fallback) {
  return number(value, argument, fallback, 0, DAY_MS)
}

function trackId(value, fallback) {
  if (value === undefined) return fallback
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw invalidArgument('an integer from 0 to 65535', 'trackId', value)
  return value
}

module.exports = { DAY_MS, invalidArgument, milliseconds, number, options, trackId }
