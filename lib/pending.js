'use strict'

const { SpeakerError } = require('./error')

/** A timer that never fires in earnest: the longest that Node has. It is what keeps the process alive. */
const FOREVER_MS = 0x7fffffff

/**
 * Promises of what the addon will tell, by a `requestId` or a ticket. While something is awaited, Node stays, and so does the
 * session, though nobody else may hold it; an idle one lets it go.
 */
class Pending {
  /** Oldest first: an id may be used again before its first end is told. */
  #lists = new Map()
  #count = 0
  #session
  #alive = undefined

  constructor(session) {
    this.#session = session
  }

  /** `{ promise, resolve, reject }`, until it is taken. */
  add(key) {
    const waiting = {}
    waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }))
    this.#lists.set(key, [...(this.#lists.get(key) ?? []), waiting])
    this.#count += 1
    this.#alive ??= setInterval(() => this.#session, FOREVER_MS)
    return waiting
  }

  /** The oldest of this key, if there is one, which is awaited no longer. */
  take(key) {
    const [waiting, ...later] = this.#lists.get(key) ?? []
    if (!waiting) return undefined
    if (later.length > 0) this.#lists.set(key, later)
    else this.#lists.delete(key)
    this.#count -= 1
    if (this.#count === 0) {
      clearInterval(this.#alive)
      this.#alive = undefined
    }
    return waiting
  }

  latest(key) {
    return this.#lists.get(key)?.at(-1)
  }

  /** A call that was given a ticket is done. */
  answer({ ticket, error }) {
    const { resolve, reject } = this.take(ticket)
    if (error) reject(new SpeakerError(error.code, error.message))
    else resolve()
  }

  /** A playback has come to its end. */
  settle(outcome, { requestId, reason, durationMs, positionMs, code, message }) {
    const waiting = this.take(requestId)
    if (!waiting) return
    if (outcome === 'failed') {
      const error = new SpeakerError(code, message, { requestId, durationMs, positionMs })
      // Where it was asked for is of more use than where it was told of.
      if (waiting.trace.stack) error.stack = waiting.trace.stack.replace(/^.*/, `${error}`)
      waiting.reject(error)
    } else if (outcome === 'stopped') {
      waiting.resolve({ requestId, outcome, reason, durationMs, positionMs })
    } else {
      waiting.resolve({ requestId, outcome, durationMs, positionMs })
    }
  }
}

module.exports = { Pending }
