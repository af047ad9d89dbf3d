'use strict'

/** A WAV file to play into. Nobody listens while it is written. */
class WavFile {
  constructor({ out, stereo, realtime }) {
    this.name = out
    this.clock = realtime ? 'realtime' : 'manual'
    this.output = { type: 'wav', path: out, clock: this.clock, channels: stereo ? 2 : 1 }
  }

  async prepare() {
    return 0
  }

  async heard() {
    return { sounds: [], missed: [] }
  }

  async close() {}
}

module.exports = { WavFile }
