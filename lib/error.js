'use strict'

const { getSystemErrorName, inspect, types } = require('node:util')

/** The maximum number of characters shown of a value, and of a whole message; as in src/redact.rs. */
const VALUE = 200
const MESSAGE = 1000

/** The maximum number of characters handed to the addon, which looks at fewer. */
const LOOKED_AT = 1 << 16

/** The error of every failure of this package. Documented in index.d.ts. Its message holds no secret, whoever wrote it. */
class SpeakerError extends Error {
  constructor(code, message, { cause, ...details } = {}) {
    super(redact(message, MESSAGE), cause !== undefined ? { cause } : undefined)
    this.code = code
    Object.assign(this, details)
  }
}

Object.defineProperty(SpeakerError.prototype, 'name', { value: 'SpeakerError', configurable: true, writable: true })

/** Returns an error of the one form "Expected <what> for <argument> but received <value>", with an optional hint behind it. */
function invalidArgument(expected, argument, received, hint) {
  return invalid(expected, argument, hint ? `${show(received)}; ${hint}` : show(received))
}

/** Returns the same for a secret value: not even a wrong one is shown. */
function invalidSecret(expected, argument, received) {
  return invalid(expected, argument, received === null || received === undefined ? String(received) : kind(received))
}

/** Returns the same for a URL. Some are valid without the slashes after their scheme, by which URLs are recognised elsewhere. */
function invalidUrl(expected, argument, received) {
  const isUrl = typeof received === 'string' && received.includes('@')
  return invalidArgument(expected, argument, isUrl ? received.replace(/^([a-z][a-z0-9+.-]*:)?\/*/i, '$1//') : received)
}

/** Returns the error of a permission that Node's permission model (`--permission`) denies, with the code and fields of Node's own. */
function denied(expected, argument, permission, resource) {
  const message = `Expected permission to ${expected} for ${argument} but received none: ${resource}`
  return new SpeakerError('ERR_ACCESS_DENIED', message, { permission, resource })
}

/**
 * Sets the cause of an error to the very object that the user's own code threw. Its content is unknown, so it can be read, but is not shown
 * where the error is printed.
 */
function withCause(error, cause) {
  return cause === undefined ? error : Object.defineProperty(error, 'cause', { get: () => cause, configurable: true })
}

/** Returns the error for the writer of a stream whose playback ended without a failure: how it ended, and how much was heard if that is known. */
function ended(requestId, how, details) {
  const message = `Expected a playback that goes on for stream '${requestId}' but ${how}`
  return new SpeakerError('ERR_ENDED', message, { requestId, ...details })
}

/** Returns the message of `ERR_CLOSED` for one call: the addon does not know which method the user called. */
function closedFor(call, { code, message }) {
  return code === 'ERR_CLOSED' && call ? message.replace('an open session but', () => `an open session for ${call} but`) : message
}

/** Describes a thrown value. Anything can be thrown, and not everything can be made a string. */
function describe(thrown) {
  try {
    return String(thrown?.message ?? thrown)
  } catch {
    return 'an error without a message'
  }
}

function invalid(expected, argument, received) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${received}`)
}

/** Describes a value. Its content is not shown, and nothing of it is called: it may be secret, large, or a trap. */
function show(value) {
  if (value === null || value === undefined) return String(value)
  const type = typeof value
  if (type === 'string') return `${inspect(redact(value, VALUE), { breakLength: Infinity })} of type string`
  if (type === 'number' || type === 'boolean') return `${inspect(value)} of type ${type}`
  return kind(value)
}

/** Returns the kind of a value, without the value. */
function kind(value) {
  if (value === '') return 'an empty string'
  if (!types.isProxy(value) && Array.isArray(value)) return 'an array'
  const name = builtIn(value) ?? typeof value
  return /^([aeio]|u(?!int))/i.test(name) ? `an ${name}` : `a ${name}`
}

/** Returns the tag of a typed array, whatever was set on the array itself. */
const nameOfArray = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get

/** Node's objects that are named, recognised without calling anything on them. */
const BUILT_IN = {
  Promise: types.isPromise, Map: types.isMap, Set: types.isSet, DataView: types.isDataView, ArrayBuffer: types.isArrayBuffer,
  SharedArrayBuffer: types.isSharedArrayBuffer
}

/** Returns the name of such an object, or the kind of a typed array; undefined for any other. */
function builtIn(value) {
  return nameOfArray.call(value) ?? Object.keys(BUILT_IN).find((name) => BUILT_IN[name](value))
}

/** Returns an error of the system or of a library as Node would make it, from the addon's description; undefined if there is none. */
function causeOf(described) {
  if (!described) return undefined
  const { message, errno } = described
  const cause = new Error(message)
  return errno === undefined ? cause : Object.assign(cause, { errno: -errno, code: getSystemErrorName(-errno) })
}

function redact(text, most) {
  // Loaded here, because the command line can help without the addon.
  return require('./native').redact(text.slice(0, LOOKED_AT), most)
}

module.exports = { SpeakerError, builtIn, causeOf, closedFor, denied, describe, ended, kind, invalidArgument, invalidSecret, invalidUrl, withCause }
