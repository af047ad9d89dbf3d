'use strict'

const check = require('./check')

/** As in src/output/livekit/announcement.rs. */
const NAMES = ['speaker', 'app_audio', 'tts']

/** Returns the name of a track that has none of its own. */
function trackName(id) {
  return NAMES[id] ?? `track_${id}`
}

/** What a session's track is asked for. Documented in index.d.ts. It holds nothing: all there is to a track is the session's. */
class SpeakerTrack {
  #calls

  /** `calls` are the session's: each takes the track's number first. */
  constructor(id, name, calls) {
    this.id = id
    this.name = name ?? trackName(id)
    this.#calls = calls
  }

  async setVolume(change) {
    this.#calls.setVolume(this.id, check.trackVolume(change), change)
  }

  async setPan(change) {
    this.#calls.setPan(this.id, check.trackPan(change), change)
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

module.exports = { SpeakerTrack, trackName }
