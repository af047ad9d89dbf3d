'use strict'

const { SpeakerError, causeOf, closedFor, withCause } = require('./error')

/** A timer that never fires in earnest: the longest that Node has. It is what keeps the process alive. */
const FOREVER_MS = 0x7fffffff

/**
 * Promises of what the addon will tell: playbacks by their number, calls by their ticket, marks by theirs. While something is awaited, Node stays, and
 * so does the session, though nobody else may hold it; an idle one lets it go.
 */
class Pending {
  #playbacks = new Map()
  #tickets = new Map()
  #marks = new Map()
  /** The latest playback of each requestId that is awaited. */
  #latest = new Map()
  #session
  #alive = undefined

  constructor(session) {
    this.#session = session
  }

  /**
   * Adds a playback; returns `{ promise, … }`. The promise bears its `requestId`, and a promise of whether it starts. `given` is what the
   * request had that only comes back.
   */
  addPlayback({ playback, requestId }, given = {}) {
    const waiting = this.#add(this.#playbacks, playback)
    waiting.given = given
    const started = new Promise((resolve) => (waiting.start = resolve))
    Object.assign(waiting.promise, { requestId, started })
    this.#latest.set(requestId, waiting)
    return waiting
  }

  /** Adds a call of this name that answers under a ticket. */
  addTicket(ticket, call) {
    return Object.assign(this.#add(this.#tickets, ticket), { call })
  }

  /** Adds a mark, by its number. */
  addMark(mark) {
    return this.#add(this.#marks, mark)
  }

  /** A mark is reached. */
  reach(mark, event) {
    this.#take(this.#marks, mark)?.resolve(event)
  }

  /** Returns the latest playback of a requestId, if it is awaited. */
  latest(requestId) {
    return this.#latest.get(requestId)
  }

  /** Returns what the request of a playback had that only comes back. */
  given(playback) {
    return this.#playbacks.get(playback)?.given
  }

  /** What a stream is failed with, which the addon knows only in words. */
  thrown(playback, error) {
    const waiting = this.#playbacks.get(playback)
    if (waiting) waiting.thrown = error
  }

  /** The first sample of a playback was handed over. */
  started(playback) {
    this.#playbacks.get(playback)?.start(true)
  }

  /** Settles a call that was given a ticket. */
  answer({ ticket, error }) {
    const { resolve, reject, call } = this.#take(this.#tickets, ticket)
    if (error) reject(new SpeakerError(error.code, closedFor(call, error), { cause: causeOf(error.cause) }))
    else resolve()
  }

  /** Settles a playback that has come to its end. */
  settle(outcome, playback, { requestId, reason, durationMs, positionMs, unheardMs, code, message, cause }) {
    const waiting = this.#take(this.#playbacks, playback)
    if (!waiting) return
    waiting.start(false)
    if (this.#latest.get(requestId) === waiting) this.#latest.delete(requestId)
    const heard = { durationMs, positionMs, ...(unheardMs !== undefined && { unheardMs }) }
    if (outcome === 'failed') {
      const error = withCause(new SpeakerError(code, message, { requestId, ...heard, cause: causeOf(cause) }), code === 'ERR_STREAM' ? waiting.thrown : undefined)
      // Where it was asked for is of more use than where it was told of.
      if (waiting.trace) error.stack = waiting.trace.replace(/^.*/, () => `${error}`)
      waiting.reject(error)
    } else if (outcome === 'stopped') {
      waiting.resolve({ requestId, outcome, reason, ...heard })
    } else {
      waiting.resolve({ requestId, outcome, ...heard })
    }
  }

  #add(map, key) {
    const waiting = {}
    waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }))
    map.set(key, waiting)
    this.#alive ??= setInterval(() => this.#session, FOREVER_MS)
    return waiting
  }

  #take(map, key) {
    const waiting = map.get(key)
    map.delete(key)
    if (this.#playbacks.size === 0 && this.#tickets.size === 0 && this.#marks.size === 0) {
      clearInterval(this.#alive)
      this.#alive = undefined
    }
    return waiting
  }
}

module.exports = { Pending }
