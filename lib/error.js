'use strict'

/** What every failure of this package is. Documented in index.d.ts. */
class SpeakerError extends Error {
  constructor(code, message, details) {
    super(message)
    this.code = code
    Object.assign(this, details)
  }
}

Object.defineProperty(SpeakerError.prototype, 'name', { value: 'SpeakerError', configurable: true, writable: true })

module.exports = { SpeakerError }
