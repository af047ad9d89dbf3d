'use strict'

const { bytesOf, formatOf, isSame } = require('./frames')

/**
 * One segment of an agent's speech: a stream for each run of frames of one format, so usually one stream. They queue on one track, so a
 * segment begins when the one before it has ended.
 */
class Segment {
  #session
  #request
  #maxAheadMs
  #logger
  /** `{ stream, format, writtenMs, reportedMs, endMs }` */
  #parts = []
  #isPaused
  #isOver = false
  #hasEnded = false
  #wasStopped = false
  /** The part that the listener missed, of all streams. */
  #unheardMs = 0
  #error
  #finish
  /** Callers that wait until the segment is less far ahead. */
  #waiting = []

  /** Resolves with `true` just after its first sample was handed to the output, with `false` if it ends without one. */
  started
  /**
   * Resolves once it is flushed or interrupted and silent: `{ positionMs, wasInterrupted, rest, error }`, where `rest` was played and not
   * reported by `progress`.
   */
  finished = new Promise((resolve) => (this.#finish = resolve))

  /** Starts with `frame`. Throws if the session refuses it. */
  constructor(session, request, { frame, isPaused, maxAheadMs, logger }) {
    this.#session = session
    this.#request = request
    this.#isPaused = isPaused
    this.#maxAheadMs = maxAheadMs
    this.#logger = logger
    this.#open(formatOf(frame))
    this.started = this.#parts[0].stream.finished.started
  }

  /** Takes one more frame; resolves when the next one may come. It never rejects, because a part may have been heard. */
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

  /** Ends the input after the last frame. */
  end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#last.stream.end()
    this.#settle()
  }

  /** Stops it at once: what plays, waits and is still to come. */
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

  /** Returns the part that was played since the last call, `{ offset, duration }` in ms, now that `requestId` has reached `positionMs`. */
  progress(requestId, positionMs) {
    const index = this.#parts.findIndex(({ stream }) => stream.requestId === requestId)
    const part = this.#parts[index]
    if (!part || positionMs <= part.reportedMs) return undefined
    const before = this.#parts.slice(0, index).reduce((sum, { writtenMs }) => sum + writtenMs, 0)
    const played = { offset: before + part.reportedMs, duration: positionMs - part.reportedMs }
    part.reportedMs = positionMs
    return played
  }

  get #last() {
    return this.#parts.at(-1)
  }

  #open(format) {
    const stream = this.#session.createStream({ ...this.#request, ...format, overlap: 'queue', stopOther: false })
    this.#last?.stream.end()
    const part = { stream, format, writtenMs: 0, reportedMs: 0, endMs: undefined }
    this.#parts.push(part)
    if (this.#isPaused) this.#call('pauseAudio')
    stream.finished.then(
      (result) => this.#partEnded(part, result),
      (error) => {
        // An agent's text may contain no sound.
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
    // A part that does not complete ends the rest of the segment too: the end of a sentence must not be heard alone.
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

  /** Calls a method of the session for every live part. */
  #call(method, options) {
    for (const { stream, endMs } of this.#parts) {
      if (endMs === undefined) this.#session[method]({ requestId: stream.requestId, ...options }).catch(() => {})
    }
  }

  /**
   * Returns true if the next frame must wait until one was played, because the segment is too far ahead. It need not in one that is paused or
   * over: an agent interrupts only once its frame was taken.
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
