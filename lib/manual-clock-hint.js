'use strict'

// Whoever awaits a playback on the manual clock and never calls `advance` waits for ever, in silence: after a while they are told, once in the process.

const AFTER_MS = 1000

/** Whether somebody was told. */
let isTold = false

/** Looks whether a session's time is moved. */
class ManualClockHint {
  #timer

  /** Something waits for time to pass. */
  waits() {
    if (isTold || this.#timer) return
    this.#timer = setTimeout(() => {
      if (isTold) return
      isTold = true
      const message = 'A playback waits on the manual clock, whose time passes only in `advance`: call `await session.advance(ms)` before its promise is awaited, ' +
        'or `close({ drain: true })`, or leave `clock` out. See docs/testing.md.'
      process.emitWarning(message, { type: 'SpeakerSessionWarning', code: 'SPEAKER_SESSION_MANUAL_CLOCK' })
    }, AFTER_MS).unref()
  }

  /** Time is moved, or the session closed. */
  moves() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

module.exports = { ManualClockHint }
