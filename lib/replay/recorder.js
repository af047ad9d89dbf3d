'use strict'

// What a session is asked for, written down as it is taken: lines that parseRequests reads.

const { createWriteStream } = require('node:fs')
const path = require('node:path')
const { finished } = require('node:stream/promises')

const { recordedOptions } = require('../check')
const { SpeakerError } = require('../error')

/** What says nothing where the bytes of a stream are lines of their own. */
const UNWRITTEN = { audio: undefined, contentType: undefined, headers: undefined }

/** Writes nothing more once that has failed, of which the session tells. */
class Recorder {
  #file
  #native
  #isManual
  #zeroMs
  #closed

  /** Of a session with these checked options, made of `options`. */
  constructor({ record, output }, options, native) {
    this.#native = native
    this.#isManual = output.clock === 'manual'
    // It holds what URLs and headers hold.
    this.#file = createWriteStream(record, { mode: 0o600 })
    this.#file.on('error', (error) => this.#closed ?? native.report(complaint(error)))
    this.#write({ type: 'session', ...recordedOptions(options) })
  }

  /** The session's time begins now, if it has not yet; that of a realtime session. */
  begin() {
    this.#zeroMs ??= this.#native.nowMs()
  }

  /** A playback of a file or of bytes; `place` is where it is, as it was checked. */
  play(request, { path: file, url }) {
    const audioUrl = file === undefined ? url : path.resolve(file)
    this.request('play', { ...request, audioUrl, audio: request.audio && base64(request.audio) })
  }

  stream(request) {
    this.request('stream', { ...request, ...UNWRITTEN })
  }

  write(requestId, bytes) {
    this.request('write', { requestId, audio: base64(bytes) })
  }

  request(type, { signal, ...request } = {}) {
    if (!this.#closed) this.#write({ atMs: this.#atMs(), type, ...request })
  }

  /** The time on from which a request that is taken now is in force, in ms. */
  #atMs() {
    this.begin()
    const { timeMs } = this.#native.stats()
    // What is mixed already may be a frame ahead of the clock; in silence the clock goes on alone.
    const atMs = this.#isManual ? timeMs : Math.max(timeMs, this.#native.nowMs() - this.#zeroMs)
    return Math.round(atMs * 1000) / 1000 // far below a sample
  }

  /** The session is about to close. Settles when all is written; rejects if that fails now. */
  close() {
    // A replay ends where the session does, though something would play for ever.
    const isLive = !this.#closed && this.#native.playbacks().length > 0
    if (isLive) this.request('stop', { reason: 'closed', ...(this.#isManual && { fadeOutMs: 0 }) })
    return (this.#closed ??= this.#end())
  }

  async #end() {
    if (this.#file.destroyed) return // and that was told
    this.#file.end()
    await finished(this.#file).catch((error) => {
      throw new SpeakerError('ERR_RECORD', complaint(error))
    })
  }

  #write(line) {
    if (!this.#file.destroyed) this.#file.write(`${JSON.stringify(line)}\n`)
  }
}

function base64(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function complaint({ message }) {
  return `the recording can't be written: ${message}`
}

module.exports = { Recorder }
