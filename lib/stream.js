'use strict'

const { Writable } = require('node:stream')

const { SpeakerError } = require('./error')

const NOTHING = new Uint8Array(0)

/** A playback whose bytes its user writes. Documented in index.d.ts. */
class SpeakerStream extends Writable {
  #native
  #ask
  #stop
  #recorder
  #piped
  /** The write that waits for room: `{ chunk, callback }`. */
  #waiting
  /** Bytes in Node's own queue that were flushed while they waited there. */
  #flushed = 0
  /** Says that the tail was heard. */
  #heard
  #isOver = false

  /**
   * `native` is the addon's end, `finished` the promise of playback `requestId`; `ask` makes a call under a ticket, `stop` stops the
   * playback, `recorder` writes down what is written, if any does. `piped` says that whoever writes always has more at hand until the end.
   */
  constructor({ native, requestId, finished, ask, stop, recorder, piped }) {
    super()
    this.requestId = requestId
    this.finished = finished
    this.#native = native
    this.#ask = ask
    this.#stop = stop
    this.#recorder = recorder
    this.#piped = piped
    // Whoever listens to `failed` need not listen here too.
    this.on('error', () => {})
    finished.then(({ outcome }) => this.#over(outcome), (error) => this.#over('failed', error))
  }

  /** Drops what was written and not heard. */
  async flush() {
    const waiting = this.#take()
    this.#flushed = this.writableLength - (waiting?.chunk.length ?? 0)
    const flushed = this.#ask((ticket) => this.#native.flush(this.#piped || this.writableEnded, ticket))
    this.#record('flush')
    waiting?.callback()
    await flushed
  }

  _write(chunk, _encoding, callback) {
    if (this.#flushed > 0) {
      this.#flushed -= chunk.length
      callback()
    } else {
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
    this.#heard = callback
    this.#native.end()
    this.#record('end')
  }

  _destroy(error, callback) {
    if (!this.#isOver) {
      if (error) {
        this.#native.fail(`the stream failed: ${describe(error)}`)
        this.#record('end')
      } else {
        this.#stop()
        this.#native.write(NOTHING, false)
      }
    }
    const late = error ?? new SpeakerError('ERR_STREAM', 'Expected a playback that goes on for write but it has ended')
    this.#take()?.callback(late)
    callback(error)
  }

  #over(outcome, error) {
    this.#isOver = true
    if (outcome === 'completed' && this.#heard) this.#heard()
    else this.destroy(error)
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

/** Writes what a Readable or another AsyncIterable gives, and ends with it. Whatever goes wrong with `audio` fails the stream. */
async function pump(audio, stream) {
  let iterator
  // At once, even while a piece is awaited: a Readable's own iterator would wait for that.
  const close = async () => (typeof audio.destroy === 'function' ? audio.destroy() : iterator?.return?.())
  stream.once('close', () => close().catch(() => {}))
  try {
    // Throws for a web stream that somebody else reads, or has read.
    iterator = audio[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await iterator.next()
      if (stream.destroyed) return
      if (done) break
      if (!(value instanceof Uint8Array)) throw new TypeError(`it gave ${typeof value} where bytes were expected`)
      await new Promise((resolve) => stream.write(value, resolve))
    }
    stream.end()
  } catch (error) {
    stream.destroy(new Error(describe(error)))
  }
}

/** What was thrown, in words. Anything can be thrown, and not everything can be made a string. */
function describe(thrown) {
  try {
    return String(thrown?.message ?? thrown)
  } catch {
    return 'an error without a message'
  }
}

module.exports = { SpeakerStream, pump }
