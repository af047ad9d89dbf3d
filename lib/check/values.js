'use strict'

// Checks for each kind of value. All throw ERR_INVALID_ARGUMENT in the same form.

const { fileURLToPath } = require('node:url')

const { builtIn, invalidArgument, invalidUrl } = require('../error')
const { suggestion } = require('./suggestion')

/** The largest time that any option takes: a day. */
const MAX_MS = 24 * 3600 * 1000

/** The maximum payload of a data packet, in bytes: LiveKit's limit for a reliable one, and for a remote procedure call. */
const MAX_PAYLOAD = 15 * 1024

/** Roles from the highest to the lowest. */
const ROLES = ['system', 'voice', 'media', 'ambient']

const OVERLAPS = ['mix', 'queue', 'replace']

/** Takes the place of a default: the value is required. */
const REQUIRED = Symbol('required')

/** Returns `value` if it is an object with no other keys than `known`. */
function object(value, argument, known) {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || builtIn(value)) throw invalidArgument('an object', argument, value)
  let unknown
  for (const key in value) if (!known.includes(key) && value[key] !== undefined && Object.hasOwn(value, key)) unknown ??= key
  if (unknown !== undefined) {
    const name = suggestion(unknown, known)
    throw invalidArgument(`only ${known.join(', ')}`, `the options of ${argument}`, unknown, name && `did you mean ${name}?`)
  }
  return value
}

/**
 * Each takes (value, argument, …) and returns the value, or the default (if it takes one, and that is not REQUIRED) if the value is undefined.
 */
const check = {
  number(value, argument, fallback, min, max) {
    if (value === undefined && fallback !== REQUIRED) return fallback
    const fits = typeof value === 'number' && value >= min && value <= max
    if (!fits) throw invalidArgument(`a number from ${min} to ${max}`, argument, value)
    return value
  },
  integer(value, argument, fallback, min, max) {
    if (value === undefined && fallback !== REQUIRED) return fallback
    const fits = Number.isInteger(value) && value >= min && value <= max
    if (!fits) throw invalidArgument(`an integer from ${min} to ${max}`, argument, value)
    return value
  },
  boolean(value, argument, fallback) {
    if (value === undefined && fallback !== REQUIRED) return fallback
    if (typeof value !== 'boolean') throw invalidArgument('a boolean', argument, value)
    return value
  },
  oneOf(value, argument, fallback, values) {
    return value === undefined ? fallback : check.choice(value, argument, values)
  },
  choice(value, argument, values) {
    if (!values.includes(value)) throw invalidArgument(`one of ${values.map((name) => `'${name}'`).join(', ')}`, argument, value)
    return value
  },
  text(value, argument, fallback) {
    if (value === undefined && fallback !== REQUIRED) return fallback
    if (typeof value !== 'string' || value === '') throw invalidArgument('a non-empty string', argument, value)
    return value
  },
  /** Names are compared and passed on as UTF-8, which can't represent a lone surrogate: two ids would become one. */
  id(value, argument, fallback) {
    const id = check.text(value, argument, fallback)
    if (id !== undefined && !id.isWellFormed()) throw invalidArgument('well-formed Unicode', argument, value)
    return id
  },
  /** Checks the shape and not the class, so that signals of other realms and polyfills are accepted. */
  signal(value, argument) {
    if (value === undefined) return undefined
    const fits = typeof value?.aborted === 'boolean' && typeof value.addEventListener === 'function'
    if (!fits) throw invalidArgument('an AbortSignal', argument, value)
    return value
  }
}

/** Returns true for a URL object, of any realm. */
function isUrl(value) {
  try {
    return typeof value === 'object' && value !== null && !builtIn(value) && typeof value.href === 'string' && typeof value.protocol === 'string'
  } catch {
    return false // a trap is none
  }
}

/** Validates the path or the `file:` URL of a file to be written. Returns its path. */
function filePath(value, argument, fallback) {
  if (value === undefined && fallback !== REQUIRED) return fallback
  const given = isUrl(value) ? value.href : value
  if (typeof given !== 'string' || given === '') throw invalidArgument('a path or a file: URL', argument, value)
  if (!/^([a-z][a-z0-9+.-]+:\/\/|file:)/i.test(given) && !isUrl(value)) return given
  try {
    return fileURLToPath(given)
  } catch {
    throw invalidUrl('a path or a file: URL', argument, given)
  }
}

/** Validates the loudness of a source; `false` leaves it as it is, undefined uses the session's. */
function loudness(value, argument) {
  if (value === undefined || value === false) return value
  const { targetLufs, maxGainDb } = object(value, argument, ['targetLufs', 'maxGainDb'])
  return {
    targetLufs: check.number(targetLufs, `${argument}.targetLufs`, -16, -50, -5),
    maxGainDb: check.number(maxGainDb, `${argument}.maxGainDb`, 12, 0, 40)
  }
}

/** Validates the limits that servers have to keep to. */
function fetchLimits({ fetchTimeoutMs, minFetchBytesPerSecond }) {
  return {
    fetchTimeoutMs: check.number(fetchTimeoutMs, 'fetchTimeoutMs', 10000, 1, MAX_MS),
    minFetchBytesPerSecond: check.number(minFetchBytesPerSecond, 'minFetchBytesPerSecond', 100, 0, 1e6)
  }
}

/** The meaning of `'any'` and `'public'`. */
const NETWORKS = {
  any: { isPublic: false, allow: [], deny: [], files: true },
  public: { isPublic: true, allow: [], deny: [], files: false }
}

/** Validates which servers and files sources may be at: a word, or exceptions from `'public'`. */
function network(value, argument) {
  if (value === undefined) return undefined
  if (typeof value === 'string' && Object.hasOwn(NETWORKS, value)) return NETWORKS[value]
  if (typeof value !== 'object' || value === null) throw invalidArgument(`'any', 'public' or an object`, argument, value)
  object(value, argument, ['allow', 'deny', 'files'])
  return {
    isPublic: true,
    allow: servers(value.allow, `${argument}.allow`),
    deny: servers(value.deny, `${argument}.deny`),
    files: check.boolean(value.files, `${argument}.files`, false)
  }
}

function servers(rules = [], argument) {
  if (!Array.isArray(rules)) throw invalidArgument('an array', argument, rules)
  return Array.from(rules, (rule, index) => {
    const isRule = typeof rule === 'string' && require('../native').isNetworkRule(rule) // loaded here, as the command line can do without
    if (!isRule) throw invalidArgument(`a host, '*.' and a domain, an address or a range of them, or one of these with a port`, `${argument}[${index}]`, rule)
    return rule
  })
}

module.exports = { MAX_MS, MAX_PAYLOAD, OVERLAPS, REQUIRED, ROLES, object, check, fetchLimits, filePath, isUrl, loudness, network }
