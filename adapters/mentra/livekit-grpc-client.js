'use strict'

// In place of the cloud's LiveKitGrpcClient: it joins the room itself, where that one asked a bridge to.

const { SpeakerSession } = require('../..')
const { version } = require('../../package.json')
const { areBytesSwapped, isPlaybackEnabled, sessionOptions } = require('./settings')
const { Speaker, failure } = require('./speaker')

/** The format of `sendAudioChunk`: PCM16, mono. */
const CHUNKS = { format: 'pcm16', sampleRate: 16000, stopOther: false, overlap: 'mix' }

/** The pause after which the next chunk begins another sound. */
const CHUNK_PAUSE_MS = 1000

/** The limit of buffered chunks, in bytes: 30 s. */
const MAX_CHUNK_BYTES = 30 * 16000 * 2

/** The connected client of each user's session: the cloud makes a new one when it thinks that the old one has lost its room. */
const latest = new WeakMap()

/** Closes clients that were collected. */
const abandoned = new FinalizationRegistry((speaker) => speaker.close().catch(() => {}))

class LiveKitGrpcClient {
  #userSession
  #options
  #logger
  #speaker
  #params = null
  #connecting = null
  #isDisposed = false
  #target
  #handlers = new Map()
  #onEvent = null
  #lost = { at: 0, reason: '' }
  /** The stream for chunks: `{ stream, pause, dropped }`. */
  #chunks = null

  /** `bridgeUrl` is ignored, because there is no bridge; it keeps the signature of the original. */
  constructor(userSession, bridgeUrl, options = {}) {
    this.#userSession = userSession
    this.#options = options
    this.#logger = userSession.logger?.child?.({ service: 'LiveKitGrpcClient', feature: 'livekit-grpc' }) ?? {}
    this.#speaker = new Speaker(LiveKitGrpcClient.#faces(new WeakRef(this)))
    abandoned.register(this, this.#speaker)
  }

  /** The callbacks of the speaker, which holds the client only weakly: playing alone must not keep it and the user's session alive. */
  static #faces(client) {
    return { open: () => client.deref().#open(client), report: (event) => client.deref()?.#report(event) }
  }

  /** Subscribes to the events of a session. */
  static #listen(session, client) {
    session.on('data', (event) => client.deref()?.#hear(event))
    session.on('progress', ({ requestId, positionMs }) => {
      client.deref()?.#handle({ type: 'PROGRESS', requestId, positionMs: Math.round(positionMs) })
    })
    session.on('connected', () => client.deref()?.#joined())
    session.on('disconnected', ({ reason }) => client.deref()?.#left(session, reason))
  }

  get speakerSession() {
    return this.#speaker.session
  }

  async connect(params) {
    if (this.#isDisposed) throw new Error('LiveKitGrpcClient is disposed')
    if (this.#connecting) return this.#connecting
    const connecting = this.#join(params)
    this.#connecting = connecting
    try {
      await connecting
    } finally {
      if (this.#connecting === connecting) this.#connecting = null
    }
  }

  async rejoin(params = this.#params) {
    if (!params) throw new Error('rejoin called without params and no previous room params')
    this.disconnect()
    await this.connect(params)
  }

  async disconnect() {
    this.#params = null
    this.#connecting = null
    try {
      await this.#speaker.close()
    } catch (error) {
      this.#log('error', { error: error.message }, 'Failed to leave the LiveKit room')
    }
  }

  dispose() {
    this.#isDisposed = true
    this.disconnect().then(() => this.#handlers.clear())
  }

  isConnected() {
    // A room that is reconnecting accepts requests, and its sound may continue.
    return ['connected', 'reconnecting'].includes(this.#speaker.session?.connection)
  }

  isConnecting() {
    return this.#connecting !== null
  }

  async getStatus() {
    const session = this.#speaker.session
    const isConnected = this.isConnected()
    return {
      connected: isConnected,
      participant_id: session?.localParticipant?.identity ?? '',
      participant_count: isConnected ? session.participants().length + 1 : 0,
      last_disconnect_at: this.#lost.at,
      last_disconnect_reason: this.#isDisposed ? 'client_disposed' : this.#lost.reason,
      server_version: version
    }
  }

  enableSubscribe(targetIdentity) {
    this.#target = targetIdentity
  }

  /** Does nothing, like the original: the phone sends nothing while its microphone is off, and the cloud does not always report that it is on
   * again. */
  disableSubscribe() {}

  playAudio({ requestId, url, volume, stopOther, trackId } = {}) {
    this.#speaker.play({ requestId, url, volume, stopOther, trackId }, {}, this.#refusal())
  }

  playUrl(params) {
    this.playAudio(params)
  }

  stopAudio(target) {
    const { requestId, trackId } = typeof target === 'string' ? { requestId: target } : (target ?? {})
    if (!this.#speaker.session) return
    this.#speaker.stop({ requestId: requestId || undefined, trackId: trackId ?? undefined }).then(
      ({ stopped }) => this.#log('info', { stopped }, 'Audio playback stopped'),
      (error) => this.#log('error', { error: error.message }, 'Audio playback is not stopped')
    )
  }

  stopPlayback(target) {
    this.stopAudio(target)
  }

  sendAudioChunk(pcmData) {
    if (!this.isConnected() || this.#refusal()) return
    const bytes = pcmData.length & ~1
    if (bytes === 0) return
    try {
      this.#write(Buffer.from(pcmData.subarray(0, bytes)))
    } catch (error) {
      this.#log('warn', { error: error.message }, 'Failed to send an audio chunk')
    }
  }

  onPlayAudioEvent(requestId, handler) {
    this.#handlers.set(requestId, handler)
  }

  onEvent(handler) {
    this.#onEvent = handler
  }

  /** Runs synchronously up to the first await, so that the next call finds the attempt. */
  async #join(params) {
    const older = latest.get(this.#userSession)
    if (older !== this) older?.disconnect()
    latest.set(this.#userSession, this)
    this.disconnect()
    this.#params = params
    this.#target = params.targetIdentity || this.#userSession.userId
    try {
      await this.#speaker.connect()
      this.#log('info', { room: params.roomName, target: this.#target }, 'Connected to LiveKit room')
    } catch (error) {
      this.#log('error', { room: params.roomName, error: error.message }, 'Failed to join the LiveKit room')
      throw error
    }
  }

  #open(client) {
    if (!this.#params) throw failure('ERR_JOIN_FAILED', 'Expected a call of connect first')
    const { url, token } = this.#params
    const session = new SpeakerSession({ ...sessionOptions(this.#options), output: { type: 'livekit', url, token } })
    LiveKitGrpcClient.#listen(session, client)
    return session
  }

  #refusal() {
    if (this.#isDisposed) return failure('ERR_CLOSED', 'Expected a client that is not disposed')
    return isPlaybackEnabled() ? undefined : failure('ERR_UNSUPPORTED_OPERATION', 'Expected SERVER_PLAYBACK_ENABLED to be on')
  }

  #report(event) {
    const { type, requestId, success, durationMs, error, reason } = event
    this.#log(error && error !== 'cancelled' ? 'warn' : 'debug', event, 'PlayAudio event')
    if (this.#onEvent) this.#guard(() => this.#onEvent(event))
    if (type === 'play_started') this.#handle({ type: 'STARTED', requestId })
    if (type !== 'play_complete') return
    this.#handle({
      type: success ? 'COMPLETED' : 'FAILED', requestId, durationMs, ...(error && { error }), ...(reason && { metadata: { reason } })
    })
    this.#handlers.delete(requestId)
  }

  #handle(event) {
    const handler = this.#handlers.get(event.requestId)
    if (handler) this.#guard(() => handler(event))
  }

  #joined() {
    this.#lost.reason = ''
  }

  /** Records the loss of the current session, and ignores one that was replaced or closed by `disconnect`. */
  #left(session, reason) {
    if (session === this.speakerSession) this.#lost = { at: Date.now(), reason }
  }

  /** Passes on a packet of the phone's microphone: PCM16, behind a byte that counts the packets. */
  #hear({ identity, payload }) {
    if (identity !== this.#target) return
    const pcm = Buffer.from(payload.subarray(payload.length % 2))
    if (pcm.length === 0) return
    if (areBytesSwapped()) pcm.swap16()
    this.#guard(() => this.#userSession.audioManager.processAudioData(pcm))
  }

  #write(pcm) {
    if (this.#chunks?.stream.writable !== true) this.#chunks = this.#newChunks()
    const { stream, pause } = this.#chunks
    if (stream.writableLength + pcm.length <= MAX_CHUNK_BYTES) stream.write(pcm)
    else if (this.#chunks.dropped++ === 0) this.#log('warn', {}, 'Audio chunks come faster than they are heard: some are dropped')
    pause.refresh()
  }

  /** Returns the stream for chunks, which ends when they pause: it plays to its end, and the next chunk begins another. */
  #newChunks() {
    const stream = this.#speaker.session.createStream(CHUNKS)
    const pause = setTimeout(() => stream.end(), CHUNK_PAUSE_MS).unref()
    return { stream, pause, dropped: 0 }
  }

  /** Calls a callback of the application, and logs its failure. */
  async #guard(call) {
    try {
      await call()
    } catch (error) {
      this.#log('warn', { error: String(error?.message ?? error) }, 'A handler failed')
    }
  }

  #log(level, told, text) {
    this.#logger[level]?.(told, text)
  }
}

module.exports = { LiveKitGrpcClient }
