'use strict'

const { SpeakerError, causeOf, closedFor, withCause } = require('./error')

/** The interval of a timer that only keeps the process alive: the longest that Node has. */
const FOREVER_MS = 0x7fffffff

/**
 * The pending promises of a session: playbacks by their number, calls by their ticket, marks by theirs; and the taps of playbacks, which end just
 * after their playback. While one is pending, the process stays alive, and so does the session, even if nothing else references it; an idle
 * session can be collected.
 */
class Pending {
  #playbacks = new Map()
  #tickets = new Map()
  #marks = new Map()
  #taps = new Set()
  /** The latest pending playback of each requestId. */
  #latest = new Map()
  #session
  #alive = undefined

  constructor(session) {
    this.#session = session
  }

  /**
   * Adds a playback; returns `{ promise, … }`. The promise has its `requestId`, and `started`, a promise of whether it starts. `given` holds the
   * fields of the request that are only copied into its events.
   */
  addPlayback({ playback, requestId }, given = {}) {
    const waiting = this.#add(this.#playbacks, playback)
    waiting.given = given
    const started = new Promise((resolve) => (waiting.start = resolve))
    Object.assign(waiting.promise, { requestId, started })
    this.#latest.set(requestId, waiting)
    return waiting
  }

  /** Adds a call of this name that is answered under a ticket. */
  addTicket(ticket, call) {
    return Object.assign(this.#add(this.#tickets, ticket), { call })
  }

  /** Adds a mark by its number. */
  addMark(mark) {
    return this.#add(this.#marks, mark)
  }

  /** Adds the tap of a playback. */
  addTap(tap) {
    this.#taps.add(tap)
    this.#keepAlive()
  }

  /** Removes a tap that has ended, if it is one of a playback. */
  endTap(tap) {
    this.#taps.delete(tap)
    this.#letGo()
  }

  /** Resolves a mark that was reached. */
  reach(mark, event) {
    this.#take(this.#marks, mark)?.resolve(event)
  }

  /** Returns the latest playback of a requestId if it is pending. */
  latest(requestId) {
    return this.#latest.get(requestId)
  }

  /** Returns the kept request of a playback and the fields that are only copied into its events: `{ request, given }`. */
  requested(playback) {
    return this.#playbacks.get(playback)
  }

  /** Returns the fields of a playback's request that are only copied into its events. */
  given(playback) {
    return this.#playbacks.get(playback)?.given
  }

  /** Keeps the error that a stream fails with; the addon knows only its text. */
  thrown(playback, error) {
    const waiting = this.#playbacks.get(playback)
    if (waiting) waiting.thrown = error
  }

  /** Resolves `started`: the first sample of a playback was handed over. */
  started(playback) {
    this.#playbacks.get(playback)?.start(true)
  }

  /** Settles the call with this ticket. */
  answer({ ticket, error }) {
    const { resolve, reject, call } = this.#take(this.#tickets, ticket)
    if (error) reject(new SpeakerError(error.code, closedFor(call, error), { cause: causeOf(error.cause) }))
    else resolve()
  }

  /** Settles a playback that has ended. */
  settle(outcome, playback, { requestId, reason, durationMs, positionMs, unheardMs, code, message, cause }) {
    const waiting = this.#take(this.#playbacks, playback)
    if (!waiting) return
    waiting.start(false)
    if (this.#latest.get(requestId) === waiting) this.#latest.delete(requestId)
    const heard = { durationMs, positionMs, ...(unheardMs !== undefined && { unheardMs }) }
    if (outcome === 'failed') {
      const error = withCause(new SpeakerError(code, message, { requestId, ...heard, cause: causeOf(cause) }), code === 'ERR_STREAM' ? waiting.thrown : undefined)
      // The stack of the request is of more use than that of the event.
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
    this.#keepAlive()
    return waiting
  }

  #take(map, key) {
    const waiting = map.get(key)
    map.delete(key)
    this.#letGo()
    return waiting
  }

  #keepAlive() {
    this.#alive ??= setInterval(() => this.#session, FOREVER_MS)
  }

  /** Lets the process exit if nothing is pending. */
  #letGo() {
    if ([this.#playbacks, this.#tickets, this.#marks, this.#taps].some(({ size }) => size > 0)) return
    clearInterval(this.#alive)
    this.#alive = undefined
  }
}

module.exports = { Pending }
