'use strict'

// Complaints in the form of speaker-session's own: "Expected <what> for <argument> but received <value>".

const { SpeakerError } = require('../..')

const DAY_MS = 86_400_000

function refuse(expected, argument, received) {
  const shown = ['number', 'boolean', 'undefined'].includes(typeof received) || received === null ? String(received) : typeof received
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${shown}`)
}

/** Returns an object of options with no other keys than `names`. */
function options(value, what, names) {
  if (typeof value !== 'object' || value === null) throw refuse('an object', `the options of ${what}`, value)
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected only ${names.join(', ')} for the options of ${what} but received '${name}'`)
    }
  }
  return value
}

/** Returns a time in ms, or the default if it is undefined. */
function milliseconds(value, argument, fallback) {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !(value >= 0 && value <= DAY_MS)) throw refuse(`a number from 0 to ${DAY_MS}`, argument, value)
  return value
}

function trackId(value, fallback) {
  if (value === undefined) return fallback
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw refuse('an integer from 0 to 65535', 'trackId', value)
  return value
}

module.exports = { DAY_MS, milliseconds, options, refuse, trackId }
