'use strict'

// The measuring of latency.js, in its own process: LiveKit's SDK logs to stdout. Its parent sends
// `{ url, tokens: { ours, official, ear }, turns }`; it answers once with each turn's times in ms, and ends.

const { setTimeout: sleep } = require('node:timers/promises')

const rtc = require('@livekit/rtc-node')

const { SpeakerSession } = require('..')
const { tone } = require('../__test__/support/wav')
const { Wire } = require('../__test__/support/wire')
const { serve } = require('./child')
const { audioLevel } = require('./rtp')

const RATE = 48000
const FRAME = 960
const SOUND_MS = 1000
const AMPLITUDE = 0.3
/** The level above which sound is audible, in dB below full scale. */
const AUDIBLE_DB = 60
const AUDIBLE_POWER = 10 ** (-AUDIBLE_DB / 10)
/** The time that a sound plays before it is stopped, and as much more at random, so that stops fall anywhere in a frame. */
const SOUNDING_MS = 60
const FRAME_MS = 20
/** The silence after which a turn is over. */
const QUIET_MS = 120
const LATE_MS = 2000
const WARM_UP = 5

const sounds = { ours: tone(440, SOUND_MS, { amplitude: AMPLITUDE }), official: frames() }

/** The same tone in pieces of 20 ms. */
function frames() {
  return Array.from({ length: SOUND_MS / FRAME_MS }, (_, n) => {
    const sample = (_, k) => AMPLITUDE * 32767 * Math.sin((2 * Math.PI * 440 * (n * FRAME + k)) / RATE)
    return new rtc.AudioFrame(Int16Array.from({ length: FRAME }, sample), RATE, 1, FRAME)
  })
}

/** The times of the first and the last audible sound since `reset`, at one point of the way. */
class Watch {
  reset() {
    this.first = this.last = undefined
  }

  audible(atMs) {
    this.first ??= atMs
    this.last = atMs
  }
}

/** A wire that watches what goes to the server. */
async function openWire(url, watch) {
  const wire = await Wire.open(url)
  let id
  wire.onMessage = (text) => {
    id = Number(/extmap:(\d+)\S* urn:ietf:params:rtp-hdrext:ssrc-audio-level/.exec(text)?.[1] ?? id)
  }
  wire.media.onPacket = (bytes, atMs) => audioLevel(bytes, id) < AUDIBLE_DB && watch.audible(atMs)
  return wire
}

const speakers = {
  async ours(url, token) {
    const session = new SpeakerSession({ output: { type: 'livekit', url, token } })
    await session.playAudio({ audio: sounds.ours, volume: 0 })
    return {
      play: () => void session.playAudio({ audio: sounds.ours }),
      stop: () => void session.stopAudio(),
      close: () => session.close()
    }
  },

  async official(url, token) {
    const room = new rtc.Room()
    await room.connect(url, token, { autoSubscribe: false, dynacast: false })
    const source = new rtc.AudioSource(RATE, 1)
    const track = rtc.LocalAudioTrack.createAudioTrack('speaker', source)
    const kind = { source: rtc.TrackSource.SOURCE_MICROPHONE, dtx: false, red: false }
    await room.localParticipant.publishTrack(track, new rtc.TrackPublishOptions(kind))
    let playing
    return {
      async play() {
        const mine = (playing = {})
        for (const frame of sounds.official) {
          if (playing !== mine) return
          await source.captureFrame(frame)
        }
      },
      stop() {
        playing = undefined
        source.clearQueue()
      },
      close: () => room.disconnect()
    }
  }
}

/** Joins, and watches each speaker by name. */
async function openEar(url, token, watches) {
  const room = new rtc.Room()
  room.on(rtc.RoomEvent.TrackSubscribed, async (track, _, { identity }) => {
    for await (const { data } of new rtc.AudioStream(track, RATE, 1)) {
      const power = data.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / data.length
      if (power > AUDIBLE_POWER) watches[identity].audible(performance.now())
    }
  })
  await room.connect(url, token, { autoSubscribe: true, dynacast: false })
  return room
}

/** Plays and stops once. Returns the latencies on the wire and at the ear, in ms; undefined where nothing was audible. */
async function turn({ speaker, wire, ear }) {
  wire.reset()
  ear.reset()
  const playedAt = performance.now()
  speaker.play()
  while (ear.first === undefined) {
    if (performance.now() - playedAt > LATE_MS) return undefined
    await sleep(1)
  }
  await sleep(SOUNDING_MS + Math.random() * FRAME_MS)
  const stoppedAt = performance.now()
  speaker.stop()
  while (performance.now() - Math.max(stoppedAt, ear.last, wire.last) < QUIET_MS) await sleep(5)
  return {
    playOnWire: wire.first - playedAt,
    stopOnWire: Math.max(0, wire.last - stoppedAt),
    playAtEar: ear.first - playedAt,
    stopAtEar: Math.max(0, ear.last - stoppedAt)
  }
}

async function measure({ url, tokens, turns }) {
  const kinds = Object.keys(speakers)
  const stages = Object.fromEntries(kinds.map((kind) => [kind, { wire: new Watch(), ear: new Watch() }]))
  const ear = await openEar(url, tokens.ear, Object.fromEntries(kinds.map((kind) => [kind, stages[kind].ear])))
  const wires = []
  for (const kind of kinds) {
    const wire = await openWire(url, stages[kind].wire)
    wires.push(wire)
    stages[kind].speaker = await speakers[kind](wire.url, tokens[kind])
  }
  const times = Object.fromEntries(kinds.map((kind) => [kind, []]))
  for (let n = -WARM_UP; n < turns; n++) {
    for (const kind of kinds) {
      const result = await turn(stages[kind])
      if (n >= 0) times[kind].push(result)
    }
  }
  await Promise.all([...kinds.map((kind) => stages[kind].speaker.close()), ear.disconnect()])
  wires.forEach((wire) => wire.close())
  await rtc.dispose()
  return times
}

serve(async (load) => process.send(await measure(load)))
