'use strict'

// What came out of a tap, laid out in time.

/** Remembers every frame, as it comes. */
function listen(tap) {
  const frames = []
  tap.on('data', (frame) => frames.push(frame))
  return frames
}

/** The samples from `fromMs` on, each where its frame's time says; what no frame tells of is silence. */
function timeline(frames, { format = 's16', sampleRate = 48000, channels = 1, fromMs = 0 } = {}) {
  const bytes = format === 's16' ? 2 : 4
  const placeOf = (ms) => Math.round(((ms - fromMs) * sampleRate) / 1000) * channels
  const end = frames.map(({ frame, atMs }) => placeOf(atMs) + frame.length / bytes)
  const samples = new Float32Array(Math.max(0, ...end))
  for (const { frame, atMs } of frames) {
    const place = placeOf(atMs)
    for (let n = 0; n < frame.length / bytes; n++) {
      samples[place + n] = format === 's16' ? frame.readInt16LE(n * 2) / 32768 : frame.readFloatLE(n * 4)
    }
  }
  return samples
}

module.exports = { listen, timeline }
