'use strict'

const check = require('./check')

/** Names of tracks that have none of their own, as in src/output/livekit/announcement.rs. */
const NAMES = ['speaker', 'app_audio', 'tts']

/** What a session's track is asked for. Documented in index.d.ts. It holds nothing: all there is to a track is the session's. */
class SpeakerTrack {
  #calls

  /** `calls` are the session's: each takes the track's number first. */
  constructor(id, name, calls) {
    this.id = id
    this.name = name ?? NAMES[id] ?? `track_${id}`
    this.#calls = calls
  }

  async setVolume(change) {
    this.#calls.setVolume(this.id, check.trackVolume(change), change)
  }

  async setMuted(muted) {
    await this.#calls.setMuted({ trackId: this.id, muted })
  }

  stats() {
    return this.#calls.stats(this.id)
  }

  tap(options) {
    return this.#calls.tap({ ...options, trackId: this.id })
  }
}

module.exports = { SpeakerTrack }
