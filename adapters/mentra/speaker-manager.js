'use strict'

// In place of the cloud's SpeakerManager: it plays into the user's room itself, where that one asked a bridge to.

const { EventEmitter } = require('node:events')

const { SpeakerSession, liveKitFromEnv } = require('../..')
const { invalidArgument } = require('../check')
const { hasLiveKit, isPlaybackEnabled, sessionOptions } = require('./settings')
const { Speaker, failure } = require('./speaker')

/** The defaults of the time after which an idle room is left, and of the pause after a room could not be joined. */
const FIVE_MINUTES_MS = 300_000

/** The difference between a phone's duration and ours that causes a warning. */
const DIFFERENCE_MS = 500

/** The number of ended jobs that are kept for later reports of the phone. */
const KEPT_JOBS = 100

/** The number of URLs kept for which a format warning was logged. */
const KEPT_URLS = 1000

/** Closes managers that were collected with their user's session without being disposed of. */
const abandoned = new FinalizationRegistry((speaker) => speaker.close().catch(() => {}))

class SpeakerManager extends EventEmitter {
  #session
  #options
  #logger
  #speaker
  #isShadow
  #cooldownMs
  #coolUntil = -Infinity
  #isDisposed = false
  #isDisabledTold = false
  /** The last jobs that have ended, the latest last. */
  #ended = []
  /** The answer of each job: `{ answer, isAnswered, deviceMs }`. */
  #answers = new WeakMap()
  #badUrls = new Set()
  /** The credentials of the bridge's last command. */
  #given = {}

  constructor(session, { shadow = false, leaveAfterMs = FIVE_MINUTES_MS, cooldownMs = FIVE_MINUTES_MS, ...options } = {}) {
    super()
    for (const [name, ms] of Object.entries({ leaveAfterMs, cooldownMs })) {
      if (typeof ms !== 'number' || !(ms >= 0)) throw invalidArgument('a number of milliseconds, 0 or more,', name, ms)
    }
    this.#session = session
    this.#options = options
    this.#isShadow = shadow
    this.#cooldownMs = cooldownMs
    this.#logger = session.logger?.child?.({ service: 'SpeakerManager' }) ?? {}
    this.#speaker = new Speaker({ ...SpeakerManager.#faces(new WeakRef(this)), leaveAfterMs })
    abandoned.register(this, this.#speaker)
  }

  /** The callbacks of the speaker, which holds the manager only weakly: playing alone must not keep it and the user's session alive. */
  static #faces(manager) {
    return { open: () => manager.deref().#open(), report: (event, job) => manager.deref()?.#report(event, job) }
  }

  get speakerSession() {
    return this.#speaker.session
  }

  jobs() {
    return [...this.#ended, ...this.#speaker.jobs].map((job) => ({ ...job }))
  }

  async ensureReady() {
    if (!this.#isEnabled() || this.#isCooling()) return false
    try {
      await this.#speaker.connect()
      return true
    } catch (error) {
      if (error.code === 'ERR_JOIN_FAILED') this.#cool(error)
      else this.#log('warn', { error: error.message }, 'SpeakerManager is not ready')
      return false
    }
  }

  async start(msg) {
    this.#request(msg)
  }

  async stop(msg) {
    await this.#stop({ trackId: msg?.trackId ?? undefined })
  }

  handleMessage(json, send) {
    const message = parsed(json)
    switch (message?.type ?? message?.action) {
      case 'audio_play_request':
        return this.#request(message, send)
      case 'audio_stop_request':
        this.stop(message)
        return true
      case 'audio_play_response':
        this.#hearDevice(message)
        return true
      case 'play_url':
        return this.#command(message, send)
      case 'stop_playback':
        this.#stop({ requestId: message.requestId || undefined, reason: message.reason || undefined })
        return true
      default:
        return false
    }
  }

  handleBridgeEvent(evt) {
    const { type, ...told } = evt ?? {}
    if (type === 'play_started') this.#log('info', told, 'SpeakerManager play started')
    else if (type === 'play_complete') this.#log(this.#levelOf(told), told, 'SpeakerManager play complete')
    else if (type === 'error') this.#log('warn', told, 'SpeakerManager bridge error')
    else return
    this.#emit('event', evt)
  }

  dispose() {
    this.#isDisposed = true
    this.#speaker.close().catch((error) => this.#log('warn', { error: error.message }, 'SpeakerManager failed to leave the room'))
  }

  #request(msg, send) {
    const { requestId, audioUrl: url, packageName, volume, stopOtherAudio: stopOther, trackId } = msg ?? {}
    const answer = send ? (response) => this.#send(send, this.#response(packageName, response)) : (response) => this.#relay(response)
    return this.#play({ requestId, url, volume, stopOther, trackId }, { packageName }, answer)
  }

  #command({ roomName, token, ...request }, send) {
    if (roomName) this.#given.room = roomName
    if (token) this.#given.token = token
    const events = send && ((event) => this.#send(send, event))
    const answer = (response) => this.#isShadow && this.#relay(response) // the bridge answers with its events
    return this.#play(request, {}, answer, events)
  }

  /** Plays, if enabled. `answer` takes the one answer to the app, `events` each event of the job. Returns true if the request was accepted. */
  #play(request, of, answer, events) {
    if (!this.#isEnabled()) {
      if (!this.#isDisabledTold) this.#log('info', {}, 'SpeakerManager disabled: no LiveKit for this session, or told to be')
      this.#isDisabledTold = true
      return false
    }
    const refusal = this.#isCooling() && failure('ERR_JOIN_FAILED', `Expected a room but it could not be joined; it is tried again within ${this.#cooldownMs} ms`)
    const job = this.#speaker.play(request, of, refusal)
    this.#answers.set(job, { answer, events, isAnswered: false })
    return true
  }

  async #stop(target) {
    if (!this.#isEnabled()) return
    try {
      const { stopped } = await this.#speaker.stop(target)
      this.#log('info', { ...target, stopped }, 'SpeakerManager stop')
    } catch (error) {
      this.#log('error', { ...target, error: error.message }, 'SpeakerManager failed to stop')
    }
  }

  #report(event, job) {
    if (event.code === 'ERR_JOIN_FAILED') this.#cool(event)
    this.handleBridgeEvent(event)
    if (!job) return
    const answered = this.#answers.get(job)
    answered.events?.(event)
    if (event.type !== 'play_complete') return
    this.#ended.push(job)
    if (this.#ended.length > KEPT_JOBS) this.#ended.shift()
    const { requestId, success, error, durationMs: duration } = event
    if (!this.#isShadow) this.#answer(answered, { requestId, success, ...(error && { error }), duration })
    this.#compare(job)
  }

  #answer(answered, response) {
    if (answered.isAnswered) return
    answered.isAnswered = true
    answered.answer(response)
  }

  /** Handles the phone's answer to a request: passes it on, unless ours counts, and compares its duration with ours. */
  #hearDevice(message) {
    const { requestId, success, duration } = message
    const job = [...this.#ended, ...this.#speaker.jobs].findLast((job) => job.requestId === requestId)
    if (!job) return this.#relay(message)
    const answered = this.#answers.get(job)
    if (this.#isShadow) this.#answer(answered, message)
    if (!success || typeof duration !== 'number' || answered.deviceMs !== undefined) return
    answered.deviceMs = duration
    this.#compare(job)
  }

  /** Compares the phone's duration with ours, once both are known. */
  #compare(job) {
    const { requestId, state, durationMs: shadowMs } = job
    const { deviceMs } = this.#answers.get(job)
    if (state !== 'completed' || deviceMs === undefined) return
    const difference = { requestId, deviceMs, shadowMs, differenceMs: deviceMs - shadowMs }
    const isFar = Math.abs(difference.differenceMs) > DIFFERENCE_MS
    this.#log(isFar ? 'warn' : 'info', difference, 'SpeakerManager device beside shadow')
    this.#emit('difference', difference)
  }

  #open() {
    const { output = this.#room(), ...options } = this.#options
    return new SpeakerSession({ ...sessionOptions(options), output })
  }

  /** Opens a session in the user's room, with another identity than the bridge, which is `cloud-agent:<user>`. */
  #room() {
    const { room = this.#session.liveKitManager?.getRoomName?.() || this.#session.userId, token } = this.#given
    const url = this.#url()
    if (token) return { type: 'livekit', url, token }
    return { ...liveKitFromEnv({ room, identity: `speaker:${this.#session.userId}` }), url }
  }

  #url() {
    return this.#session.liveKitManager?.getUrl?.() || process.env.LIVEKIT_URL
  }

  #isEnabled() {
    if (this.#isDisposed || !isPlaybackEnabled()) return false
    return Boolean(this.#options.output || hasLiveKit() || (this.#given.token && this.#url()))
  }

  #isCooling() {
    return performance.now() < this.#coolUntil
  }

  /** Pauses after the room could not be joined, and reports that once. */
  #cool({ message }) {
    if (this.#isCooling()) return
    this.#coolUntil = performance.now() + this.#cooldownMs
    this.handleBridgeEvent({ type: 'error', error: 'join_failed', message })
  }

  /** Returns the log level for the end of a playback: the same complaint is not repeated. */
  #levelOf({ success, error, url }) {
    if (success || error === 'cancelled') return 'info'
    if (error === 'join_failed' && this.#isCooling()) return 'debug'
    if (error !== 'unsupported_format') return 'warn'
    if (this.#badUrls.has(url)) return 'debug'
    if (this.#badUrls.size >= KEPT_URLS) this.#badUrls.clear()
    this.#badUrls.add(url)
    return 'warn'
  }

  /** Returns an answer to an app, as the cloud would write it. */
  #response(packageName, { requestId, success, error, duration }) {
    const sessionId = `${this.#session.sessionId ?? this.#session.userId}-${packageName}`
    return { type: 'audio_play_response', sessionId, requestId, success, error, duration, timestamp: new Date() }
  }

  #relay(response) {
    this.#guard('answer the app', () => this.#session.relayAudioPlayResponseToApp?.(response))
  }

  #send(send, message) {
    this.#guard('send', () => send(JSON.stringify(message)))
  }

  #emit(name, event) {
    this.#guard(`tell '${name}'`, () => this.emit(name, event))
  }

  /** Calls a callback of the application, and logs its failure. */
  async #guard(what, call) {
    try {
      await call()
    } catch (error) {
      this.#log('error', { error: String(error?.message ?? error) }, `SpeakerManager failed to ${what}`)
    }
  }

  #log(level, told, text) {
    this.#logger[level]?.({ ...told, feature: 'livekit' }, text)
  }
}

/** Parses a message of any form; undefined if it is invalid. */
function parsed(json) {
  if (typeof json !== 'string' && !ArrayBuffer.isView(json)) return json
  try {
    return JSON.parse(typeof json === 'string' ? json : Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString())
  } catch {
    return undefined
  }
}

module.exports = { SpeakerManager }
