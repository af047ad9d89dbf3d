'use strict'

// Records the frames of a tap, each at its time.

/** Documented in index.d.ts. */
function recordTap(session, { sampleRate = 48000, channels = 1, ...of } = {}) {
  const tap = session.tap({ ...of, sampleRate, channels, format: 'f32', frameMs: 10 })
  const frames = listen(tap)
  return { tap, recording: () => ({ sampleRate, channels, samples: timeline(frames, { format: 'f32', sampleRate, channels }) }) }
}

/** Keeps every frame as it comes. */
function listen(tap) {
  const frames = []
  tap.on('data', (frame) => frames.push(frame))
  return frames
}

/** Returns the samples from `fromMs` on, each at the time of its frame; times without a frame are silence. */
function timeline(frames, { format = 's16', sampleRate = 48000, channels = 1, fromMs = 0 } = {}) {
  const bytes = format === 's16' ? 2 : 4
  const offsetOf = (ms) => Math.round(((ms - fromMs) * sampleRate) / 1000) * channels
  const samples = new Float32Array(frames.reduce((end, { frame, atMs }) => Math.max(end, offsetOf(atMs) + frame.length / bytes), 0))
  for (const { frame, atMs } of frames) {
    const offset = offsetOf(atMs)
    for (let n = 0; n < frame.length / bytes; n++) {
      samples[offset + n] = format === 's16' ? frame.readInt16LE(n * 2) / 32768 : frame.readFloatLE(n * 4)
    }
  }
  return samples
}

module.exports = { listen, recordTap, timeline }
