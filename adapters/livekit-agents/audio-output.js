'use strict'

// The agent's voice: an `AudioOutput` of `@livekit/agents` that plays through a `SpeakerSession`.

const { SpeakerError, SpeakerSession, liveKitFromEnv } = require('../..')
const check = require('../check')
const { Segment } = require('./segment')

/** The tracks of a session that this module opens. */
const VOICE = 0
const BACKGROUND = 1
/** LiveKit's attribute of a participant that publishes on behalf of another. */
const ON_BEHALF = 'lk.publish_on_behalf'
const MAX_AHEAD_MS = 10_000
const OPTIONS = [
  'session', 'room', 'source', 'trackId', 'volume', 'gain', 'prebufferMs', 'stallTimeoutMs', 'fadeOutMs', 'maxAheadMs', 'identity', 'attributes',
  'output', 'sessionOptions'
]
/** The events with the position of a playback. */
const PROGRESS = ['progress', 'paused', 'stalled']

/** Returns the class, for one build of `@livekit/agents` and `@livekit/rtc-node`. */
function audioOutput({ voice: { AudioOutput } }, { AudioFrame, RoomEvent }) {
  /** Documented in index.d.ts. */
  class SpeakerAudioOutput extends AudioOutput {
    /** Documented in index.d.ts. */
    session
    #isOwn
    #room
    #request
    #fadeOutMs
    #maxAheadMs
    /** Segments that are not finished, in order. */
    #segments = new Set()
    /** The segment that takes frames. */
    #open
    #isPaused = false
    #isClosed = false
    /** Settles when the end of the last segment was reported. */
    #reported = Promise.resolve()
    /** Reports the position of a playback: the part since the last report ended just now, whatever gaps there were before. */
    #progressed = ({ requestId, positionMs }) => {
      for (const segment of this.#segments) this.#reportProgress(segment.progress(requestId, positionMs))
    }
    #roomLost = () => this.close().catch((error) => this.logger.error({ error }, 'the session could not be closed'))

    constructor(options) {
      super(undefined, undefined, { pause: true })
      const { session, room, source, volume, gain, prebufferMs, stallTimeoutMs, ...rest } = check.options(options, 'SpeakerAudioOutput', OPTIONS)
      const given = [session, room, source].filter(Boolean).length
      if (given !== 1) throw check.invalidArgument('one of session, room and source', 'the options of SpeakerAudioOutput', given)
      const trackId = check.trackId(rest.trackId, VOICE)
      this.#request = { trackId, role: 'voice', volume, gain, prebufferMs, stallTimeoutMs }
      this.#fadeOutMs = check.milliseconds(rest.fadeOutMs, 'fadeOutMs', 5)
      this.#maxAheadMs = check.milliseconds(rest.maxAheadMs, 'maxAheadMs', MAX_AHEAD_MS)
      this.#isOwn = !session
      this.session = session ?? new SpeakerSession({
        duck: {},
        // Ambient sound plays as long as the room is open.
        maxDurationMs: check.DAY_MS,
        ...rest.sessionOptions,
        output: room ? roomOutput(room, trackId, rest) : sourceOutput(source, this.logger)
      })
      for (const type of PROGRESS) this.session.on(type, this.#progressed)
      this.#room = room
      room?.on(RoomEvent.Disconnected, this.#roomLost)
    }

    async captureFrame(frame) {
      if (this.#isClosed) throw new SpeakerError('ERR_CLOSED', 'The SpeakerAudioOutput is closed')
      // A refused frame begins no segment, so that none is counted that would never finish.
      if (!this.#open) this.#begin(frame)
      await Promise.all([super.captureFrame(frame), this.#open.write(frame)])
    }

    flush() {
      super.flush()
      this.#open?.end()
      this.#open = undefined
    }

    clearBuffer() {
      super.flush()
      this.#open = undefined
      for (const segment of this.#segments) segment.stop('interrupted', this.#fadeOutMs)
    }

    pause() {
      super.pause()
      this.#isPaused = true
      for (const segment of this.#segments) segment.pause()
    }

    resume() {
      super.resume()
      this.#isPaused = false
      for (const segment of this.#segments) segment.resume()
    }

    onAttached() {
      super.onAttached()
      this.#connect()
    }

    onDetached() {
      super.onDetached()
      // Nothing will resume it any more, and it must not start to speak by itself.
      if (this.#isPaused) this.clearBuffer()
      this.#isPaused = false
    }

    /** Documented in index.d.ts. */
    async close() {
      if (!this.#isClosed) {
        this.#isClosed = true
        this.clearBuffer()
        this.#room?.off(RoomEvent.Disconnected, this.#roomLost)
      }
      if (this.#isOwn) await this.session.close()
      await this.#reported
      for (const type of PROGRESS) this.session.off(type, this.#progressed)
    }

    async #connect() {
      try {
        if (this.#room) await connected(this.#room)
        await this.session.connect()
      } catch (error) {
        if (!this.#isClosed) this.logger.warn({ error }, 'the output of the speech could not be opened, the next speech tries again')
      }
    }

    #begin(frame) {
      const segment = new Segment(this.session, this.#request, {
        frame, isPaused: this.#isPaused, maxAheadMs: this.#maxAheadMs, logger: this.logger
      })
      this.#open = segment
      this.#segments.add(segment)
      this.#reported = this.#follow(segment, this.#reported)
    }

    /** Reports the start of a segment and, once, how it finished; not before those `before` it were reported. */
    async #follow(segment, before) {
      const hasStarted = await segment.started
      const createdAt = Date.now()
      await before
      if (hasStarted) this.#emit(() => this.onPlaybackStarted(createdAt))
      const { positionMs, wasInterrupted, rest, error } = await segment.finished
      this.#segments.delete(segment)
      if (error) this.logger.error({ error }, 'a segment of the speech failed')
      for (const played of rest) this.#reportProgress(played)
      this.#emit(() => this.onPlaybackFinished({ playbackPosition: positionMs / 1000, interrupted: wasInterrupted }))
    }

    #reportProgress(played) {
      if (played) this.#emit(() => this.onPlaybackProgressed({ startedAt: Date.now() - played.duration, ...played }))
    }

    /** Keeps an exception of a listener from preventing the report of the next segment. */
    #emit(notify) {
      try {
        notify()
      } catch (error) {
        this.logger.error({ error }, 'a listener of the playback failed')
      }
    }
  }
  return SpeakerAudioOutput

  /** Joins the room as a participant that speaks on behalf of the agent: the agent's own session does not take it for a user. */
  function roomOutput(room, trackId, { identity, attributes, output }) {
    const { url } = liveKitFromEnv({ room: 'not joined', identity: 'not named' })
    const token = async () => {
      await connected(room)
      const agent = room.localParticipant.identity
      const described = { kind: 'agent', attributes: { [ON_BEHALF]: agent, ...attributes } }
      return liveKitFromEnv({ room: room.name, identity: identity ?? `${agent}-voice`, ...described }).token()
    }
    return {
      type: 'livekit',
      url,
      token,
      publish: [trackId],
      ...output,
      trackNames: { [BACKGROUND]: 'background_audio', [trackId]: 'roomio_audio', ...output?.trackNames },
      // Frontends take the track with the source `microphone` for the agent's voice, so there is only one.
      trackSources: { [BACKGROUND]: 'unknown', [trackId]: 'microphone', ...output?.trackSources }
    }
  }

  /** Feeds an `AudioSource`, which its owner publishes. Frames come in real time, so its queue stays short. */
  function sourceOutput(source, logger) {
    let isFailing = false
    const onFrame = async (frame) => {
      const samples = new Int16Array(frame.buffer, frame.byteOffset, frame.length / Int16Array.BYTES_PER_ELEMENT)
      try {
        await source.captureFrame(new AudioFrame(samples, source.sampleRate, source.numChannels, samples.length / source.numChannels))
        isFailing = false
      } catch (error) {
        if (!isFailing) logger.error({ error }, 'the AudioSource took no frame')
        isFailing = true
      }
    }
    return { type: 'pcm', sampleRate: source.sampleRate, channels: source.numChannels, onFrame }
  }

  async function connected(room) {
    if (!room.isConnected) await new Promise((resolve) => room.once(RoomEvent.Connected, resolve))
  }
}

module.exports = { audioOutput }
