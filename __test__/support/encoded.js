'use strict'

// Encoded streams: collects them, takes Ogg apart, and decodes them.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { once } = require('node:events')

const { SpeakerSession } = require('../..')

/** Collects what a stream gives from now on: `{ bytes(), whole() }`, the bytes so far, and a promise of all of them. */
function collect(stream) {
  const chunks = []
  stream.on('data', (chunk) => chunks.push(chunk))
  const ended = once(stream, 'end')
  return { bytes: () => Buffer.concat(chunks), whole: () => ended.then(() => Buffer.concat(chunks)) }
}

/** Decodes a stream as any source is played: returns `{ samples, durationMs }`, at 48 kHz. */
async function decode(audio, channels = 1) {
  const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual', channels }, maxDurationMs: 3_600_000 })
  const playing = session.playAudio({ audio })
  await session.advance(100)
  while (session.playbacks().length > 0) await session.advance(1000)
  const { durationMs } = await playing
  const { samples } = session.recording()
  await session.close()
  return { samples: samples.subarray(0, Math.round(durationMs * 48) * channels), durationMs }
}

/** Returns ffmpeg's decoding, or undefined where there is no ffmpeg. */
function decodeByFfmpeg(audio, channels = 1) {
  const { error, status, stdout, stderr } = spawnSync(
    'ffmpeg', ['-v', 'warning', '-i', '-', '-f', 'f32le', '-ac', `${channels}`, '-ar', '48000', '-'], { input: audio, maxBuffer: 1 << 28 }
  )
  if (error) return undefined
  return { complaints: `${stderr}`, status, samples: new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length)) }
}

/** The table of Ogg's checksum (RFC 3533 §6). */
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24
  for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value < 0 ? 0x04c11db7 : 0)
  return value
})

function checksum(page) {
  let value = 0
  page.forEach((byte, at) => (value = (value << 8) ^ CRC[(value >>> 24) ^ (at >= 22 && at < 26 ? 0 : byte)]))
  return value >>> 0
}

/** Takes Ogg apart: returns its pages, `{ flags, granule, serial, sequence, packets }`, and checks each checksum. */
function pagesOf(bytes) {
  const pages = []
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.toString('latin1', at, at + 4), 'OggS', `at ${at}`)
    const lacing = [...bytes.subarray(at + 27, at + 27 + bytes[at + 26])]
    let from = at + 27 + lacing.length
    const end = from + lacing.reduce((sum, length) => sum + length, 0)
    assert.ok(end <= bytes.length, 'a page is cut')
    assert.equal(checksum(bytes.subarray(at, end)), bytes.readUInt32LE(at + 22))
    const packets = []
    let length = 0
    for (const segment of lacing) {
      length += segment
      if (segment === 255) continue
      packets.push(bytes.subarray(from, from + length))
      from += length
      length = 0
    }
    pages.push({
      flags: bytes[at + 5], granule: Number(bytes.readBigInt64LE(at + 6)), serial: bytes.readUInt32LE(at + 14), sequence: bytes.readUInt32LE(at + 18), packets
    })
    at = end
  }
  return pages
}

module.exports = { collect, decode, decodeByFfmpeg, pagesOf }
