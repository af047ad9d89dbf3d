'use strict'

const { Readable } = require('node:stream')

/** As many frames as may be on their way: the addon counts both together. */
const MAX_WAITING = 64

/** What the output is handed, to be read along. Documented in index.d.ts. */
class SpeakerTap extends Readable {
  #native
  #forget
  /** Frames that came, and that the addon does not know as taken. */
  #held = 0

  /** `native` is the addon's end; `forget` is called when nothing more is wanted. */
  constructor(native, forget) {
    super({ objectMode: true, highWaterMark: MAX_WAITING })
    this.#native = native
    this.#forget = forget
  }

  get dropped() {
    return this.#native.dropped()
  }

  /** One frame from the addon. */
  take(chunk) {
    this.#held += 1
    try {
      this.push(chunk)
    } finally {
      this.#tell()
    }
  }

  /** Who comes to read is waited for from the same moment. */
  on(event, listener) {
    super.on(event, listener)
    this.#tell()
    return this
  }

  read(size) {
    const chunk = super.read(size)
    this.#tell()
    return chunk
  }

  /** Frames come when they come. */
  _read() {}

  _destroy(error, callback) {
    this.#forget()
    this.#native.close()
    callback(error)
  }

  /** A full buffer that nobody reads is not waited for, or `advance` could wait for ever. */
  #tell() {
    const taken = this.#held - this.readableLength
    this.#held -= taken
    this.#native.took(taken, this.readableFlowing !== null || this.readableLength < MAX_WAITING)
  }
}

module.exports = { SpeakerTap }
