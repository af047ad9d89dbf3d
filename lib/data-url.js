'use strict'

// `data:` URLs (RFC 2397), read as browsers do (Fetch standard, "data: URL processor").

const { base64Decoded } = require('./bytes')
const { SpeakerError } = require('./error')

/** The limit of a download; as in src/source/spool.rs. */
const MAX_BYTES = 256 * 2 ** 20

const PERCENT = 0x25

/** Returns `{ audio, contentType }` of a `data:` URL; undefined if it is none, or its base64 is invalid. Nothing of it is shown. */
function readDataUrl(url, argument) {
  // The fragment (`#`) is not part of the data.
  const text = url.slice('data:'.length).split('#', 1)[0]
  const comma = text.indexOf(',')
  if (comma === -1) return undefined
  const [, type, base64] = /^\s*(.*?)\s*(; *base64)?\s*$/is.exec(text.slice(0, comma))
  const bytes = percentDecoded(text.slice(comma + 1))
  const audio = base64 ? base64Decoded(bytes.toString('latin1')) : bytes
  if (audio?.length > MAX_BYTES) throw tooLarge(argument)
  return audio && { audio, contentType: /^[^/;\s]+\/[^/;\s]+/.test(type) ? type : undefined }
}

/** Returns the bytes of a text in which `%` and two digits are one byte; a `%` without digits stands for itself. */
function percentDecoded(text) {
  const bytes = Buffer.from(text, 'utf8')
  if (!text.includes('%')) return bytes
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const [high, low] = bytes[at] === PERCENT ? [digit(bytes[at + 1]), digit(bytes[at + 2])] : [-1, -1]
    const isByte = high >= 0 && low >= 0
    bytes[length++] = isByte ? high * 16 + low : bytes[at]
    if (isByte) at += 2
  }
  return bytes.subarray(0, length)
}

function digit(byte) {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1
}

function tooLarge(argument) {
  const message = `Expected at most ${MAX_BYTES} bytes for ${argument} but received more`
  return new SpeakerError('ERR_SOURCE_TOO_LARGE', message)
}

module.exports = { MAX_BYTES, readDataUrl, tooLarge }
