'use strict'

// An agent of the real `@livekit/agents` in a room, with fake speech, voice activity and recognition.

const { VAD, VADEventType, VADStream, stt, tts, voice } = require('@livekit/agents')
const { AudioFrame, Room } = require('@livekit/rtc-node')

const { framesOf } = require('./agents')

/** A TTS that has a sound for each text: `sounds(text)` returns samples of ±1 at 48 kHz, or frames. */
class Voice extends tts.TTS {
  label = 'voice'
  #sounds

  constructor(sounds) {
    super(48000, 1, { streaming: false })
    this.#sounds = sounds
  }

  synthesize(text, options, signal) {
    return new Spoken(this.#sounds(text), text, this, options, signal)
  }

  stream() {
    throw new Error('sentence by sentence')
  }
}

class Spoken extends tts.ChunkedStream {
  label = 'voice'
  #sound

  constructor(sound, ...rest) {
    super(...rest)
    this.#sound = sound
  }

  async run() {
    const frames = this.#sound[0] instanceof AudioFrame ? this.#sound : framesOf(this.#sound)
    frames.forEach((frame, n) => this.queue.put({ requestId: 'r', segmentId: 's', frame, final: n === frames.length - 1 }))
    this.queue.close()
  }
}

/** A VAD that the test controls. */
class User extends VAD {
  label = 'user'
  #streams = []

  constructor() {
    super({ updateInterval: 32 })
  }

  stream() {
    const stream = new Noticed(this)
    this.#streams.push(stream)
    return stream
  }

  makesNoise() {
    this.#notice({ type: VADEventType.START_OF_SPEECH, speechDuration: 100, speaking: true })
    this.#notice({ type: VADEventType.INFERENCE_DONE, speechDuration: 1000, speaking: true, rawAccumulatedSpeech: 1 })
  }

  isSilent() {
    this.#notice({ type: VADEventType.END_OF_SPEECH, speechDuration: 1000, silenceDuration: 100, speaking: false })
  }

  #notice(event) {
    const nothing = { samplesIndex: 0, silenceDuration: 0, rawAccumulatedSilence: 0, rawAccumulatedSpeech: 0 }
    const noticed = { ...nothing, timestamp: Date.now(), probability: 1, inferenceDuration: 0, frames: [], ...event }
    for (const stream of this.#streams) stream.notice(noticed)
  }
}

class Noticed extends VADStream {
  notice(event) {
    this.sendVADEvent(event)
  }
}

/** An STT that recognizes nothing, so that every interruption is a false one. */
class Deaf extends stt.STT {
  label = 'deaf'

  constructor() {
    super({ streaming: true, interimResults: true })
  }

  async _recognize() {
    throw new Error('as a stream')
  }

  stream() {
    return new Ignored(this)
  }
}

class Ignored extends stt.SpeechStream {
  label = 'deaf'

  async run() {
    for await (const _ of this.input);
  }
}

/**
 * Starts an agent in `room` of support/room.js, as agent code does: it answers each text with another (`answers`), and each text has a
 * sound (`sounds`). `output` makes its output from the agent's room.
 */
async function openAgent(room, { answers = {}, sounds, output }) {
  const agentRoom = new Room()
  const user = new User()
  const fake = new voice.testing.FakeLLM(Object.entries(answers).map(([input, content]) => ({ input, content })))
  const session = new voice.AgentSession({
    llm: fake,
    tts: new Voice(sounds),
    vad: user,
    stt: new Deaf(),
    aecWarmupDuration: null,
    turnHandling: { turnDetection: 'vad', interruption: { mode: 'vad', falseInterruptionTimeout: 300 } }
  })
  const audio = output(agentRoom)
  session.output.audio = audio
  await agentRoom.connect(room.server.url, await room.token('agent'), { autoSubscribe: true, dynacast: false })
  await session.start({ agent: new voice.Agent({ instructions: 'Be brief.' }), room: agentRoom })
  const close = async () => {
    await session.close()
    await audio.close()
    await agentRoom.disconnect()
  }
  return { session, user, audio, room: agentRoom, close }
}

/** Sets `LIVEKIT_URL` and its keys for one test, as for a worker. */
function setEnvironment(t, { url, key, secret }) {
  const variables = { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret }
  const before = Object.keys(variables).map((name) => [name, process.env[name]])
  Object.assign(process.env, variables)
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
}

module.exports = { openAgent, setEnvironment }
