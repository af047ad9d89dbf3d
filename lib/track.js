'use strict'

const check = require('./check')

/** The default names; as in src/output/livekit/announcement.rs. */
const NAMES = ['speaker', 'app_audio', 'tts']

/** Returns the default name of a track. */
function trackName(id) {
  return NAMES[id] ?? `track_${id}`
}

/** A handle of a session's track. Documented in index.d.ts. It has no state of its own: everything about a track is kept in the session. */
class SpeakerTrack {
  #calls

  /** `calls` are the session's methods: each takes the track's number first. */
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
