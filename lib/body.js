'use strict'

// What gives bytes piece by piece: a Readable, a web ReadableStream, another iterable, a Blob, a Response of `fetch`. All are told by their
// shape and not by their class, so that those of other realms and of polyfills are taken too.

const { aborted, onAbort } = require('./abort')
const { bytesOf, isBytes } = require('./bytes')
const { MAX_BYTES, tooLarge } = require('./data-url')
const { SpeakerError, describe, kind, refuse, withCause } = require('./error')

/** Returns true for a Readable, a web ReadableStream or another iterable, be it asynchronous or, as an array or a generator, not. */
function isIterable(audio) {
  if (typeof audio !== 'object' && typeof audio !== 'function') return false
  return typeof audio?.[Symbol.asyncIterator] === 'function' || typeof audio?.[Symbol.iterator] === 'function'
}

/** Returns true for a Blob or a File. */
function isBlob(audio) {
  return typeof audio?.stream === 'function' && typeof audio.arrayBuffer === 'function' && typeof audio.size === 'number'
}

/** Returns true for what `fetch` answers with. */
function isResponse(audio) {
  return typeof audio?.ok === 'boolean' && typeof audio.status === 'number' && 'body' in audio && 'bodyUsed' in audio
}

/**
 * Returns `{ body, contentType }`: what the bytes of `audio` are read from, and what it says they are; undefined if it gives none. Nothing of
 * it is read yet. Throws for a Response that is no success, or was read.
 */
function bodyOf(audio) {
  if (isIterable(audio)) return { body: audio }
  if (isBlob(audio)) return { body: lazily(() => audio.stream()), contentType: audio.type || undefined }
  if (!isResponse(audio)) return undefined
  const { ok, status, statusText, body, bodyUsed, headers } = audio
  if (!ok) {
    const received = [status, statusText].filter(Boolean).join(' ')
    throw new SpeakerError('ERR_HTTP_STATUS', `Expected an HTTP status of 200–299 for audio but received ${received}`)
  }
  if (bodyUsed) throw refuse('a Response whose body was not read yet', 'audio', audio)
  return { body: body ?? nothing(), contentType: headers?.get?.('content-type')?.split(';', 1)[0].trim() || undefined }
}

async function* nothing() {}

/** What is read only once somebody asks for its bytes. */
function lazily(open) {
  return { [Symbol.asyncIterator]: () => open()[Symbol.asyncIterator](), getReader: () => open().getReader() }
}

/** How a body is read, and closed at once, even while a piece is awaited: the iterators of streams would wait for it. */
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

/** Returns the bytes of a piece of a body; samples are bytes if they are of the body's `format`. */
function piece(value, format) {
  if (!isBytes(value)) throw new TypeError(`it gave ${value === undefined || value === null ? value : kind(value)} where bytes were expected`)
  try {
    return bytesOf(value, 'a piece of audio', format)
  } catch ({ message }) {
    // Whoever gave the body is to blame, and not the call.
    throw new TypeError(message)
  }
}

/** Resolves with all bytes of a body, whose samples are of `format`: as many as a download may have at most. */
async function gathered(body, signal, format) {
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

/** Nobody wants the rest of it. */
async function close(from) {
  try {
    await from.close()
  } catch {
    // Nor why it can't be closed.
  }
}

function failed(error) {
  return withCause(new SpeakerError('ERR_STREAM', `the stream failed: ${describe(error)}`), error)
}

module.exports = { bodyOf, close, gathered, isIterable, piece, reading }
