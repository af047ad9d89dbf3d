'use strict'

// What comes out of a tap, laid out in time.

const SAMPLE_BYTES = 4

/** Documented in index.d.ts. */
function recordTap(session, { trackId, sampleRate = 48000, channels = 1 } = {}) {
  const tap = session.tap({ trackId, sampleRate, channels, format: 'f32', frameMs: 10 })
  const frames = []
  tap.on('data', (frame) => frames.push(frame))
  return { tap, recording: () => ({ sampleRate, channels, samples: timeline(frames, sampleRate, channels) }) }
}

/** Every frame at its time; what no frame tells of is silence. */
function timeline(frames, sampleRate, channels) {
  const placeOf = (ms) => Math.round((ms * sampleRate) / 1000) * channels
  const length = frames.reduce((end, { frame, atMs }) => Math.max(end, placeOf(atMs) + frame.length / SAMPLE_BYTES), 0)
  const samples = new Float32Array(length)
  for (const { frame, atMs } of frames) {
    const place = placeOf(atMs)
    for (let n = 0; n < frame.length / SAMPLE_BYTES; n++) samples[place + n] = frame.readFloatLE(n * SAMPLE_BYTES)
  }
  return samples
}

module.exports = { recordTap }
