'use strict'

const RATE = 8000

/** Silence as an 8-bit WAV file. */
function silence(ms) {
  const length = (RATE * ms) / 1000
  const header = Buffer.alloc(44)
  header.write('RIFF')
  header.writeUInt32LE(36 + length, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20) // PCM
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(RATE, 24)
  header.writeUInt32LE(RATE, 28)
  header.writeUInt16LE(1, 32)
  header.writeUInt16LE(8, 34)
  header.write('data', 36)
  header.writeUInt32LE(length, 40)
  return Buffer.concat([header, Buffer.alloc(length, 0x80)])
}

module.exports = { silence }
