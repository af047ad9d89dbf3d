'use strict'

/** A WAV file to play into. Nobody listens while it is written. If nothing sounds, no file is made, and an existing one stays. */
class WavFile {
  constructor({ out, stereo, realtime }) {
    this.name = out
    this.clock = realtime ? 'realtime' : 'manual'
    this.output = { type: 'wav', path: out, clock: this.clock, channels: stereo ? 2 : 1, keepUnheard: false }
  }

  async prepare() {
    return 0
  }

  async heard() {
    return { sounds: [], missed: [] }
  }

  /** Returns the errors of a run in which nothing began. */
  unplayedProblems() {
    return [{ code: 'ERR_OUTPUT', message: `nothing was played, so ${this.name} is not written` }]
  }

  async close() {}
}

module.exports = { WavFile }
