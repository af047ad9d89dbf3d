'use strict'

// The mix as a WAV file of a bounded size, for listening in a page.

const { wavHeader } = require('../../wav-header')

/** The sample rate of G.711. */
const MULAW_SILENCE = 0xff

/** The qualities in which the sound may be kept, the best first. */
const QUALITIES = [
  { name: '16 bits at 24 kHz', format: 's16', sampleRate: 24000, bytes: 2, silence: 0, header: (length, channels) => wavHeader(length, 24000, channels) },
  { name: 'as on a telephone', format: 'mulaw', sampleRate: 8000, bytes: 1, silence: MULAW_SILENCE, header: (length, channels) => wavHeader(length, 8000, channels, 'mulaw') }
]

/** The frames of a tap in one quality. */
class Sound {
  quality
  #channels
  #mostBytes
  #frames = []
  #heldBytes = 0
  #isFull = false

  constructor(quality, channels, mostBytes) {
    this.quality = quality
    this.#channels = channels
    this.#mostBytes = mostBytes
  }

  add({ frame, atMs }) {
    this.#isFull ||= this.#heldBytes + frame.length > this.#mostBytes
    if (this.#isFull) return
    this.#heldBytes += frame.length
    this.#frames.push({ frame, atMs })
  }

  /** Returns `{ file, lengthMs, isWhole }`, where `drawnMs` maps a time to its place in the sound; `file` is empty if nothing sounded. */
  cut(drawnMs) {
    const { sampleRate, bytes, silence, header } = this.quality
    const blockBytes = bytes * this.#channels
    const positioned = this.#frames.map(({ frame, atMs }) => ({ frame, offset: Math.round((drawnMs(atMs) * sampleRate) / 1000) * blockBytes }))
    const fitting = positioned.filter(({ frame, offset }) => offset + frame.length <= this.#mostBytes)
    const length = fitting.reduce((most, { frame, offset }) => Math.max(most, offset + frame.length), 0)
    const samples = Buffer.alloc(length, silence)
    for (const { frame, offset } of fitting) frame.copy(samples, offset)
    return {
      file: length === 0 ? Buffer.alloc(0) : Buffer.concat([header(length, this.#channels), samples]),
      lengthMs: (length / blockBytes / sampleRate) * 1000,
      isWhole: !this.#isFull && fitting.length === positioned.length
    }
  }
}

module.exports = { QUALITIES, Sound }
