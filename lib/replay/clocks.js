'use strict'

// The two ways in which a session's time passes, behind one interface: reach a time, or let a little more of it pass.

const { setTimeout: sleep } = require('node:timers/promises')

const { MAX_MS } = require('../check/values')

/** One frame of the mixer. */
const STEP_MS = 20

/** The most time that is mixed in one call, so that a signal is noticed soon. */
const STRIDE_MS = 1000

/** Time of a session on the manual clock, advanced as fast as it can mix. */
class ManualClock {
  #session

  constructor(session) {
    this.#session = session
  }

  async reach(atMs) {
    // From the session's time and not from the last target, so that rounding to samples does not add up.
    let left = atMs - this.#session.stats().timeMs
    while (left > 0) {
      // Silence passes at once, however long it is.
      const stride = this.#session.playbacks().length > 0 ? Math.min(left, STRIDE_MS) : left
      await this.#session.advance(stride)
      left -= stride
    }
  }

  step() {
    return this.#session.advance(STEP_MS)
  }

  /** Reaches the end of everything that plays, and closes the session there. */
  drain() {
    return this.#session.close({ drain: true, withinMs: MAX_MS })
  }
}

/** Wall-clock time, for a session that plays by itself. */
class RealtimeClock {
  #signal
  #begunAt

  constructor(signal, begunAt = performance.now()) {
    this.#signal = signal
    this.#begunAt = begunAt
  }

  async reach(atMs) {
    const left = this.#begunAt + atMs - performance.now()
    if (left > 0) await sleep(left, undefined, { signal: this.#signal })
  }

  step() {
    return sleep(STEP_MS, undefined, { signal: this.#signal })
  }
}

module.exports = { ManualClock, RealtimeClock }
