'use strict'

// Awaiting a playback on the manual clock without ever calling `advance` hangs silently: this warns about it, once per process.

const AFTER_MS = 1000

/** True once the warning was given. */
let isShown = false

/** Watches whether a session's time is advanced. */
class ManualClockHint {
  #timer

  /** Called when something waits for time to pass. */
  waits() {
    if (isShown || this.#timer) return
    this.#timer = setTimeout(() => {
      if (isShown) return
      isShown = true
      const message = 'A playback waits on the manual clock, whose time passes only in `advance`: call `await session.advance(ms)` before its promise is awaited, ' +
        'or `close({ drain: true })`, or leave `clock` out. See docs/testing.md.'
      process.emitWarning(message, { type: 'SpeakerSessionWarning', code: 'SPEAKER_SESSION_MANUAL_CLOCK' })
    }, AFTER_MS).unref()
  }

  /** Called when time is advanced, or the session closed. */
  moves() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

module.exports = { ManualClockHint }
