// Runs in the audio thread of a page: sends what it hears to ear.js, 80 ms at a time.

/** A multiple of the 128 samples of a turn. */
const BLOCK = 3840

class Recorder extends globalThis.AudioWorkletProcessor {
  #block = new Float32Array(BLOCK)
  #filled = 0

  /** The channels of the input are mixed to one; it has none while nothing is connected. */
  process([[samples]]) {
    if (samples) this.#block.set(samples, this.#filled)
    this.#filled += samples?.length ?? 128
    if (this.#filled < BLOCK) return true
    this.port.postMessage(this.#block)
    this.#block = new Float32Array(BLOCK)
    this.#filled = 0
    return true
  }
}

globalThis.registerProcessor('recorder', Recorder)
