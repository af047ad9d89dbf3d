'use strict'

const { getSystemErrorName, inspect, types } = require('node:util')

/** How many characters are shown of a value, and of a whole message; as in src/redact.rs. */
const VALUE = 200
const MESSAGE = 1000

/** The addon looks at less. */
const LOOKED_AT = 1 << 16

/** What every failure of this package is. Documented in index.d.ts. No secret is in its message, whoever wrote that. */
class SpeakerError extends Error {
  constructor(code, message, { cause, ...details } = {}) {
    super(redact(message, MESSAGE), cause !== undefined ? { cause } : undefined)
    this.code = code
    Object.assign(this, details)
  }
}

Object.defineProperty(SpeakerError.prototype, 'name', { value: 'SpeakerError', configurable: true, writable: true })

/** A complaint in the one form: "Expected <what> for <argument> but received <value>", with a hint behind it if there is one. */
function refuse(expected, argument, received, hint) {
  return complaint(expected, argument, hint ? `${show(received)}; ${hint}` : show(received))
}

/** The same for a value that is secret: not even a wrong one is shown. */
function refuseSecret(expected, argument, received) {
  return complaint(expected, argument, received === null || received === undefined ? String(received) : kind(received))
}

/** The same for a URL. Some are valid without the slashes behind their scheme, by which one is known elsewhere. */
function refuseUrl(expected, argument, received) {
  const isUrl = typeof received === 'string' && received.includes('@')
  return refuse(expected, argument, isUrl ? received.replace(/^([a-z][a-z0-9+.-]*:)?\/*/i, '$1//') : received)
}

/** What Node's permission model (`--permission`) keeps from us. The error has the code and the fields of Node's own. */
function denied(expected, argument, permission, resource) {
  const message = `Expected permission to ${expected} for ${argument} but received none: ${resource}`
  return new SpeakerError('ERR_ACCESS_DENIED', message, { permission, resource })
}

/**
 * Gives an error the cause that its user's own code had: that very object. What is in it nobody knows, so it is shown to who asks for it, and not
 * where the error is printed.
 */
function withCause(error, cause) {
  return cause === undefined ? error : Object.defineProperty(error, 'cause', { get: () => cause, configurable: true })
}

/** What the writer of a stream is told when its playback ended without a failure: how, and how much was heard if that is known. */
function ended(requestId, how, details) {
  const message = `Expected a playback that goes on for stream '${requestId}' but ${how}`
  return new SpeakerError('ERR_ENDED', message, { requestId, ...details })
}

/** The message of `ERR_CLOSED` for one call: the addon does not know what its user has called. */
function closedFor(call, { code, message }) {
  return code === 'ERR_CLOSED' && call ? message.replace('an open session but', () => `an open session for ${call} but`) : message
}

/** What was thrown, in words. Anything can be thrown, and not everything can be made a string. */
function describe(thrown) {
  try {
    return String(thrown?.message ?? thrown)
  } catch {
    return 'an error without a message'
  }
}

function complaint(expected, argument, received) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${received}`)
}

/** A value in words. What it holds is not shown, and nothing of it is called: it may be secret, large, or a trap. */
function show(value) {
  if (value === null || value === undefined) return String(value)
  const type = typeof value
  if (type === 'string') return `${inspect(redact(value, VALUE), { breakLength: Infinity })} of type string`
  if (type === 'number' || type === 'boolean') return `${inspect(value)} of type ${type}`
  return kind(value)
}

/** What a value is, without the value. */
function kind(value) {
  if (value === '') return 'an empty string'
  if (!types.isProxy(value) && Array.isArray(value)) return 'an array'
  const name = builtIn(value) ?? typeof value
  return /^([aeio]|u(?!int))/i.test(name) ? `an ${name}` : `a ${name}`
}

/** The name that is behind the tag of a typed array, whatever was set on the array itself. */
const nameOfArray = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get

/** Objects of Node that are told apart, without asking them. */
const BUILT_IN = {
  Promise: types.isPromise, Map: types.isMap, Set: types.isSet, DataView: types.isDataView, ArrayBuffer: types.isArrayBuffer,
  SharedArrayBuffer: types.isSharedArrayBuffer
}

/** The name of what such a value is, or of its kind of array; undefined for any other. */
function builtIn(value) {
  return nameOfArray.call(value) ?? Object.keys(BUILT_IN).find((name) => BUILT_IN[name](value))
}

/** An error of the system or of a library as Node would make it, from what the addon says of it; undefined if there is none. */
function causeOf(told) {
  if (!told) return undefined
  const { message, errno } = told
  const cause = new Error(message)
  return errno === undefined ? cause : Object.assign(cause, { errno: -errno, code: getSystemErrorName(-errno) })
}

function redact(text, most) {
  // Loaded here, because the command line can help without the addon.
  return require('./native').redact(text.slice(0, LOOKED_AT), most)
}

module.exports = { SpeakerError, builtIn, causeOf, closedFor, denied, describe, ended, kind, refuse, refuseSecret, refuseUrl, withCause }
