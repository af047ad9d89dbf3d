'use strict'

const { randomUUID } = require('node:crypto')
const { EventEmitter } = require('node:events')

const { aborted, onAbort, throwIfAborted } = require('./abort')
const check = require('./check')
const { useEnvironment } = require('./environment')
const { SpeakerError, closedFor, describe, invalidArgument } = require('./error')
const { AudioServer } = require('./audio-server')
const { SpeakerAudioStream } = require('./audio-stream')
const { bell, listen } = require('./bell')
const { nativeClip } = require('./clip')
const { describedOptions, describeSession, keptRequest } = require('./description')
const log = require('./log')
const { provideToken } = require('./livekit/provide-token')
const { Rpc } = require('./livekit/rpc')
const { makeClip } = require('./make-clip')
const { ManualClockHint } = require('./manual-clock-hint')
const { NativeSession, cache, capacity, configure, metrics, processStats } = require('./native')
const { probe } = require('./probe')
const { Pending } = require('./pending')
const { Recorder } = require('./recording/recorder')
const { SpeakerStream, pump } = require('./stream')
const { SpeakerTap } = require('./tap')
const { SpeakerTrack } = require('./track')
const { SpeakerVoice, nativeVoice } = require('./voice')

/** Events for what others in a room send besides sound. */
const DATA_EVENTS = ['data', 'text']

/** Passes what the bell brings to a session; set inside the class, because nothing else may call it. */
let receive

class SpeakerSession extends EventEmitter {
  #native
  #output
  #onDuplicate
  #loudness
  #recorder
  /** The options that its description holds. */
  #options
  /** The hand-over that waits for another session to take this one's place: `{ settings, requests, resolve, reject }`. */
  #handOver
  /** The promises of adopted playbacks. */
  #adopted = []
  /** Set on the manual clock. */
  #hint
  #pending = new Pending(this)
  /** Taps and voices by the id in their frames. */
  #taps = new Map()
  /** Streams of the encoded mix that have not ended. */
  #audioStreams = new Set()
  /** Set for an output that is served. */
  #server
  #rpc = new Rpc((rpc, to) => this.#ask('performRpc', (ticket) => this.#native.sendRpc(rpc, to, ticket)), () => this.#hear())
  #lastTicket = 0
  #lastTap = 0

  constructor(options) {
    super()
    const checked = check.sessionOptions(options)
    useEnvironment(checked.network)
    this.#output = { ...checked.output, onFrame: options.output.onFrame, token: options.output.token }
    if (checked.output.clock === 'manual') this.#hint = new ManualClockHint()
    this.#options = describedOptions(options)
    this.#onDuplicate = checked.onDuplicate
    this.#loudness = checked.loudness
    this.#native = taken(NativeSession.open(checked, bell))
    if (checked.output.type === 'http') this.#server = new AudioServer(this, checked.output.server, checked.output.codec)
    listen(this.#native.number, this, receive)
    if (checked.logger) log.add(this, checked.logger)
    if (checked.record) this.#recorder = new Recorder(checked, options, this.#native, (call) => this.#ask('record', call))
  }

  async connect(options) {
    const { signal } = check.connectOptions(options)
    throwIfAborted(signal)
    const connected = this.#ask('connect', (ticket) => this.#native.connect(ticket))
    const ticket = this.#lastTicket
    onAbort(signal, connected, () => this.#native.abandon(ticket))
    await connected.catch((error) => {
      throw error.code === 'ERR_ABORTED' ? aborted(error.message, signal) : error
    })
  }

  playAudio(request) {
    try {
      const checked = check.playRequest(request)
      throwIfAborted(checked.signal)
      if (checked.encoding) {
        const stream = this.#stream(request, checked, 'playAudio')
        pump(checked.body, stream, checked.encoding.format)
        return stream.finished
      }
      const atMs = this.#recorder?.nowMs()
      const accepted = taken(this.#play(checked), 'playAudio')
      this.#recorder?.play({ ...request, requestId: accepted.requestId }, checked, atMs)
      return this.#result(accepted, checked, this.playAudio)
    } catch (error) {
      return this.#joined(request, error) ?? refused(error)
    }
  }

  createStream(request) {
    const checked = check.streamRequest(request)
    throwIfAborted(checked.signal)
    return this.#stream(request, checked, 'createStream')
  }

  async stopAudio(target) {
    return { stopped: this.#stop(target) }
  }

  async pauseAudio(target) {
    const checked = check.pauseRequest(target)
    return { paused: this.#recorded('pause', target, () => this.#native.pause(checked)) }
  }

  async resumeAudio(target) {
    const checked = check.resumeRequest(target)
    return { resumed: this.#recorded('resume', target, () => this.#native.resume(checked)) }
  }

  async seekAudio(request) {
    const { target, positionMs } = check.seekRequest(request)
    return { sought: this.#recorded('seek', request, () => taken(this.#native.seek(target, positionMs), 'seekAudio')) }
  }

  mark(name, target) {
    return this.#mark(() => {
      const checked = check.markRequest(name, target)
      return (mark) => this.#native.mark(checked.name, mark, checked.target)
    })
  }

  async setVolume(request) {
    const checked = check.volumeRequest(request)
    return { changed: this.#recorded('volume', request, () => this.#native.setVolume(checked)) }
  }

  async setMuted(request) {
    const { trackId, muted } = check.muteRequest(request)
    const mute = () => taken(this.#native.setMuted(trackId, muted), 'setMuted')
    // In a room it changes no sample that is sent, and is no request to play.
    if (this.#output.type === 'livekit') mute()
    else this.#recorded('mute', request, mute)
  }

  track(id) {
    const trackId = check.trackId(id)
    const name = this.#output.tracks.find((track) => track.trackId === trackId)?.name
    return new SpeakerTrack(trackId, name, this.#trackCalls())
  }

  async unpublish(trackId) {
    const checked = check.trackId(trackId)
    this.#expectOutput('livekit', 'unpublish')
    const stop = { trackId: checked, reason: 'unpublished' }
    await this.#recorded('stop', stop, () => this.#ask('unpublish', (ticket) => this.#native.unpublish(checked, ticket)))
  }

  async setAttributes(attributes) {
    await this.#describe('setAttributes', { attributes: check.attributes(attributes) })
  }

  async setMetadata(metadata) {
    await this.#describe('setMetadata', { metadata: check.text(metadata, 'metadata') })
  }

  async setName(name) {
    await this.#describe('setName', { name: check.text(name, 'name') })
  }

  async sendData(payload, options) {
    const { bytes, topic, reliable, to } = check.dataRequest(payload, options)
    this.#expectOutput('livekit', 'sendData')
    await this.#ask('sendData', (ticket) => this.#native.sendData(bytes, topic, reliable, to, ticket))
  }

  async sendText(text, options) {
    const { to, ...checked } = check.textRequest(text, options)
    this.#expectOutput('livekit', 'sendText')
    const sent = { ...checked, id: randomUUID(), timestamp: Date.now() }
    await this.#ask('sendText', (ticket) => this.#native.sendText(sent, to, ticket))
  }

  async performRpc(request) {
    const checked = check.callRequest(request)
    this.#expectOutput('livekit', 'performRpc')
    return this.#rpc.perform(checked)
  }

  registerRpc(method, handler) {
    const name = check.method(method, handler)
    this.#expectOutput('livekit', 'registerRpc')
    this.#rpc.register(name, handler)
  }

  unregisterRpc(method) {
    this.#rpc.unregister(check.methodName(method))
  }

  on(type, listener) {
    if (DATA_EVENTS.includes(type)) this.#hear(type)
    return super.on(type, listener)
  }

  addListener(type, listener) {
    return this.on(type, listener)
  }

  prependListener(type, listener) {
    if (DATA_EVENTS.includes(type)) this.#hear(type)
    return super.prependListener(type, listener)
  }

  async moveAudio(request) {
    const checked = check.moveRequest(request)
    return { moved: this.#recorded('move', request, () => this.#native.move(checked)) }
  }

  async interrupt(request) {
    const checked = check.interruptRequest(request)
    const { interrupted, ...details } = this.#recorded('interrupt', request, () => this.#native.interrupt(checked))
    return { interrupted: interrupted.map(({ state, queuePosition, ...stopped }) => stopped), ...details }
  }

  describe(options) {
    const settings = check.describeOptions(options)
    return this.#described(this.#native.snapshot(settings.maxBufferBytes), settings)
  }

  async handOver(options) {
    const { fadeMs, afterMs, whenReplaced, maxBufferBytes } = check.handOverOptions(options)
    if (whenReplaced) return this.#handOverWhenReplaced(maxBufferBytes)
    const handOver = { atMs: Date.now() + afterMs, afterMs, fadeMs }
    const stop = { reason: 'handedOver', afterMs, fadeOutMs: fadeMs }
    return this.#described(this.#recorded('interrupt', stop, () => this.#native.handOver(afterMs, fadeMs, maxBufferBytes)), { maxBufferBytes, handOver })
  }

  adopt(description) {
    return this.#adopt(check.description(description))
  }

  static restore(description, options) {
    const checked = check.description(description)
    const { channels, ...described } = checked.options
    const output = options?.output
    const isObject = typeof output === 'object' && output !== null
    const session = new this({ ...described, ...options, output: isObject ? { ...output, channels: output.channels ?? channels } : output })
    try {
      session.#adopt(checked)
    } catch (error) {
      quiet(session.close())
      throw error
    }
    return session
  }

  get adopted() {
    return [...this.#adopted]
  }

  static configure(options) {
    configure(check.processOptions(options))
  }

  static cache(options) {
    const { maxBytes } = check.cacheOptions(options)
    return cache(maxBytes)
  }

  static async clip(source) {
    return makeClip(source)
  }

  static async probe(source, options) {
    return probe(source, options)
  }

  static processStats() {
    return processStats()
  }

  static capacity() {
    const { sessionsLeft = null, ...known } = capacity()
    return { ...known, sessionsLeft }
  }

  static metrics() {
    const { requests, started, completed, stopped, failures, ...counted } = metrics()
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0)
    return { ...processStats(), requests, started, completed, stopped, failed, failures, ...counted, cache: cache(), capacity: SpeakerSession.capacity() }
  }

  /** Adds a listener of the log, or does what EventEmitter's own `on` is for. */
  static on(type, listener, ...rest) {
    if (typeof type !== 'string') return EventEmitter.on(type, listener, ...rest)
    expectLog(type)
    log.on(listener)
    return this
  }

  static off(type, listener) {
    expectLog(type)
    log.off(listener)
    return this
  }

  get id() {
    return this.#native.id
  }

  get url() {
    return this.#server?.url
  }

  get connection() {
    return this.#native.connection
  }

  get localParticipant() {
    return this.#native.localParticipant
  }

  participants() {
    return this.#native.participants()
  }

  playbacks() {
    return this.#native.playbacks()
  }

  stats() {
    return this.#native.stats()
  }

  async advance(ms) {
    const checked = check.duration(ms)
    this.#hint?.moves()
    await this.#ask('advance', (ticket) => this.#native.advance(checked, ticket))
  }

  recording() {
    this.#expectOutput('memory', 'recording')
    const samples = zeros(this.#native.recordingLength())
    this.#native.copyRecording(samples)
    return { sampleRate: 48000, channels: this.#output.channels, samples }
  }

  tap(options) {
    const checked = check.tapOptions(options, this.#output.channels)
    const { requestId } = checked
    if (requestId !== undefined && !this.#pending.latest(requestId)) throw invalidArgument('the id of a live playback', 'requestId', requestId)
    const id = ++this.#lastTap
    const native = taken(this.#native.tap(id, checked), 'tap')
    // It references the session: its reader may reference nothing else.
    const tap = new SpeakerTap(native, () => this.#forgetTap(id))
    this.#taps.set(id, tap)
    if (requestId !== undefined) this.#pending.addTap(id)
    return tap
  }

  audioStream() {
    const { type, codec } = this.#output
    if (!this.#output.codec) {
      throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', `Expected output.type 'stream' or 'http' for audioStream but received '${type}'`)
    }
    const native = taken(this.#native.audioStream(), 'audioStream')
    // It references the session: its reader may reference nothing else.
    const stream = new SpeakerAudioStream(native, codec, () => this.#audioStreams.delete(stream))
    this.#audioStreams.add(stream)
    return stream
  }

  listen(options) {
    this.#expectOutput('livekit', 'listen')
    const { identity, track, frames } = check.listenOptions(options)
    const id = ++this.#lastTap
    const native = taken(this.#native.listen(id, identity, track, frames), 'listen')
    const voice = new SpeakerVoice(native, () => this.#forgetTap(id))
    this.#taps.set(id, voice)
    return voice
  }

  async close(options) {
    const { drains, withinMs } = check.closeOptions(options)
    this.#hint?.moves()
    // Writes and stops during a drain are recorded too.
    if (drains) this.#recorder?.drain(withinMs)
    else this.#endRecording()
    let recorded
    try {
      await this.#ask('close', (ticket) => (drains ? this.#native.drain(withinMs, ticket) : this.#native.close(ticket)))
    } finally {
      recorded = this.#endRecording()
      log.remove(this.id)
      this.#handOver?.reject(new SpeakerError('ERR_CLOSED', 'Expected an open session for handOver but it is closed'))
      // The last frames came before the answer.
      for (const id of [...this.#taps.keys()]) this.#endTap(id)
      this.#server?.close()
    }
    await recorded
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  /**
   * Requests data from the room only while there are listeners: otherwise the room needs no channels for it. `begun` is the event whose first listener is
   * being added.
   */
  #hear(begun) {
    const [data, text] = DATA_EVENTS.map((type) => type === begun || this.listenerCount(type) > 0)
    this.#native.hearData(data, text, this.#rpc.isUsed)
  }

  async #describe(call, { name, metadata, attributes = {} }) {
    this.#expectOutput('livekit', call)
    await this.#ask(call, (ticket) => this.#native.describe(name, metadata, attributes, ticket))
  }

  /** Returns the session's methods that a track calls. */
  #trackCalls() {
    return {
      setVolume: (trackId, checked, change) => {
        this.#recorded('trackVolume', { trackId, ...change }, () => taken(this.#native.setTrackVolume(trackId, checked), 'setVolume'))
      },
      setPan: (trackId, { pan, fadeMs }, change) => {
        if (this.#output.channels !== 2) throw invalidArgument('an output of 2 channels beside it', 'pan', pan)
        this.#recorded('trackPan', { trackId, ...change }, () => taken(this.#native.setTrackPan(trackId, pan, fadeMs), 'setPan'))
      },
      setMuted: (request) => this.setMuted(request),
      stats: (trackId) => this.#native.trackStats(trackId),
      tap: (options) => this.tap(options)
    }
  }

  #described(snapshot, settings, requests = (playback) => this.#pending.requested(playback)) {
    return describeSession(this.#options, snapshot, requests, settings)
  }

  /** Resolves once another session has taken this one's place in the room. */
  #handOverWhenReplaced(maxBufferBytes) {
    this.#expectOutput('livekit', 'handOver')
    if (this.#handOver) throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', 'Expected one handOver at a time but received a second')
    this.#native.handOverWhenReplaced(true)
    return new Promise((resolve, reject) => (this.#handOver = { maxBufferBytes, requests: new Map(), resolve, reject }))
  }

  /** Settles a hand-over that waits, if what happened was the one that it waits for. */
  #endHandOver() {
    const snapshot = this.#handOver && this.#native.takeHandedOver(this.#handOver.maxBufferBytes)
    if (!snapshot) return
    const { maxBufferBytes, requests, resolve } = this.#handOver
    this.#handOver = undefined
    resolve(this.#described(snapshot, { maxBufferBytes }, (playback) => requests.get(playback)))
  }

  #adopt({ playbacks, tracks, handOver }) {
    if (this.#recorder) {
      const message = "Expected a session without `record` for what goes on, which can't be replayed, but received one with it"
      throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', message)
    }
    for (const { request: { requestId } } of playbacks) {
      if (this.#pending.latest(requestId)) throw invalidArgument('requestIds that are not live', 'adopt', requestId)
    }
    tracks.forEach((track) => this.#adoptTrack(track))
    const isManual = this.#output.clock === 'manual'
    const holdMs = handOver && !isManual ? Math.min(Math.max(handOver.atMs - Date.now(), 0), handOver.afterMs) : 0
    const adopted = playbacks.map(({ request, continued }) => {
      try {
        const checked = { ...request, continued: { ...continued, holdMs, fadeInMs: handOver?.fadeMs ?? 0 } }
        return this.#result(taken(this.#play(checked), 'adopt'), checked, this.adopt)
      } catch (error) {
        return refused(error)
      }
    })
    this.#adopted.push(...adopted)
    return adopted
  }

  #adoptTrack({ trackId, volume, gain, pan, muted, volumeFade, panFade }) {
    taken(this.#native.setTrackVolume(trackId, { volume, gain, fadeMs: 0 }), 'adopt')
    const isStereo = this.#output.channels === 2
    if (isStereo) this.#native.setTrackPan(trackId, pan, 0)
    this.#native.goOnFading(trackId, [volumeFade, isStereo ? panFade : undefined].filter((fade) => fade))
    if (muted) this.#native.setMuted(trackId, true)
  }

  #play(request) {
    const checked = this.#levelled(request)
    if (checked.clip) return this.#native.playClip(checked, nativeClip(checked.clip))
    if (!checked.voice) return this.#native.play(checked)
    if (this.#recorder) {
      const message = "Expected a session without `record` for a voice, which can't be replayed, but received one with it"
      throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', message)
    }
    return this.#native.playVoice(checked, nativeVoice(checked.voice))
  }

  /** Returns a request with the session's loudness, unless it has its own. */
  #levelled(checked) {
    const { loudness = this.#loudness } = checked
    return { ...checked, loudness: loudness || undefined }
  }

  /** Returns a stream that was requested by the method `name`. */
  #stream(request, checked, name) {
    const atMs = this.#recorder?.nowMs()
    const native = taken(this.#native.stream(this.#levelled(checked), checked.encoding), name)
    const { accepted } = native
    const { requestId } = accepted
    this.#recorder?.stream({ ...request, requestId }, atMs)
    const finished = this.#result(accepted, checked, this[name])
    return new SpeakerStream({
      native,
      requestId,
      finished,
      ask: (call) => this.#ask('flush', call),
      mark: (call) => this.#mark(() => call),
      stop: (reason) => this.#stopOne(requestId, finished, reason),
      thrown: (error) => this.#pending.thrown(accepted.playback, error),
      recorder: this.#recorder,
      piped: checked.encoding.more,
      format: checked.encoding.format,
      signal: checked.signal
    })
  }

  #stop(target) {
    const checked = check.stopRequest(target)
    return this.#recorded('stop', target, () => this.#native.stop(checked))
  }

  /** Stops the playback of this promise. It may have ended without its event having been emitted yet, and its id may have been reused. */
  #stopOne(requestId, promise, reason) {
    if (this.#pending.latest(requestId)?.promise === promise) this.#stop({ requestId, reason })
  }

  /** Makes a call, records it if requests are recorded, and returns its answer. */
  #recorded(type, request, call) {
    const atMs = this.#recorder?.nowMs()
    const answer = call()
    this.#recorder?.request(type, request, atMs)
    return answer
  }

  /** Returns the promise of a request that was accepted; its stack trace begins at `caller`. */
  #result(accepted, checked, caller) {
    const { signal, group, context } = checked
    const { requestId } = accepted
    this.#hint?.waits()
    const waiting = this.#pending.addPlayback(accepted, given({ group, context }))
    waiting.trace = traceFrom(caller)
    waiting.request = keptRequest({ ...checked, requestId })
    onAbort(signal, waiting.promise, () => this.#stopOne(requestId, waiting.promise, 'aborted'))
    return quiet(waiting.promise)
  }

  /** Returns the promise of the first call, for a second one that was refused as a duplicate and may join it. */
  #joined(request, error) {
    if (error?.code !== 'ERR_DUPLICATE_REQUEST' || this.#onDuplicate !== 'join') return undefined
    return this.#pending.latest(request.requestId)?.promise
  }

  #endRecording() {
    return this.#recorder && quiet(this.#recorder.close())
  }

  #expectOutput(expected, call) {
    const { type } = this.#output
    if (type === expected) return
    const message = `Expected output.type '${expected}' for ${call} but received '${type}'`
    throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', message)
  }

  /** Sets a mark by the call that `ready` returns. Returns a promise of it; a listener of `mark` need not await it. */
  #mark(ready) {
    const set = async () => {
      const call = ready()
      const mark = ++this.#lastTicket
      taken(call(mark), 'mark')
      return this.#pending.addMark(mark).promise
    }
    return quiet(set())
  }

  /** Makes a call that is answered later, under a ticket; `name` is the method that the user called. */
  #ask(name, call) {
    const ticket = ++this.#lastTicket
    taken(call(ticket), name)
    return this.#pending.addTicket(ticket, name).promise
  }

  static {
    receive = (session, ring) => session.#receive(ring)
  }

  /** Handles everything that comes from the addon, in order: messages to be taken, frames and questions. */
  #receive(ring) {
    if (typeof ring === 'number') {
      const message = this.#native.take()
      if (message?.ticket !== undefined) this.#pending.answer(message)
      else if (message?.rpc !== undefined) this.#rpc.receive(message)
      else if (message) this.#event(message)
    } else if (ring.frame !== undefined) {
      const { tap, frame, atMs } = ring
      if (tap === null) this.#output.onFrame(frame, { atMs })
      else if (frame.length > 0) this.#taps.get(tap)?.take({ frame, atMs })
      else this.#endTap(tap)
    } else if (ring.unheard !== undefined) {
      this.#taps.get(ring.unheard)?.destroy(new SpeakerError(ring.code, ring.message))
    } else if (ring.readable) {
      for (const stream of this.#audioStreams) stream.wake()
    } else if (ring.question !== undefined) {
      if (this.#server) this.#serve(ring.question)
      else provideToken(this.#native, ring.question, this.#output.token)
    }
  }

  /** Starts the server, for the addon's `question`. Never rejects. */
  async #serve(question) {
    try {
      this.#native.answer(question, await this.#server.listen())
    } catch (error) {
      this.#native.answer(question, undefined, `the output can't be served: ${describe(error)}`)
    }
  }

  /** Ends a tap or a voice: its last frame came. */
  #endTap(id) {
    this.#taps.get(id)?.push(null)
    this.#forgetTap(id)
  }

  #forgetTap(id) {
    this.#taps.delete(id)
    this.#pending.endTap(id)
  }

  #event({ type, playback, cause, mark, ...details }) {
    if (DATA_EVENTS.includes(type) && this.listenerCount(type) === 0) this.#hear()
    const event = { ...details, ...this.#pending.given(playback) }
    if (event.reason === 'handedOver') this.#handOver?.requests.set(playback, this.#pending.requested(playback))
    try {
      if (type === 'stopped') this.#recorder?.stopped(event.reason)
      this.#emit(type, event)
    } finally {
      // Also when a listener throws: the promise belongs to another part of the program.
      if (type === 'started') this.#pending.started(playback)
      else if (type === 'completed' || type === 'stopped' || type === 'failed') this.#pending.settle(type, playback, { ...event, cause })
      else if (type === 'mark') this.#pending.reach(mark, { name: event.name, atMs: event.atMs })
      else if (type === 'participantLeft') this.#rpc.left(event.participant.identity)
      else if (type === 'disconnected') {
        this.#rpc.end(event.reason)
        this.#endHandOver()
      }
    }
  }

  /** Emits an event as `event` and under its own name, also if a listener of the one throws. */
  #emit(type, event) {
    try {
      if (this.listenerCount('event') > 0) this.emit('event', { type, ...event })
    } finally {
      // An `error` without a listener would be thrown.
      if (type !== 'error' || this.listenerCount('error') > 0) this.emit(type, event)
    }
  }
}

/** Checks the only event of the class. */
function expectLog(type) {
  if (type !== 'log') throw invalidArgument(`'log'`, 'the event', type)
}

/** Returns samples of silence. The array is made here, because its failure can be reported here. */
function zeros(length) {
  try {
    return new Float32Array(length)
  } catch (error) {
    const message = `Expected memory for ${length} samples for recording but received none: ${error.message}`
    throw new SpeakerError('ERR_OUTPUT', message)
  }
}

/** Returns the addon's answer to a `call`; throws if it is a refusal. */
function taken(answer, call) {
  if (answer?.code !== undefined) throw new SpeakerError(answer.code, closedFor(call, answer))
  return answer
}

/** Returns the stack of `caller` as a text: the frames themselves would keep what is called alive until the playback ends. */
function traceFrom(caller) {
  const trace = {}
  Error.captureStackTrace(trace, caller)
  return trace.stack
}

/** Returns the fields of a request that are copied into each of its events. */
function given({ group, context }) {
  return { ...(group !== undefined && { group }), ...(context !== undefined && { context }) }
}

/** Returns the promise of a request that was refused: there is no playback. */
function refused(error) {
  return quiet(Object.assign(Promise.reject(error), { requestId: undefined, started: Promise.resolve(false) }))
}

/** Marks a promise as handled: a listener of `failed` need not await it too, and one bad request must not end a server. */
function quiet(promise) {
  promise.catch(() => {})
  return promise
}

module.exports = { SpeakerSession }
