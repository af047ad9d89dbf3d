'use strict'

/** The length of a tap's frame, and of a bin at first. */
const FRAME_MS = 10
/** Beyond this many bins each is merged with its neighbour, so an hour of sound takes as much memory as a minute. Silence takes none. */
const MOST_BINS = 8192
const FULL_SCALE = 32768

/** The peak and the power of each short piece of a sound, 1 being full scale. */
class Peaks {
  /** The highest peak of all. */
  peak = 0
  #binMs = FRAME_MS
  /** `{ peak, power }` by the number of the bin; silent bins are missing. */
  #bins = new Map()

  /** Adds a frame of 16-bit samples. */
  add({ frame, atMs }) {
    const count = frame.length / 2
    let [peak, power] = [0, 0]
    for (let n = 0; n < count; n++) {
      const sample = frame.readInt16LE(2 * n)
      peak = Math.max(peak, Math.abs(sample))
      power += sample * sample
    }
    this.peak = Math.max(this.peak, peak / FULL_SCALE)
    this.#put(Math.floor((atMs + FRAME_MS / 2) / this.#binMs), peak / FULL_SCALE, ((power / count / FULL_SCALE ** 2) * FRAME_MS) / this.#binMs)
    if (this.#bins.size > MOST_BINS) this.#halve()
  }

  /** Returns `{ peak, rms }` of the sound between two times. */
  between(fromMs, toMs) {
    const first = Math.floor(fromMs / this.#binMs)
    const behind = Math.max(first + 1, Math.ceil(toMs / this.#binMs))
    let [peak, power] = [0, 0]
    for (let n = first; n < behind; n++) {
      const bin = this.#bins.get(n)
      if (!bin) continue
      peak = Math.max(peak, bin.peak)
      power += bin.power
    }
    return { peak, rms: Math.min(peak, Math.sqrt(power / (behind - first))) }
  }

  #put(number, peak, power) {
    const bin = this.#bins.get(number)
    if (bin) Object.assign(bin, { peak: Math.max(bin.peak, peak), power: bin.power + power })
    else this.#bins.set(number, { peak, power })
  }

  #halve() {
    const bins = this.#bins
    this.#bins = new Map()
    this.#binMs *= 2
    for (const [number, { peak, power }] of bins) this.#put(Math.floor(number / 2), peak, power / 2)
  }
}

module.exports = { FRAME_MS, Peaks }
