'use strict'

// What counts as bytes: a Buffer or another array of bytes, a DataView, an ArrayBuffer; told by their kind and not by their class, so that those of
// other realms (vm, Jest) are taken too. Samples in an array of their own kind are bytes where the format is theirs, and nowhere else: read as
// anything else they are noise.

const { types } = require('node:util')

const { builtIn, refuse } = require('./error')

const ONE_BYTE = ['Uint8Array', 'Uint8ClampedArray', 'Int8Array', 'DataView', 'ArrayBuffer', 'SharedArrayBuffer']

/** The format of samples that such an array holds. */
const SAMPLES = { Int16Array: 'pcm16', Float32Array: 'f32' }

/** How a text may hold bytes: by the other encodings of Node, bytes do not come through. */
const ENCODINGS = ['base64', 'base64url', 'hex', 'latin1', 'binary']

/** Returns true for an array of numbers, a DataView or an ArrayBuffer, whatever its numbers are. */
function isBytes(value) {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)
}

/** Returns a Uint8Array of such a value, on the same memory where it may be. Throws for numbers that are no bytes and no samples of `format`. */
function bytesOf(value, argument, format) {
  const name = builtIn(value)
  if (!ONE_BYTE.includes(name) && (SAMPLES[name] === undefined || SAMPLES[name] !== format)) {
    throw refuse(SAMPLES[name] ? `format '${SAMPLES[name]}' beside samples, or bytes` : 'bytes', argument, value)
  }
  try {
    const [buffer, ...part] = ArrayBuffer.isView(value) ? [value.buffer, value.byteOffset, value.byteLength] : [value]
    const bytes = new Uint8Array(buffer, ...part)
    return types.isSharedArrayBuffer(buffer) ? bytes.slice() : bytes
  } catch {
    // Its memory was given away (`transfer`, `postMessage`).
    return new Uint8Array(0)
  }
}

/** Returns the bytes that a text holds; throws if it says not how, or does not hold any in that way. */
function bytesOfText(text, encoding, argument) {
  if (text === '') return Buffer.alloc(0)
  const name = typeof encoding === 'string' ? encoding.toLowerCase() : undefined
  if (!ENCODINGS.includes(name)) {
    const hint = `Buffer.from(text, 'base64') are the bytes of a text in base64`
    throw refuse(`bytes, or a string with one of the encodings ${ENCODINGS.map((known) => `'${known}'`).join(', ')},`, argument, text, hint)
  }
  const bytes = name.startsWith('base64') ? base64Decoded(name === 'base64url' ? text.replace(/-/g, '+').replace(/_/g, '/') : text) : Buffer.from(text, name)
  if (!bytes || (name === 'hex' && bytes.length * 2 !== text.length)) throw refuse(`a string in ${name}`, argument, text)
  return bytes
}

/** Base64 with or without its padding, and with blanks in it (Infra standard, "forgiving-base64 decode"); undefined if it is none. */
function base64Decoded(text) {
  const packed = text.replace(/[\t\n\f\r ]+/g, '')
  const digits = packed.length % 4 === 0 ? packed.replace(/={1,2}$/, '') : packed
  if (digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) return undefined
  return Buffer.from(digits, 'base64')
}

module.exports = { base64Decoded, bytesOf, bytesOfText, isBytes }
