'use strict'

// Somebody who speaks in a room by way of LiveKit's own client, and what a session heard of them.

const { AudioFrame, AudioSource, LocalAudioTrack, Room, RoomEvent, TrackPublishOptions, TrackSource } = require('@livekit/rtc-node')
const { setTimeout: sleep } = require('node:timers/promises')

const RATE = 48000
const FRAME = 960
const FRAME_MS = 20

class Talker {
  room
  /** The number of subscriptions to its track. */
  subscribed = 0
  #source
  #track
  #frames = []
  #isTalking = true

  /** Joins `room` of support/room.js, through `url` if given, and publishes a silent track. */
  static async join(t, room, { identity = 'talker', url = room.server.url, ...track } = {}) {
    const talker = new Talker()
    talker.room = new Room()
    await talker.room.connect(url, await room.token(identity), { autoSubscribe: false, dynacast: false })
    talker.room.on(RoomEvent.LocalTrackSubscribed, () => (talker.subscribed += 1))
    t.after(() => talker.leave())
    await talker.publish(track)
    return talker
  }

  async publish({ name = 'mic', source = TrackSource.SOURCE_MICROPHONE, red = true, dtx = false } = {}) {
    const audio = new AudioSource(RATE, 1)
    this.#source = audio
    this.#track = LocalAudioTrack.createAudioTrack(name, audio)
    await this.room.localParticipant.publishTrack(this.#track, new TrackPublishOptions({ source, red, dtx }))
    this.#talk(audio)
  }

  async unpublish() {
    this.#source = undefined
    await this.room.localParticipant.unpublishTrack(this.#track.sid)
  }

  /** Says samples of ±1 after the earlier ones. Resolves when the last of them was sent. */
  async say(samples) {
    const frames = []
    for (let at = 0; at < samples.length; at += FRAME) {
      const frame = new Int16Array(FRAME)
      for (let n = 0; n < FRAME; n++) frame[n] = Math.round(32767 * (samples[at + n] ?? 0))
      frames.push(frame)
    }
    await new Promise((resolve) => this.#frames.push(...frames.slice(0, -1).map((frame) => [frame]), [frames.at(-1), resolve]))
  }

  /** Paces here and not by a full queue, so that samples are sent at once. */
  async #talk(source) {
    const start = performance.now()
    for (let n = 1; this.#isTalking && source === this.#source; n++) {
      const [frame, said] = this.#frames.shift() ?? [new Int16Array(FRAME)]
      await source.captureFrame(new AudioFrame(frame, RATE, 1, FRAME)).catch(() => {})
      said?.()
      await sleep(Math.max(0, start + n * FRAME_MS - performance.now()))
    }
  }

  async leave() {
    this.#isTalking = false
    await this.room.disconnect()
  }
}

/** Returns a tone with an amplitude of 0.5, and a short rise and fall. */
function hum(hz, ms) {
  const length = (ms * RATE) / 1000
  return Float32Array.from({ length }, (_, n) => {
    return 0.5 * Math.min(1, n / 240, (length - n) / 240) * Math.sin((2 * Math.PI * hz * n) / RATE)
  })
}

/**
 * Reads a mono voice in the format 'f32' from now on: `samples()` returns what was heard from the first frame on, with zeros in gaps.
 */
function listenTo(voice) {
  const frames = []
  const heard = { frames, errors: [], hasEnded: false, samples }
  voice.on('data', (frame) => frames.push(frame))
  voice.on('error', (error) => heard.errors.push(error))
  voice.on('end', () => (heard.hasEnded = true))
  return heard

  function samples(fromFrame = 0) {
    const read = frames.slice(fromFrame)
    if (read.length === 0) return new Float32Array(0)
    const at = ({ atMs }) => Math.round((atMs - read[0].atMs) * (RATE / 1000))
    const parts = read.map((frame) => {
      return [at(frame), new Float32Array(frame.frame.buffer, frame.frame.byteOffset, frame.frame.length / 4)]
    })
    const last = parts.at(-1)
    const all = new Float32Array(last[0] + last[1].length)
    for (const [from, part] of parts) all.set(part, from)
    return all
  }
}

/** Returns how many ms of the samples have this frequency: each 20 ms are compared with it and with silence. */
function soundingMs(samples, hz) {
  let ms = 0
  for (let at = 0; at + FRAME <= samples.length; at += FRAME) {
    let [cosine, sine, energy] = [0, 0, 0]
    for (let n = at; n < at + FRAME; n++) {
      cosine += samples[n] * Math.cos((2 * Math.PI * hz * n) / RATE)
      sine += samples[n] * Math.sin((2 * Math.PI * hz * n) / RATE)
      energy += samples[n] ** 2
    }
    const share = (cosine ** 2 + sine ** 2) / ((FRAME / 2) * energy)
    if (energy > FRAME * 0.02 && share > 0.8) ms += FRAME_MS
  }
  return ms
}

module.exports = { Talker, hum, listenTo, soundingMs }
