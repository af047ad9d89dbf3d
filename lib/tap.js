'use strict'

const { Readable } = require('node:stream')

/** The maximum number of frames on their way: the addon counts both queues together. */
const MAX_WAITING = 64

/** A Readable of what the output takes. Documented in index.d.ts. */
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

  /** Takes a frame from the addon. */
  take(chunk) {
    this.#held += 1
    try {
      this.push(chunk)
    } finally {
      this.#reportTaken()
    }
  }

  /** A listener that reads is waited for from the moment it is added. */
  on(event, listener) {
    super.on(event, listener)
    this.#reportTaken()
    return this
  }

  read(size) {
    const chunk = super.read(size)
    this.#reportTaken()
    return chunk
  }

  /** Does nothing: frames come by themselves. */
  _read() {}

  _destroy(error, callback) {
    this.#forget()
    this.#native.close()
    callback(error)
  }

  /** Reports taken frames to the addon. A full buffer without a reader is not waited for, or `advance` could wait for ever. */
  #reportTaken() {
    const taken = this.#held - this.readableLength
    this.#held -= taken
    this.#native.took(taken, this.readableFlowing !== null || this.readableLength < MAX_WAITING)
  }
}

module.exports = { SpeakerTap }
