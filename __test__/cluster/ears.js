'use strict'

// The ears of run.js, in a process of their own: some listen by `session.listen`, which comes back as a speaker does, some by LiveKit's own
// client, which shares no code with it.

const { setTimeout: sleep } = require('node:timers/promises')

const { AudioStream, Room, RoomEvent, TrackKind, dispose } = require('@livekit/rtc-node')

const { SpeakerSession } = require('../..')
const EAR_OPTIONS = require('../../lib/cli/ear-options')
const { answer } = require('./child')

const RATE = 8000
const FRAME_MS = 20
/** The level above which a frame of the speaker's tone is. */
const QUIET = 3000
/** What was heard no longer ago is heard now. */
const PRESENT_MS = 300
/** An ear whose server is gone tries to reconnect for this long before it leaves. */
const GOODBYE_MS = 10_000

/** When a tone was heard: the longest silence since `forget`, by the time at which frames arrive. */
class Ear {
  /** Its room is lost for good. */
  hasLeft = false
  #last
  #longest = 0

  hear(samples) {
    let peak = 0
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample))
    if (peak < QUIET) return
    const now = Date.now()
    if (this.#last !== undefined) this.#longest = Math.max(this.#longest, now - this.#last - FRAME_MS)
    this.#last = now
  }

  forget() {
    this.#longest = 0
  }

  /** Returns the longest silence, which may go on, and whether something is heard now. */
  heard() {
    const now = Date.now() - this.#last - FRAME_MS
    return { silentMs: Math.max(this.#longest, now), hears: now < PRESENT_MS, hasLeft: this.hasLeft }
  }

  get hasHeard() {
    return this.#last !== undefined
  }
}

const ears = []

/** An ear by `session.listen`. */
async function listen({ url, token, speaker, room }) {
  const ear = new Ear()
  const session = new SpeakerSession({ output: { type: 'livekit', url, token, publish: [] } })
  session.listen({ identity: speaker, sampleRate: RATE, frameMs: FRAME_MS }).on('data', ({ frame }) => {
    ear.hear(new Int16Array(frame.buffer, frame.byteOffset, frame.length / 2))
  })
  await session.connect()
  ears.push({ ear, room, kind: 'ours', close: () => session.close() })
}

/** An ear by LiveKit's client. */
async function join({ url, token }) {
  const ear = new Ear()
  const room = new Room()
  room.on(RoomEvent.TrackSubscribed, (track) => {
    if (track.kind === TrackKind.KIND_AUDIO) follow(track, ear).catch(() => {}) // a track may be gone when it is announced
  })
  room.on(RoomEvent.Disconnected, () => (ear.hasLeft = true))
  await room.connect(url, token, EAR_OPTIONS)
  return { ear, close: () => Promise.race([room.disconnect(), sleep(GOODBYE_MS)]) }
}

async function follow(track, ear) {
  for await (const { data } of new AudioStream(track, { sampleRate: RATE, numChannels: 1, frameSizeMs: FRAME_MS })) ear.hear(data)
}

const until = async (condition) => {
  while (!condition()) await sleep(FRAME_MS)
}

answer({
  async open(given) {
    await Promise.all(given.map(async (one) => {
      if (one.kind === 'ours') return listen(one)
      ears.push({ ...await join(one), room: one.room, kind: one.kind })
    }))
    await until(() => ears.every(({ ear }) => ear.hasHeard))
  },
  forget() {
    ears.forEach(({ ear }) => ear.forget())
  },
  heard() {
    return ears.map(({ ear, room, kind }) => ({ room, kind, ...ear.heard() }))
  },
  /** Returns how long new ears take to hear something, in ms. */
  async fresh(given) {
    return Promise.all(given.map(async (one) => {
      const begun = Date.now()
      const { ear, close } = await join(one)
      await until(() => ear.hasHeard)
      const ms = Date.now() - begun
      await close()
      return ms
    }))
  },
  async stop() {
    await Promise.all(ears.map(({ close }) => close()))
    await dispose()
  }
})
