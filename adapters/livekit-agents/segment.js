'use strict'

const { bytesOf, formatOf, isSame } = require('./frames')

/**
 * One segment of an agent's speech: a stream for each run of frames of one format, so as a rule one stream. They queue on one track, so a
 * segment begins when the one before it is over.
 */
class Segment {
  #session
  #request
  #maxAheadMs
  #logger
  /** `{ stream, format, writtenMs, toldMs, endMs }` */
  #parts = []
  #isPaused
  #isOver = false
  #hasEnded = false
  #wasStopped = false
  /** What the listener missed, of all parts. */
  #unheardMs = 0
  #error
  #finish
  /** What waits until the segment is less far ahead. */
  #waiting = []

  /** Settles with `true` just after its first sample was handed to the output, with `false` if it ends without one. */
  started
  /**
   * Resolves once it is flushed or interrupted and nothing of it sounds any more: `{ positionMs, wasInterrupted, rest, error }`, where `rest`
   * has played and was not told by `progress`.
   */
  finished = new Promise((resolve) => (this.#finish = resolve))

  /** Begins with `frame`. Throws if the session refuses it. */
  constructor(session, request, { frame, isPaused, maxAheadMs, logger }) {
    this.#session = session
    this.#request = request
    this.#isPaused = isPaused
    this.#maxAheadMs = maxAheadMs
    this.#logger = logger
    this.#open(formatOf(frame))
    this.started = this.#parts[0].stream.finished.started
  }

  /** Takes one more frame; resolves when the next one may come. It never rejects, for a part of it may have been heard. */
  async write(frame) {
    if (this.#isOver || this.#hasEnded) return
    try {
      const format = formatOf(frame)
      if (!isSame(format, this.#last.format)) this.#open(format)
      this.#put(this.#last, bytesOf(frame))
    } catch (error) {
      this.#logger.error({ error }, 'a frame of the speech was left out')
      return
    }
    while (this.#mustWait()) await new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** The last frame was written. */
  end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#last.stream.end()
    this.#settle()
  }

  /** Ends it now, whatever of it sounds, waits or is still to come. */
  stop(reason, fadeOutMs) {
    this.#hasEnded = true
    this.#wasStopped = true
    this.#call('stopAudio', { reason, fadeOutMs })
    this.#goOn()
    this.#settle()
  }

  pause() {
    this.#isPaused = true
    this.#call('pauseAudio')
    this.#goOn()
  }

  resume() {
    this.#isPaused = false
    this.#call('resumeAudio')
  }

  /** Returns what has played since the last call, `{ offset, duration }` in ms, of which `requestId` has now come to `positionMs`. */
  progress(requestId, positionMs) {
    const index = this.#parts.findIndex(({ stream }) => stream.requestId === requestId)
    const part = this.#parts[index]
    if (!part || positionMs <= part.toldMs) return undefined
    const before = this.#parts.slice(0, index).reduce((sum, { writtenMs }) => sum + writtenMs, 0)
    const played = { offset: before + part.toldMs, duration: positionMs - part.toldMs }
    part.toldMs = positionMs
    return played
  }

  get #last() {
    return this.#parts.at(-1)
  }

  #open(format) {
    const stream = this.#session.createStream({ ...this.#request, ...format, overlap: 'queue', stopOther: false })
    this.#last?.stream.end()
    const part = { stream, format, writtenMs: 0, toldMs: 0, endMs: undefined }
    this.#parts.push(part)
    if (this.#isPaused) this.#call('pauseAudio')
    stream.finished.then(
      (result) => this.#partEnded(part, result),
      (error) => {
        // An agent may have nothing to say.
        if (error.code === 'ERR_EMPTY_SOURCE') this.#partEnded(part, { outcome: 'completed', positionMs: 0 })
        else this.#partEnded(part, error, error)
      }
    )
  }

  #put(part, bytes) {
    part.writtenMs += (bytes.length * 1000) / (part.format.sampleRate * part.format.channels * 2)
    part.stream.write(bytes, () => this.#goOn())
  }

  #partEnded(part, { outcome, positionMs = 0, unheardMs = 0 }, error) {
    part.endMs = positionMs
    this.#unheardMs += unheardMs
    this.#error ??= error
    // What does not end by itself takes the rest of the segment with it: nobody is to hear the end of a sentence alone.
    if (outcome !== 'completed') {
      this.#wasStopped = true
      this.#isOver = true
      this.#call('stopAudio')
      this.#goOn()
    }
    this.#settle()
  }

  #settle() {
    if (!this.#hasEnded || this.#parts.some(({ endMs }) => endMs === undefined)) return
    this.#isOver = true
    const heardMs = this.#parts.reduce((sum, { endMs }) => sum + endMs, 0) - this.#unheardMs
    const rest = this.#parts.map(({ stream, endMs }) => this.progress(stream.requestId, endMs))
    this.#finish({ positionMs: Math.max(heardMs, 0), wasInterrupted: this.#wasStopped, rest, error: this.#error })
  }

  /** Makes a call of the session's for every part that lives. */
  #call(method, options) {
    for (const { stream, endMs } of this.#parts) {
      if (endMs === undefined) this.#session[method]({ requestId: stream.requestId, ...options }).catch(() => {})
    }
  }

  /**
   * Nobody waits in a segment that is paused or over: an agent interrupts only once its frame was taken. Beyond the bound it waits for a
   * frame to be played, which is soon.
   */
  #mustWait() {
    if (this.#isPaused || this.#isOver || this.#hasEnded) return false
    const { stream, format } = this.#last
    return (stream.writableLength * 1000) / (format.sampleRate * format.channels * 2) > this.#maxAheadMs
  }

  #goOn() {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

module.exports = { Segment }
