'use strict'

// `AudioFrame`s of `@livekit/rtc-node` as bytes.

/** Returns a copy of a frame's samples, because its owner may reuse their memory. */
function bytesOf({ data, channels, samplesPerChannel }) {
  return Buffer.from(Buffer.from(data.buffer, data.byteOffset, samplesPerChannel * channels * data.BYTES_PER_ELEMENT))
}

/** Returns the format of a frame for a stream. */
function formatOf({ sampleRate, channels }) {
  return { format: 'pcm16', sampleRate, channels }
}

/** Returns true if two formats are equal, so that one stream can take both. */
function isSame(one, other) {
  return one.sampleRate === other.sampleRate && one.channels === other.channels
}

module.exports = { bytesOf, formatOf, isSame }
