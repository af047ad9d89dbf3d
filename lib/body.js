'use strict'

// Sources of bytes in pieces: a Readable, a web ReadableStream, another iterable, a Blob, a Response of `fetch`. All are recognised by their
// shape, not by their class, so that those of other realms and of polyfills are accepted too.

const { aborted, onAbort } = require('./abort')
const { bytesOf, isBytes } = require('./bytes')
const { MAX_BYTES, tooLarge } = require('./data-url')
const { SpeakerError, describe, kind, invalidArgument, withCause } = require('./error')

/** Returns true for a Readable, a web ReadableStream or another iterable, asynchronous or not (an array, a generator). */
function isIterable(audio) {
  if (typeof audio !== 'object' && typeof audio !== 'function') return false
  return typeof audio?.[Symbol.asyncIterator] === 'function' || typeof audio?.[Symbol.iterator] === 'function'
}

/** Returns true for a Blob or a File. */
function isBlob(audio) {
  return typeof audio?.stream === 'function' && typeof audio.arrayBuffer === 'function' && typeof audio.size === 'number'
}

/** Returns true for a Response of `fetch`. */
function isResponse(audio) {
  return typeof audio?.ok === 'boolean' && typeof audio.status === 'number' && 'body' in audio && 'bodyUsed' in audio
}

/**
 * Returns `{ body, contentType }`: the body that the bytes of `audio` are read from, and its media type; undefined if it has none. Nothing is
 * read yet. Throws for a Response that is no success, or was read.
 */
function bodyOf(audio) {
  if (isIterable(audio)) return { body: audio }
  if (isBlob(audio)) return { body: openLazily(() => audio.stream()), contentType: audio.type || undefined }
  if (!isResponse(audio)) return undefined
  const { ok, status, statusText, body, bodyUsed, headers } = audio
  if (!ok) {
    const received = [status, statusText].filter(Boolean).join(' ')
    throw new SpeakerError('ERR_HTTP_STATUS', `Expected an HTTP status of 200–299 for audio but received ${received}`)
  }
  if (bodyUsed) throw invalidArgument('a Response whose body was not read yet', 'audio', audio)
  return { body: body ?? empty(), contentType: headers?.get?.('content-type')?.split(';', 1)[0].trim() || undefined }
}

async function* empty() {}

/** Returns a body that is opened only when its bytes are read. */
function openLazily(open) {
  return { [Symbol.asyncIterator]: () => open()[Symbol.asyncIterator](), getReader: () => open().getReader() }
}

/** Returns a reader of a body that can be closed at once, even while a piece is awaited: the iterators of streams would wait for it. */
function reading(body) {
  if (typeof body.getReader === 'function') {
    const reader = body.getReader()
    return { next: () => reader.read(), close: () => reader.cancel() }
  }
  const iterator = (body[Symbol.asyncIterator] ?? body[Symbol.iterator]).call(body)
  const next = () => iterator.next()
  if (typeof body.destroy === 'function') return { next, close: () => body.destroy() }
  return { next, close: () => iterator.return?.() }
}

/** Returns the bytes of a piece of a body; samples count as bytes if they are of the body's `format`. */
function piece(value, format) {
  if (!isBytes(value)) throw new TypeError(`it gave ${value === undefined || value === null ? value : kind(value)} where bytes were expected`)
  try {
    return bytesOf(value, 'a piece of audio', format)
  } catch ({ message }) {
    // The error belongs to the body, not to the call.
    throw new TypeError(message)
  }
}

/** Resolves with all bytes of a body, whose samples are of `format`; the limit is that of a download. */
async function collected(body, signal, format) {
  let from
  try {
    from = reading(body)
  } catch (error) {
    throw failed(error)
  }
  const all = gather(from, format)
  const givenUp = new Promise((_, reject) => {
    onAbort(signal, all, () => reject(aborted('the signal was aborted before the audio was read', signal)))
  })
  try {
    return await Promise.race([all, givenUp])
  } catch (error) {
    all.catch(() => {})
    close(from)
    throw error instanceof SpeakerError ? error : failed(error)
  }
}

async function gather({ next }, format) {
  const pieces = []
  let length = 0
  for (;;) {
    const { done, value } = await next()
    if (done) return Buffer.concat(pieces, length)
    const bytes = piece(value, format)
    length += bytes.length
    if (length > MAX_BYTES) throw tooLarge('audio')
    pieces.push(bytes)
  }
}

/** Closes a body whose rest is not wanted. */
async function close(from) {
  try {
    await from.close()
  } catch {
    // An error on closing does not matter either.
  }
}

function failed(error) {
  return withCause(new SpeakerError('ERR_STREAM', `the stream failed: ${describe(error)}`), error)
}

module.exports = { bodyOf, close, collected, isIterable, piece, reading }
