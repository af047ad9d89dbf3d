'use strict'

// Writes the requests of a session to a file as they are accepted, as lines that parseRequests reads.

const path = require('node:path')

const { base64Encoded } = require('../bytes')
const { sourceOf } = require('../clip')
const { SpeakerError } = require('../error')
const { masked } = require('./masked')
const { recordedOptions } = require('./session-line')

/** Fields that are left out for a stream, because its bytes are lines of their own. */
const UNWRITTEN = { audio: undefined, contentType: undefined, headers: undefined }

/** Fields that are left out for bytes: they are recorded as a file, which states them itself. */
const UNENCODED = { format: undefined, sampleRate: undefined, channels: undefined }

/** The maximum number of characters that may wait to be written: audio from memory is among them. */
const MAX_WAITING = 256 * 2 ** 20
/** The maximum number written at once, except for a longer line. */
const AT_ONCE = 2 ** 20

/** The writer of the option `record`. An error is reported once, and nothing more is written after it. */
class Recorder {
  #native
  #file
  #ask
  #isManual
  #keepsSecrets
  #closed
  /** During a drain: its latest end, and whether that stopped something. */
  #drainedAtMs = Infinity
  #isCutOff = false
  /** The time of the latest request. */
  #latestMs = 0
  /** Lines waiting for the ones before them to be written, and their characters. */
  #waiting = []
  #length = 0
  /** Settles when nothing waits to be written; undefined if nothing does. */
  #writing
  #failure

  /** The first argument is the validated options of the session, `options` the ones it was given; `ask` makes a call that is answered later. */
  constructor({ record, recordsSecrets, output }, options, native, ask) {
    this.#native = native
    this.#file = native.recorder(path.resolve(record))
    this.#ask = ask
    this.#keepsSecrets = recordsSecrets
    this.#isManual = output.clock === 'manual'
    this.#write({ type: 'session', ...recordedOptions(options) })
  }

  /**
   * Returns the session's time, in ms, from which a request made now is in force. Read before the request is made: what follows from it
   * can't begin earlier.
   */
  nowMs() {
    return Math.round(this.#native.requestTimeMs() * 1000) / 1000 // far below a sample
  }

  /**
   * Writes a playAudio request for a file, URL, buffer (or a `data:` URL, which is one) or clip, which is recorded as its source; the second
   * argument is the validated request.
   */
  play(request, { path: file, url, clip, audio, contentType, headers }, atMs) {
    const audioUrl = file === undefined ? url : path.resolve(file)
    const source = clip ? sourceOf(clip) : { audioUrl, audio, contentType, headers: headers.length > 0 ? Object.fromEntries(headers) : undefined }
    const given = { ...request, ...UNENCODED, ...source }
    given.audio = given.audio && base64Encoded(given.audio)
    this.request('play', this.#keepsSecrets ? given : masked(given), atMs)
  }

  stream(request, atMs) {
    this.request('stream', { ...request, ...UNWRITTEN }, atMs)
  }

  write(requestId, bytes) {
    this.request('write', { requestId, audio: base64Encoded(bytes) })
  }

  /** Writes a request of any type, without the fields that are of use only to its caller; `atMs` is what `nowMs` returned before it was made. */
  request(type, { signal, context, ...request } = {}, atMs = this.nowMs()) {
    if (this.#closed) return
    this.#latestMs = Math.max(this.#latestMs, atMs)
    this.#write({ atMs, type, ...request })
  }

  /** Notes a drain of at most this length; of two drains the one that ends first holds. */
  drain(withinMs) {
    this.#drainedAtMs = Math.min(this.#drainedAtMs, this.nowMs() + withinMs)
  }

  /** Notes that a playback was stopped for this reason. */
  stopped(reason) {
    this.#isCutOff ||= reason === 'closed' && this.#drainedAtMs < Infinity
  }

  /** Called when the session is about to close, or has drained and is closed. Settles when everything is written; rejects if writing fails now. */
  close() {
    // A stop as the last line, so that a replay ends where the session did, even if something loops for ever.
    const isLive = !this.#closed && this.#native.playbacks().length > 0
    const stop = { reason: 'closed', ...(this.#isManual && { fadeOutMs: 0 }) }
    if (isLive) this.request('stop', stop)
    else if (this.#isCutOff) this.request('stop', stop, Math.max(this.#drainedAtMs, this.#latestMs))
    return (this.#closed ??= this.#end())
  }

  async #end() {
    const alreadyTold = this.#failure
    await this.#writing
    this.#file = undefined
    if (this.#failure && !alreadyTold) throw this.#failure
  }

  #write(line) {
    if (this.#failure) return
    const text = `${JSON.stringify(line)}\n`
    this.#length += text.length
    this.#waiting.push(text)
    if (this.#length > MAX_WAITING && this.#writing) {
      this.#fail(new SpeakerError('ERR_RECORD', `the recording can't be written: ${this.#length} characters wait for the disk`))
    }
    this.#writing ??= this.#writeAll()
  }

  /** Writes what waits. Awaited by the session too, so that the process stays alive until it is done: that takes bounded time. */
  async #writeAll() {
    // Lines of the same tick are written together.
    await undefined
    while (this.#waiting.length > 0) {
      let [count, length] = [0, 0]
      while (count < this.#waiting.length && (count === 0 || length + this.#waiting[count].length <= AT_ONCE)) {
        length += this.#waiting[count++].length
      }
      const text = this.#waiting.splice(0, count).join('')
      try {
        await this.#ask((ticket) => this.#file.write(text, ticket))
        this.#length -= length
      } catch (error) {
        this.#fail(error)
      }
    }
    this.#writing = undefined
  }

  #fail(error) {
    if (this.#failure) return
    this.#failure = error
    this.#waiting = []
    // Otherwise `close` reports it.
    if (!this.#closed) this.#native.report(error.message)
  }
}

module.exports = { Recorder }
