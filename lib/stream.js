'use strict'

const { Writable } = require('node:stream')

const { close, piece, reading } = require('./body')
const { bytesOf, bytesOfText, isBytes } = require('./bytes')
const check = require('./check')
const { describe, ended, refuse, withCause } = require('./error')

const NOTHING = new Uint8Array(0)

/** A playback whose bytes its user writes. Documented in index.d.ts. */
class SpeakerStream extends Writable {
  #native
  #ask
  #mark
  #stop
  #recorder
  #piped
  #format
  #signal
  #thrown
  /** What `setDefaultEncoding` has said of strings. */
  #encoding
  /** How many streams are piped into it. */
  #pipes = 0
  /** The write that waits for room: `{ chunk, callback }`. */
  #waiting
  /** Bytes in Node's own queue that were flushed while they waited there. */
  #flushed = 0
  /** Bytes that were handed over since the last flush, those of a write that waits for room included. */
  #written = 0
  /** Says that the tail was heard. */
  #heard
  #isOver = false

  /**
   * `native` is the addon's end, `finished` the promise of playback `requestId`; `ask` makes a call under a ticket, `mark` sets a mark,
   * `stop` stops the playback for a reason, `thrown` is told what fails it, `recorder` writes down what is written, if any does. `piped` says that
   * whoever writes always has more at hand until the end; `format` is that of what is written, `signal` the request's.
   */
  constructor({ native, requestId, finished, ask, mark, stop, thrown, recorder, piped, format, signal }) {
    super()
    this.requestId = requestId
    this.finished = finished
    this.#native = native
    this.#ask = ask
    this.#mark = mark
    this.#stop = stop
    this.#recorder = recorder
    this.#piped = piped
    this.#format = format
    this.#signal = signal
    this.#thrown = thrown
    this.on('pipe', () => this.#pipes++)
    this.on('unpipe', () => this.#pipes--)
    // Whoever listens to `failed` need not listen here too.
    this.on('error', () => {})
    this.once('close', () => this.#tellWhoeverWaits())
    finished.then((result) => this.#over(result), (error) => this.#failed(error))
  }

  mark(name) {
    const queued = this.writableLength - (this.#waiting?.chunk.length ?? 0) - this.#flushed
    const bytes = this.#written + queued
    return this.#mark((mark) => this.#native.mark(check.markName(name), mark, bytes))
  }

  stats() {
    return this.#native.stats() ?? undefined
  }

  write(chunk, encoding, callback) {
    return this.#given(chunk, encoding, callback, super.write)
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function' || chunk === undefined || chunk === null) return super.end(chunk, encoding, callback)
    this.#given(chunk, encoding, callback, super.end)
    return this
  }

  setDefaultEncoding(encoding) {
    super.setDefaultEncoding(encoding)
    this.#encoding = encoding
    return this
  }

  /**
   * Hands bytes to Node's own `call`. What is none is refused as Node does, by throwing; but what is piped comes from no caller, and fails
   * the stream.
   */
  #given(chunk, encoding, callback, call) {
    const [named, done] = typeof encoding === 'function' ? [undefined, encoding] : [encoding, callback]
    let bytes = chunk
    try {
      if (typeof chunk === 'string') bytes = bytesOfText(chunk, named ?? this.#encoding, 'chunk')
      else if (isBytes(chunk)) bytes = bytesOf(chunk, 'chunk', this.#format)
      else if (chunk !== null) throw refuse('bytes', 'chunk', chunk)
    } catch (error) {
      if (this.#pipes === 0) throw error
      this.destroy(error)
      return false
    }
    return call.call(this, bytes, done)
  }

  /** Drops what was written and not heard. */
  async flush() {
    const waiting = this.#take()
    this.#written = 0
    this.#flushed = this.writableLength - (waiting?.chunk.length ?? 0)
    const flushed = this.#ask((ticket) => this.#native.flush(this.#piped || this.writableEnded, ticket))
    this.#record('flush')
    waiting?.callback()
    await flushed
  }

  _write(chunk, _encoding, callback) {
    if (this.#isOver) {
      callback() // completed and ended: nobody wants the rest
    } else if (this.#flushed > 0) {
      this.#flushed -= chunk.length
      callback()
    } else {
      this.#written += chunk.length
      this.#recorder?.write(this.requestId, chunk)
      this.#put(chunk, chunk, callback)
    }
  }

  /** Hands `rest` of `chunk` over, in as many pieces as there is room for. */
  #put(rest, chunk, callback) {
    // On a manual clock time waits for what is in line here, so that backpressure does not make a gap.
    const more = this.#piped || this.writableEnded || this.writableLength > chunk.length
    const taken = this.#native.write(rest, more)
    if (taken === rest.length) return callback()
    const waiting = { chunk, callback }
    this.#waiting = waiting
    if (taken === null) return // its end is on its way, and answers
    this.#ask((ticket) => this.#native.whenRoom(ticket)).then(() => {
      if (this.#waiting !== waiting) return
      this.#take()
      this.#put(rest.subarray(taken), chunk, callback)
    })
  }

  _final(callback) {
    if (this.#isOver) return callback()
    this.#heard = callback
    this.#native.end()
    this.#record('end')
  }

  _destroy(error, callback) {
    if (!this.#isOver) {
      if (error && !isAbort(error)) {
        this.#thrown(error instanceof Pumped ? error.thrown : error)
        this.#native.fail(`the stream failed: ${describe(error)}`)
        this.#record('end')
      } else {
        this.#stop(error ? 'aborted' : 'destroyed')
        this.#native.write(NOTHING, false)
      }
    }
    // Without an error of its own too: `close` alone ends no wait for `drain`.
    const why = error ?? (this.writableFinished ? null : ended(this.requestId, 'it was destroyed'))
    this.#take()?.callback(why)
    callback(why)
  }

  #over({ requestId: _, outcome, reason, ...heard }) {
    this.#isOver = true
    if (outcome === 'completed' && this.writableEnded) {
      this.#take()?.callback()
      this.#heard?.()
    } else {
      const how = outcome === 'stopped' ? `it was stopped (${reason})` : 'it has completed'
      const cause = reason === 'aborted' && this.#signal?.aborted ? this.#signal.reason : undefined
      this.destroy(withCause(ended(this.requestId, how, heard), cause))
    }
  }

  #failed(error) {
    this.#isOver = true
    this.destroy(error)
  }

  /** `events.once` listens to `error` beside `drain`: there it hears of the end, however late it begins to wait. */
  #tellWhoeverWaits() {
    const tell = () => {
      if (this.listenerCount('drain') > 0) this.emit('error', this.errored ?? ended(this.requestId, 'it has completed'))
    }
    this.on('newListener', (type) => {
      if (type === 'drain') process.nextTick(tell)
    })
  }

  #record(type) {
    this.#recorder?.request(type, { requestId: this.requestId })
  }

  #take() {
    const waiting = this.#waiting
    this.#waiting = undefined
    return waiting
  }
}

/** What a source has thrown, which can be anything, as an error that Node can take. */
class Pumped extends Error {
  constructor(thrown) {
    super(describe(thrown))
    this.thrown = thrown
  }
}

/** Writes what a Readable or another iterable gives of a `format`, and ends with it. Whatever goes wrong with `audio` fails the stream. */
async function pump(audio, stream, format) {
  try {
    // Throws for a web stream that somebody else reads, or has read.
    const from = reading(audio)
    const onClose = () => close(from)
    stream.once('close', onClose)
    while (!stream.destroyed) {
      const { done, value } = await from.next()
      if (done) {
        stream.off('close', onClose)
        stream.end()
        return
      }
      if (stream.destroyed) return
      await new Promise((resolve) => stream.write(piece(value, format), resolve))
    }
  } catch (error) {
    stream.destroy(isAbort(error) ? error : new Pumped(error))
  }
}

/** Returns true for the error of an aborted signal: somebody wants no more. */
function isAbort(thrown) {
  try {
    return thrown?.name === 'AbortError'
  } catch {
    return false
  }
}

module.exports = { SpeakerStream, pump }
