'use strict'

// Sounds behind the agent's voice, with the surface of `BackgroundAudioPlayer` of `@livekit/agents`.

const { SpeakerError } = require('../..')
const check = require('../check')
const { bytesOf, formatOf, isSame } = require('./frames')

/** A track of the session that the voice does not use. */
const BACKGROUND = 1
const OPTIONS = ['session', 'ambientSound', 'thinkingSound', 'trackId', 'fadeOutMs']
/** The errors after which a loop continues once the output is open again, and the events that report that. */
const OPEN = ['connected', 'reconnected']
const LOST = ['ERR_DISCONNECTED', 'ERR_JOIN_FAILED']

/** Returns the class, for one build of `@livekit/agents`. */
function backgroundAudio({ log, voice: { AgentSessionEventTypes, PlayHandle, getBuiltinAudioPath, isBuiltinAudioClip } }) {
  /** The handle of `play`: one sound, until it ends or is stopped. */
  class Sound extends PlayHandle {
    #session
    #request
    #fadeOutMs
    #logger
    #requestId
    #isPaused = false
    /** Ends a wait for the first frame, or for the output. */
    #giveUp = () => {}

    constructor(session, { source, loop, fadeOutMs, logger, ...request }) {
      super()
      this.#session = session
      this.#request = { stopOther: false, overlap: 'mix', ...request }
      this.#fadeOutMs = fadeOutMs
      this.#logger = logger
      if (typeof source === 'string') this.#play({ audioUrl: isBuiltinAudioClip(source) ? getBuiltinAudioPath(source) : source, loop })
      else this.#playFrames(source[Symbol.asyncIterator]())
    }

    stop() {
      if (this.done()) return
      super.stop()
      this.#giveUp()
      this.#call('stopAudio', { fadeOutMs: this.#fadeOutMs })
    }

    pause() {
      this.#isPaused = true
      this.#call('pauseAudio')
    }

    resume() {
      this.#isPaused = false
      this.#call('resumeAudio')
    }

    async #play(source) {
      const playing = this.#session.playAudio({ ...this.#request, ...source })
      this.#requestId = playing.requestId
      if (this.#isPaused) this.#call('pauseAudio')
      try {
        await playing
      } catch (error) {
        if (this.done()) return
        if (source.loop && error.code === 'ERR_MAX_DURATION') return this.#play(source)
        this.#logger.error({ error }, 'a background sound failed')
        if (source.loop && LOST.includes(error.code)) return this.#playWhenOpen(source)
      }
      this._markPlayoutDone()
    }

    #playWhenOpen(source) {
      const giveUp = () => OPEN.forEach((type) => this.#session.off(type, again))
      const again = () => {
        giveUp()
        this.#play(source)
      }
      for (const type of OPEN) this.#session.on(type, again)
      this.#giveUp = giveUp
    }

    /** Plays frames, in the format of the first one. */
    async #playFrames(frames) {
      const close = async () => {
        try {
          await frames.return?.()
        } catch (error) {
          this.#logger.error({ error }, 'a background sound could not be closed')
        }
      }
      this.#giveUp = close
      try {
        const { done, value } = await frames.next()
        if (this.done()) return
        this.#giveUp = () => {}
        if (!done) return await this.#play({ audio: bytes(value, frames), ...formatOf(value) })
      } catch (error) {
        if (!this.done()) this.#logger.error({ error }, 'a background sound failed')
      }
      this._markPlayoutDone()
    }

    #call(method, options) {
      if (this.#requestId !== undefined) this.#session[method]({ requestId: this.#requestId, ...options }).catch(() => {})
    }
  }

  /** Documented in index.d.ts. */
  class BackgroundAudio {
    #session
    #ambientSound
    #thinkingSound
    #request
    #sounds = new Set()
    /** The sound of thinking, paused while the agent does not think: `{ chosen, sound }`. */
    #thinking
    #agentSession
    #hasStarted = false
    #isClosed = false
    #onState = ({ newState }) => this.#agentIs(newState)

    constructor(options) {
      const { session, ambientSound, thinkingSound, ...rest } = check.options(options, 'BackgroundAudio', OPTIONS)
      if (typeof session?.playAudio !== 'function') throw check.invalidArgument('a SpeakerSession', 'session', session)
      choose(ambientSound, 'ambientSound')
      choose(thinkingSound, 'thinkingSound')
      this.#session = session
      this.#ambientSound = ambientSound
      this.#thinkingSound = thinkingSound
      this.#request = {
        trackId: check.trackId(rest.trackId, BACKGROUND),
        fadeOutMs: check.milliseconds(rest.fadeOutMs, 'fadeOutMs', 5),
        logger: log()
      }
    }

    async start({ agentSession } = {}) {
      if (this.#isClosed) throw closed()
      if (this.#hasStarted) return
      this.#hasStarted = true
      this.#play(choose(this.#ambientSound, 'ambientSound'), { role: 'ambient' })
      this.#agentSession = agentSession
      agentSession?.on(AgentSessionEventTypes.AgentStateChanged, this.#onState)
      this.#agentIs(agentSession?.agentState)
    }

    play(audio, loop = false) {
      if (audio === undefined) throw check.invalidArgument('a sound', 'audio', audio)
      return this.#play(choose(audio, 'audio'), { role: 'media', loop })
    }

    async close() {
      this.#isClosed = true
      this.#agentSession?.off(AgentSessionEventTypes.AgentStateChanged, this.#onState)
      for (const sound of this.#sounds) sound.stop()
    }

    /** Without `loop`, a file repeats for ever; frames may be endless themselves. */
    #play(chosen, { role, loop = true }) {
      if (this.#isClosed) throw closed()
      if (!chosen) return nothing()
      const { source, volume = 1 } = chosen
      const level = volume > 1 ? { volume: 1, gain: volume } : { volume }
      const sound = new Sound(this.#session, { ...this.#request, ...level, source, role, loop })
      this.#sounds.add(sound)
      sound.waitForPlayout().then(() => this.#sounds.delete(sound))
      return sound
    }

    #agentIs(state) {
      if (state !== 'thinking') return this.#thinking?.sound.pause()
      const chosen = choose(this.#thinkingSound, 'thinkingSound')
      const { sound } = this.#thinking ?? {}
      if (chosen && sound && !sound.done() && isAlike(chosen, this.#thinking.chosen)) return sound.resume()
      sound?.stop()
      this.#thinking = chosen && { chosen, sound: this.#play(chosen, { role: 'media' }) }
    }
  }
  return BackgroundAudio

  /** Returns the handle of no sound. */
  function nothing() {
    const handle = new PlayHandle()
    handle._markPlayoutDone()
    return handle
  }
}

/** Returns `{ source, volume }` of an argument, at random if it is a list; undefined for nothing. */
function choose(sound, name) {
  if (sound === undefined) return undefined
  if (Array.isArray(sound)) return pick(sound.map((config) => configOf(config, name)))
  return configOf(sound, name)
}

function configOf(sound, name) {
  const config = isSource(sound) ? { source: sound } : sound
  if (isSource(config?.source)) return config
  throw check.invalidArgument('a path, a builtin clip, an AsyncIterable of frames, or one of these as source', name, sound)
}

function isSource(value) {
  return (typeof value === 'string' && value !== '') || typeof value?.[Symbol.asyncIterator] === 'function'
}

/** Picks one of a list, each with its probability (default 1); none with the rest to 1. */
function pick(configs) {
  const weights = configs.map(({ probability = 1 }) => Math.max(probability, 0))
  let at = Math.random() * Math.max(1, weights.reduce((sum, weight) => sum + weight, 0))
  return configs.find((_, index) => (at -= weights[index]) < 0)
}

function isAlike(one, other) {
  return one.source === other.source && one.volume === other.volume
}

/** Yields the bytes of `first` and of all `frames` after it. Closes them when it is returned early. */
function bytes(first, frames) {
  let next = { value: first }
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const { done, value } = next ?? (await frames.next())
        next = undefined
        if (done) return { done, value: undefined }
        if (!isSame(value, first)) throw new TypeError(`a frame of ${value.sampleRate} Hz follows one of ${first.sampleRate} Hz`)
        return { done: false, value: bytesOf(value) }
      },
      return: () => frames.return?.()
    })
  }
}

function closed() {
  return new SpeakerError('ERR_CLOSED', 'The BackgroundAudio is closed')
}

module.exports = { backgroundAudio }
