'use strict'

const { Writable } = require('node:stream')

const { close, piece, reading } = require('./body')
const { bytesOf, bytesOfText, isBytes } = require('./bytes')
const check = require('./check')
const { describe, ended, invalidArgument, withCause } = require('./error')

const NOTHING = new Uint8Array(0)

/** A playback whose bytes are written by the caller. Documented in index.d.ts. */
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
  /** The encoding of strings set by `setDefaultEncoding`. */
  #encoding
  /** The number of streams piped into it. */
  #pipes = 0
  /** The write that waits for space: `{ chunk, callback }`. */
  #waiting
  /** Bytes that were flushed while still in Node's own queue. */
  #flushed = 0
  /** Bytes handed over since the last flush, including those of a write that waits for space. */
  #written = 0
  /** Called when the tail was heard. */
  #heard
  #isOver = false

  /**
   * `native` is the addon's end, `finished` the promise of playback `requestId`; `ask` makes a call under a ticket, `mark` sets a mark,
   * `stop` stops the playback for a reason, `thrown` takes the error that fails it, `recorder` (if any) records what is written. `piped` means
   * that the writer always has more at hand until the end; `format` is the format of the bytes, `signal` the request's.
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
    // A listener of `failed` need not listen here too.
    this.on('error', () => {})
    this.once('close', () => this.#rejectLaterWaits())
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
   * Passes a chunk to Node's own `call`. An invalid chunk is refused by throwing, as Node does; but a piped one has no caller, so it fails
   * the stream.
   */
  #given(chunk, encoding, callback, call) {
    const [named, done] = typeof encoding === 'function' ? [undefined, encoding] : [encoding, callback]
    let bytes = chunk
    try {
      if (typeof chunk === 'string') bytes = bytesOfText(chunk, named ?? this.#encoding, 'chunk')
      else if (isBytes(chunk)) bytes = bytesOf(chunk, 'chunk', this.#format)
      else if (chunk !== null) throw invalidArgument('bytes', 'chunk', chunk)
    } catch (error) {
      if (this.#pipes === 0) throw error
      this.destroy(error)
      return false
    }
    return call.call(this, bytes, done)
  }

  /** Drops what was written but not heard yet. */
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

  /** Hands over `rest` of `chunk`, in as many pieces as there is space for. */
  #put(rest, chunk, callback) {
    // On a manual clock time waits for the bytes in this queue, so that backpressure does not cause a gap.
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
    // Also without an error of its own: `close` alone does not end a wait for `drain`.
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

  /** Emits `error` again for `events.once(stream, 'drain')`, which listens to `error` too: so a wait that begins after the end rejects as well. */
  #rejectLaterWaits() {
    const emitError = () => {
      if (this.listenerCount('drain') > 0) this.emit('error', this.errored ?? ended(this.requestId, 'it has completed'))
    }
    this.on('newListener', (type) => {
      if (type === 'drain') process.nextTick(emitError)
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

/** An error that Node can take, for whatever value a source has thrown. */
class Pumped extends Error {
  constructor(thrown) {
    super(describe(thrown))
    this.thrown = thrown
  }
}

/** Writes what a Readable or another iterable yields, in `format`, and ends with it. Any error of `audio` fails the stream. */
async function pump(audio, stream, format) {
  try {
    // Throws for a web stream that is locked or was read.
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

/** Returns true for the error of an aborted signal. */
function isAbort(thrown) {
  try {
    return thrown?.name === 'AbortError'
  } catch {
    return false
  }
}

module.exports = { SpeakerStream, pump }
