'use strict'

// A listener in a room: @livekit/rtc-node, which shares no code with the speaker. It logs to stdout, so it needs its own
// process.

const rtc = require('@livekit/rtc-node')

const RATE = 48000

class BenchEar {
  /** The server's quality ratings of participants: `{ atMs, identity, quality }`. */
  qualities = []
  #room = new rtc.Room()
  /** The samples of each track since its announcement, by identity and name. */
  #tracks = new Map()

  static async open(url, token) {
    const ear = new BenchEar()
    ear.#room.on(rtc.RoomEvent.TrackSubscribed, (track, { name }, { identity }) => ear.#record(track, `${identity}/${name}`))
    ear.#room.on(rtc.RoomEvent.ConnectionQualityChanged, (quality, { identity }) => {
      ear.qualities.push({ atMs: performance.now(), identity, quality: QUALITIES[quality] ?? String(quality) })
    })
    await ear.#room.connect(url, token, { autoSubscribe: true, dynacast: false })
    return ear
  }

  async #record(track, name) {
    const samples = []
    this.#tracks.set(name, samples)
    for await (const { data } of new rtc.AudioStream(track, RATE, 1)) for (const sample of data) samples.push(sample / 32768)
  }

  /** Takes the samples of a track since the last call. */
  take(identity, name) {
    return this.#tracks.get(`${identity}/${name}`)?.splice(0) ?? []
  }

  forget(identity) {
    for (const name of this.#tracks.keys()) if (name.startsWith(`${identity}/`)) this.#tracks.delete(name)
  }

  close() {
    return this.#room.disconnect()
  }
}

const QUALITIES = {
  [rtc.ConnectionQuality.QUALITY_POOR]: 'poor',
  [rtc.ConnectionQuality.QUALITY_GOOD]: 'good',
  [rtc.ConnectionQuality.QUALITY_EXCELLENT]: 'excellent',
  [rtc.ConnectionQuality.QUALITY_LOST]: 'lost'
}

module.exports = { BenchEar, dispose: rtc.dispose }
