'use strict'

const { wavHeader } = require('../wav-header')

/** The length in the header of a file whose length is not known yet, as ffmpeg writes it into a pipe. */
const UNKNOWN = 0xffffffff

/** A WAV file on standard output, written as it is mixed. Messages about the run go to standard error. */
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
    // The reader has gone, so the run ends.
    process.stdout.once('error', () => session.close().catch(() => {}))
    return 0
  }

  async heard() {
    return { sounds: [], missed: [] }
  }

  unplayedProblems() {
    return [{ code: 'ERR_OUTPUT', message: 'nothing was played' }]
  }

  async close() {}

  /** Writes a frame. On Linux pipes and files take it before this returns; elsewhere what a slow reader has not taken waits in memory. */
  #write(frame) {
    if (!this.#hasBegun) process.stdout.write(wavHeader(UNKNOWN, 48000, this.#channels))
    this.#hasBegun = true
    process.stdout.write(frame)
  }
}

module.exports = { WavStdout }
