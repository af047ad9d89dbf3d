'use strict'

// Raw samples for streams, and ways to cut them.

const { open } = require('./session')

const RAW = { format: 'pcm16', sampleRate: 48000 }

/** Encodes samples from -1 to 1 as 16 bits, little-endian. */
function pcm16(samples) {
  const bytes = Buffer.alloc(samples.length * 2)
  samples.forEach((sample, index) => bytes.writeInt16LE(Math.round(sample * 32768), index * 2))
  return bytes
}

/** Returns `ms` of samples that all differ from their neighbours, also as 16 bits. */
function saw(ms, rate = 48000) {
  return Float32Array.from({ length: (ms * rate) / 1000 }, (_, n) => ((n * 37) % 8192) / 32768 - 0.125)
}

/** Returns `ms` of a constant level. */
function steady(ms, level = 0.5) {
  return pcm16(new Float32Array(ms * 48).fill(level))
}

/** Yields `bytes` in pieces of these lengths, repeatedly. */
function* pieces(bytes, ...lengths) {
  for (let [at, n] = [0, 0]; at < bytes.length; n++) {
    const end = at + lengths[n % lengths.length]
    yield bytes.subarray(at, end)
    at = end
  }
}

/** Writes, and resolves with the callback's error, or none. */
function write(stream, bytes) {
  return new Promise((resolve) => stream.write(bytes, resolve))
}

/** Opens a session with one stream. */
function openStream(t, request, options) {
  const opened = open(t, options)
  return { ...opened, stream: opened.session.createStream({ requestId: 's', ...RAW, ...request }) }
}

module.exports = { RAW, openStream, pcm16, saw, steady, pieces, write }
