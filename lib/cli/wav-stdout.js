'use strict'

const { wavHeader } = require('../wav-header')

/** What a header says of a file whose length is not known yet, as ffmpeg writes it into a pipe. */
const UNKNOWN = 0xffffffff

/** A WAV file for standard output, as it is mixed. What is told of the run goes to standard error. */
class WavStdout {
  name = 'standard output'
  takesStdout = true
  #channels
  #hasBegun = false

  constructor({ stereo, realtime }) {
    this.#channels = stereo ? 2 : 1
    this.clock = realtime ? 'realtime' : 'manual'
    this.output = { type: 'pcm', clock: this.clock, channels: this.#channels, continuous: true, onFrame: (frame) => this.#write(frame) }
  }

  async prepare(session) {
    // Nobody reads on: there is nothing to go on for.
    process.stdout.once('error', () => session.close().catch(() => {}))
    return 0
  }

  async heard() {
    return { sounds: [], missed: [] }
  }

  nothingBegan() {
    return [{ code: 'ERR_OUTPUT', message: 'nothing was played' }]
  }

  async close() {}

  /** On Linux pipes and files take it before this returns; elsewhere what a slow reader has not taken waits in memory. */
  #write(frame) {
    if (!this.#hasBegun) process.stdout.write(wavHeader(UNKNOWN, 48000, this.#channels))
    this.#hasBegun = true
    process.stdout.write(frame)
  }
}

module.exports = { WavStdout }
