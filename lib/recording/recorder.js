'use strict'

// Writes the requests of a session to a file as they are accepted, as lines that parseRequests reads.

const { createWriteStream } = require('node:fs')
const path = require('node:path')
const { finished } = require('node:stream/promises')

const { SpeakerError } = require('../error')
const { masked } = require('./masked')
const { recordedOptions } = require('./session-line')

/** Fields of a stream that are left out, because its bytes are lines of their own. */
const UNWRITTEN = { audio: undefined, contentType: undefined, headers: undefined }

/** The file of the option `record`. After a write error it is reported once and nothing more is written. */
class Recorder {
  #file
  #native
  #isManual
  #keepsSecrets
  #closed

  /** The first argument are the checked options of the session, `options` the ones it was given. */
  constructor({ record, recordsSecrets, output }, options, native) {
    this.#native = native
    this.#keepsSecrets = recordsSecrets
    this.#isManual = output.clock === 'manual'
    // Readable by its owner only, because it may hold secrets, and who speaks.
    this.#file = createWriteStream(record, { mode: 0o600 })
    this.#file.on('error', (error) => this.#closed ?? native.report(complaint(error)))
    this.#write({ type: 'session', ...recordedOptions(options) })
  }

  /**
   * Returns the session's time, in ms, from which a request that is made now is in force. Asked before it is made: what follows
   * from it can't begin before.
   */
  nowMs() {
    return Math.round(this.#native.requestTimeMs() * 1000) / 1000 // far below a sample
  }

  /** Writes a playAudio request for a file, URL or buffer; the second argument is the checked request. */
  play(request, { path: file, url }, atMs) {
    const audioUrl = file === undefined ? url : path.resolve(file)
    const given = { ...request, audioUrl, audio: request.audio && base64(request.audio) }
    this.request('play', this.#keepsSecrets ? given : masked(given), atMs)
  }

  stream(request, atMs) {
    this.request('stream', { ...request, ...UNWRITTEN }, atMs)
  }

  write(requestId, bytes) {
    this.request('write', { requestId, audio: base64(bytes) })
  }

  /** Writes a request of any type; `atMs` is what `nowMs` returned before it was made. */
  request(type, { signal, ...request } = {}, atMs = this.nowMs()) {
    if (!this.#closed) this.#write({ atMs, type, ...request })
  }

  /** Called when the session is about to close. Settles when everything is written; rejects if writing fails now. */
  close() {
    // A stop as the last line, so that a replay ends where the session did, even if something loops for ever.
    const isLive = !this.#closed && this.#native.playbacks().length > 0
    if (isLive) this.request('stop', { reason: 'closed', ...(this.#isManual && { fadeOutMs: 0 }) })
    return (this.#closed ??= this.#end())
  }

  async #end() {
    if (this.#file.destroyed) return // and the error was reported
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
