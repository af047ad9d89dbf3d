'use strict'

// Accepted byte containers: a Buffer or another array of bytes, a DataView, an ArrayBuffer. They are recognised by kind, not by class, so that
// those of other realms (vm, Jest) are accepted too. A typed array of samples counts as bytes only where the format matches its type: read as
// anything else, the samples would be noise.

const { types } = require('node:util')

const { builtIn, invalidArgument } = require('./error')

const ONE_BYTE = ['Uint8Array', 'Uint8ClampedArray', 'Int8Array', 'DataView', 'ArrayBuffer', 'SharedArrayBuffer']

/** The sample format of each typed array that can hold samples. */
const SAMPLES = { Int16Array: 'pcm16', Float32Array: 'f32' }

/** Encodings in which a string can hold bytes; Node's other encodings do not preserve bytes. */
const ENCODINGS = ['base64', 'base64url', 'hex', 'latin1', 'binary']

/** Returns true for a typed array, a DataView or an ArrayBuffer, whatever its element type. */
function isBytes(value) {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)
}

/** Returns a Uint8Array of such a value, sharing its memory where possible. Throws for numbers that are neither bytes nor samples of `format`. */
function bytesOf(value, argument, format) {
  const name = builtIn(value)
  if (!ONE_BYTE.includes(name) && (SAMPLES[name] === undefined || SAMPLES[name] !== format)) {
    throw invalidArgument(SAMPLES[name] ? `format '${SAMPLES[name]}' beside samples, or bytes` : 'bytes', argument, value)
  }
  try {
    const [buffer, ...part] = ArrayBuffer.isView(value) ? [value.buffer, value.byteOffset, value.byteLength] : [value]
    const bytes = new Uint8Array(buffer, ...part)
    return types.isSharedArrayBuffer(buffer) ? bytes.slice() : bytes
  } catch {
    // The memory was given away (`transfer`, `postMessage`).
    return new Uint8Array(0)
  }
}

/** Returns the bytes that a string holds in `encoding`; throws if no encoding is given, or the string does not hold bytes in it. */
function bytesOfText(text, encoding, argument) {
  if (text === '') return Buffer.alloc(0)
  const name = typeof encoding === 'string' ? encoding.toLowerCase() : undefined
  if (!ENCODINGS.includes(name)) {
    const hint = `Buffer.from(text, 'base64') are the bytes of a text in base64`
    throw invalidArgument(`bytes, or a string with one of the encodings ${ENCODINGS.map((known) => `'${known}'`).join(', ')},`, argument, text, hint)
  }
  const bytes = name.startsWith('base64') ? base64Decoded(name === 'base64url' ? text.replace(/-/g, '+').replace(/_/g, '/') : text) : Buffer.from(text, name)
  if (!bytes || (name === 'hex' && bytes.length * 2 !== text.length)) throw invalidArgument(`a string in ${name}`, argument, text)
  return bytes
}

/** Decodes base64 with or without padding or whitespace (Infra standard, "forgiving-base64 decode"); undefined if it is invalid. */
function base64Decoded(text) {
  const packed = text.replace(/[\t\n\f\r ]+/g, '')
  const digits = packed.length % 4 === 0 ? packed.replace(/={1,2}$/, '') : packed
  if (digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) return undefined
  return Buffer.from(digits, 'base64')
}

/** Returns bytes in base64, without copying them first. */
function base64Encoded({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

module.exports = { base64Decoded, base64Encoded, bytesOf, bytesOfText, isBytes }
