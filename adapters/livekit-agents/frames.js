'use strict'

// `AudioFrame`s of `@livekit/rtc-node` as bytes.

/** Returns a copy of a frame's samples, for its owner may use their memory again. */
function bytesOf({ data, channels, samplesPerChannel }) {
  return Buffer.from(Buffer.from(data.buffer, data.byteOffset, samplesPerChannel * channels * data.BYTES_PER_ELEMENT))
}

/** Returns what a stream has to know of a frame. */
function formatOf({ sampleRate, channels }) {
  return { format: 'pcm16', sampleRate, channels }
}

/** Returns true if two formats are the same, so that their samples may follow each other. */
function isSame(one, other) {
  return one.sampleRate === other.sampleRate && one.channels === other.channels
}

module.exports = { bytesOf, formatOf, isSame }
