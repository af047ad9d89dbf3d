'use strict'

const { Readable } = require('node:stream')

const CONTENT_TYPES = { opus: 'audio/ogg; codecs=opus', mp3: 'audio/mpeg', wav: 'audio/wav' }

/** A Readable of the encoded mix. Documented in index.d.ts. */
class SpeakerAudioStream extends Readable {
  #native
  #forget
  /** Set while the addon had nothing to read. */
  #waits = false

  /** `native` is the addon's end, `codec` the output's; `forget` is called when nothing more is wanted. */
  constructor(native, codec, forget) {
    // Sound that waits stays in the addon, which drops it where the stream can still be decoded.
    super({ highWaterMark: 1 })
    this.#native = native
    this.#forget = forget
    this.contentType = CONTENT_TYPES[codec]
  }

  get droppedMs() {
    return this.#native.dropped() * 20
  }

  /** Notes that there may be something to read. */
  wake() {
    if (this.#waits) this._read()
  }

  /** A consumer is waited for on a manual clock from the moment it is added. */
  on(event, listener) {
    super.on(event, listener)
    this.#hold()
    return this
  }

  _read() {
    this.#hold()
    const bytes = this.#native.read()
    this.#waits = bytes === null
    if (this.#waits) return
    if (bytes.length > 0) {
      this.push(bytes)
    } else {
      this.#forget()
      this.push(null)
    }
  }

  _destroy(error, callback) {
    this.#forget()
    this.#native.close()
    callback(error)
  }

  #hold() {
    this.#native.hold(this.readableFlowing !== null)
  }
}

module.exports = { CONTENT_TYPES, SpeakerAudioStream }
