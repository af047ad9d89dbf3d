'use strict'

// The header of a WAV file, for raw samples.

/** The format tag (RFC 2361) and the bits per sample of each raw format. */
const FORMATS = { pcm16: [1, 16], f32: [3, 32], alaw: [6, 8], mulaw: [7, 8], g722: [0x28f, 4] }

/** Returns the header of `length` bytes of samples. */
function wavHeader(length, sampleRate, channels, format = 'pcm16') {
  const [tag, bits] = FORMATS[format]
  const frame = Math.max(1, bits >> 3) * channels
  // Formats other than PCM state the length of their extension: 0.
  const rest = tag === 1 ? 16 : 18
  const header = Buffer.alloc(28 + rest)
  header.write('RIFF', 0)
  header.writeUInt32LE(Math.min(header.length - 8 + length, 0xffffffff), 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(rest, 16)
  header.writeUInt16LE(tag, 20)
  header.writeUInt16LE(channels, 22)
  header.writeUInt32LE(sampleRate, 24)
  header.writeUInt32LE((sampleRate * channels * bits) >> 3, 28)
  header.writeUInt16LE(frame, 32)
  header.writeUInt16LE(bits, 34)
  header.write('data', 20 + rest)
  header.writeUInt32LE(Math.min(length, 0xffffffff), 24 + rest)
  return header
}

module.exports = { wavHeader }
