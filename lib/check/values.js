'use strict'

// The one form of check for each kind of value.

const { refuse } = require('../error')

/** As far as every time in this package reaches: a day. */
const MAX_MS = 24 * 3600 * 1000

/** The higher ones first. */
const ROLES = ['system', 'voice', 'media', 'ambient']

const OVERLAPS = ['mix', 'queue', 'replace']

function object(value, argument, known) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('an object', argument, value)
  const unknown = Object.keys(value).find((key) => value[key] !== undefined && !known.includes(key))
  if (unknown !== undefined) throw refuse(`only ${known.join(', ')}`, `the options of ${argument}`, unknown)
  return value
}

/** Each of these takes (value, argument, …) and gives the value, or the default (if it takes one) where there is none. */
const check = {
  number(value, argument, fallback, min, max) {
    if (value === undefined) return fallback
    const fits = typeof value === 'number' && value >= min && value <= max
    if (!fits) throw refuse(`a number from ${min} to ${max}`, argument, value)
    return value
  },
  integer(value, argument, fallback, min, max) {
    if (value === undefined) return fallback
    const fits = Number.isInteger(value) && value >= min && value <= max
    if (!fits) throw refuse(`an integer from ${min} to ${max}`, argument, value)
    return value
  },
  boolean(value, argument, fallback) {
    if (value === undefined) return fallback
    if (typeof value !== 'boolean') throw refuse('a boolean', argument, value)
    return value
  },
  oneOf(value, argument, fallback, values) {
    return value === undefined ? fallback : check.choice(value, argument, values)
  },
  choice(value, argument, values) {
    if (!values.includes(value)) throw refuse(`one of ${values.map((name) => `'${name}'`).join(', ')}`, argument, value)
    return value
  },
  text(value, argument, fallback) {
    if (value === undefined) return fallback
    if (typeof value !== 'string' || value === '') throw refuse('a non-empty string', argument, value)
    return value
  },
  /** Names are compared and told as UTF-8, in which a lone surrogate has no form: two ids would be one. */
  id(value, argument, fallback) {
    const id = check.text(value, argument, fallback)
    if (id !== undefined && !id.isWellFormed()) throw refuse('well-formed Unicode', argument, value)
    return id
  },
  /** Not by class, so that one of another realm or an older package is one too. */
  signal(value, argument) {
    if (value === undefined) return undefined
    const fits = typeof value?.aborted === 'boolean' && typeof value.addEventListener === 'function'
    if (!fits) throw refuse('an AbortSignal', argument, value)
    return value
  }
}

module.exports = { MAX_MS, OVERLAPS, ROLES, object, check }
