'use strict'

const { inspect } = require('node:util')

/** What every failure of this package is. Documented in index.d.ts. */
class SpeakerError extends Error {
  constructor(code, message, details) {
    super(message)
    this.code = code
    Object.assign(this, details)
  }
}

Object.defineProperty(SpeakerError.prototype, 'name', { value: 'SpeakerError', configurable: true, writable: true })

/** A complaint in the one form: "Expected <what> for <argument> but received <value>". */
function refuse(expected, argument, received) {
  const shown = inspect(received, { depth: 0, maxStringLength: 100, breakLength: Infinity })
  const type = received === null || received === undefined ? '' : ` of type ${typeof received}`
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${shown}${type}`)
}

/** What the writer of a stream is told when its playback ended without a failure: how, and how much was heard if that is known. */
function ended(requestId, how, heard) {
  const message = `Expected a playback that goes on for stream '${requestId}' but ${how}`
  return new SpeakerError('ERR_ENDED', message, { requestId, ...heard })
}

module.exports = { SpeakerError, ended, refuse }
