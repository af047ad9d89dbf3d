'use strict'

const { SpeakerSession } = require('../..')
const check = require('../check')
const { listen, openSocket, parsed, send } = require('./socket')

const OPEN = 1
const FRAME_MS = 20
const OPTIONS = ['socket', 'codec', 'continuous', 'maxBufferedMs', 'clock', 'session']

/** A session that speaks into a phone call. Documented in index.d.ts. */
class SpeakerLine {
  #socket
  #codec
  #maxBufferedMs
  #session
  /** The time up to which frames were sent or dropped. */
  #sentMs = 0
  /** Sound before this time was interrupted: the far end has cleared it, or never gets it. */
  #clearedMs = 0
  /** The end time of the last playback that was heard. */
  #endedMs = 0
  #droppedFrames = 0
  /** Marks whose time was not sent yet, in order: `{ name, dueMs, settle }`. */
  #waiting = []
  /** Marks that the far end has not played yet, in order: `{ name, settle }`. */
  #sent = []
  #isLost = false

  constructor(options) {
    const { socket, codec, continuous, maxBufferedMs, clock, session = {} } = check.options(options, 'SpeakerLine', OPTIONS)
    if (typeof codec?.audio !== 'function' || typeof codec.clear !== 'function') throw check.invalidArgument('a codec', 'codec', codec)
    if (session?.output !== undefined) throw check.invalidArgument('options without an output', 'session', session)
    this.#socket = openSocket(socket)
    this.#codec = codec
    this.#maxBufferedMs = check.number(maxBufferedMs, 'maxBufferedMs', 1000, FRAME_MS, 60_000)
    const { format, sampleRate } = codec
    const onFrame = (frame, { atMs }) => this.#frame(frame, atMs)
    this.#session = new SpeakerSession({
      ...session,
      output: { type: 'pcm', clock, format, sampleRate, frameMs: FRAME_MS, continuous, onFrame }
    })
    this.#listen()
  }

  get session() {
    return this.#session
  }

  async interrupt(request = {}) {
    if (this.#goesOn(request)) return this.#session.interrupt(request)
    // The interruption takes effect at the call: frames that are sent while its promise settles were mixed before.
    const { interrupted, groups, atMs } = await this.#session.interrupt({ ...request, fadeOutMs: 0 })
    if (interrupted.length === 0) return { interrupted, groups, atMs }
    this.#clearedMs = atMs
    send(this.#socket, this.#codec.clear())
    const unsentMs = Math.max(0, this.#clearedMs - this.#sentMs)
    const sent = ({ group, heardMs }) => {
      const [positionMs = 0] = interrupted.filter((each) => each.group === group && each.positionMs > 0).map((each) => each.positionMs)
      // Groups that ended before were sent whole.
      return { group, heardMs: Math.max(0, heardMs - Math.min(unsentMs, positionMs)) }
    }
    return { interrupted, groups: groups.map(sent), atMs }
  }

  async mark(name, behind) {
    const { atMs } = await (typeof behind?.mark === 'function' ? behind.mark(name) : this.#session.mark(name, behind))
    // After the end of a playback no frame may follow that would reach the time of the mark.
    const dueMs = this.#session.stats().playing > 0 ? atMs : Math.min(atMs, this.#endedMs)
    return new Promise((settle) => {
      this.#waiting.push({ name, dueMs, settle })
      if (this.#isLost) this.#giveUp()
      else this.#sendMarks()
    })
  }

  receive(message) {
    const name = this.#codec.reached?.(parsed(message) ?? {})
    const index = this.#sent.findIndex((mark) => mark.name === name)
    if (index < 0) return false
    const [mark] = this.#sent.splice(index, 1)
    mark.settle(true)
    return true
  }

  stats() {
    return { droppedFrames: this.#droppedFrames }
  }

  async close(options) {
    try {
      await this.#session.close(options)
    } finally {
      this.#giveUp()
    }
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  #listen() {
    for (const type of ['completed', 'stopped', 'failed']) {
      this.#session.on(type, ({ atMs, durationMs }) => {
        if (durationMs > 0) this.#endedMs = atMs
      })
    }
    listen(this.#socket, {
      message: (data) => this.#sent.length > 0 && this.receive(data),
      close: () => this.#lose()
    })
  }

  /** Returns true if something plays on after an interruption: then the far end must not clear its buffer. */
  #goesOn(request) {
    if (typeof request !== 'object' || request === null) return true // the session refuses it
    const { fadeOutMs = 0, afterMs = 0, keep = [] } = request
    const isKept = ({ role, state }) => state === 'playing' && Array.isArray(keep) && keep.includes(role)
    return fadeOutMs > 0 || afterMs > 0 || this.#session.playbacks().some(isKept)
  }

  #frame(frame, atMs) {
    const clearedMs = this.#clearedMs - atMs
    if (clearedMs < FRAME_MS) {
      if (clearedMs > 0) frame = this.#without(frame, clearedMs)
      this.#sendAudio(this.#codec.audio(frame))
    }
    this.#sentMs = atMs + FRAME_MS
    this.#sendMarks()
  }

  /** Returns a frame with silence in place of its first `ms`, which were interrupted. */
  #without(frame, ms) {
    const bytes = frame.length / FRAME_MS
    const from = Math.round((ms * bytes) / 2) * 2
    const silence = { mulaw: 0xff, alaw: 0xd5 }[this.#codec.format] ?? 0
    return Buffer.from(frame).fill(silence, 0, Math.min(from, frame.length))
  }

  /** Sends speech, or drops it if it would come too late. */
  #sendAudio(text) {
    const most = (this.#maxBufferedMs / FRAME_MS) * text.length
    if (this.#socket.bufferedAmount <= most && send(this.#socket, text)) return
    this.#droppedFrames++
    if (this.#socket.readyState !== OPEN) this.#lose()
  }

  #sendMarks() {
    while (this.#waiting.length > 0 && this.#waiting[0].dueMs <= this.#sentMs) this.#sendMark(this.#waiting.shift())
  }

  #sendMark({ name, settle }) {
    if (!this.#codec.mark) return settle(true)
    if (send(this.#socket, this.#codec.mark(name))) this.#sent.push({ name, settle })
    else settle(false)
  }

  /** Handles the end of the socket: nothing is heard any more. */
  #lose() {
    if (this.#isLost) return
    this.#isLost = true
    this.#session.stopAudio({ reason: 'disconnected', fadeOutMs: 0 })
    this.close().catch(() => {}) // another caller of `close` gets the error
  }

  /** Settles the marks that will never be played. */
  #giveUp() {
    for (const { settle } of [...this.#waiting.splice(0), ...this.#sent.splice(0)]) settle(false)
  }
}

module.exports = { SpeakerLine }
