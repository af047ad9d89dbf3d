'use strict'

// Tags around the audio are skipped, whatever the source: a demuxer that read them would recurse for every chapter in
// a chapter, and crash the process.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { ways } = require('../support/ways')

const fixture = (name) => readFileSync(path.join(__dirname, '../fixtures', name))

/** Returns an ID3v2.3 tag around `frames`, which may claim another size. */
function id3(frames, size = frames.length) {
  const sizes = [21, 14, 7, 0].map((shift) => (size >> shift) & 0x7f)
  return Buffer.concat([Buffer.from('ID3\x03\0\0', 'latin1'), Buffer.from(sizes), frames])
}

/** Returns chapters nested this deep. */
function chapters(depth) {
  let frame = Buffer.alloc(0)
  for (let n = 0; n < depth; n++) {
    const body = Buffer.concat([Buffer.from('a\0'), Buffer.alloc(16), frame])
    const header = Buffer.from('CHAP\0\0\0\0\0\0', 'latin1')
    header.writeUInt32BE(body.length, 4)
    frame = Buffer.concat([header, body])
  }
  return frame
}

/** Returns an APEv2 tag with a cover of this size. */
function ape(size) {
  const part = (flags) => {
    const header = Buffer.from('APETAGEX\xd0\x07\0\0____\x01\0\0\0________________'.slice(0, 32), 'latin1').fill(0, 24)
    header.writeUInt32LE(size + 32, 12)
    header.writeUInt32LE(flags, 20)
    return header
  }
  return Buffer.concat([part(0xa0000000), Buffer.alloc(size, 0x55), part(0x80000000)])
}

const id3v1 = Buffer.concat([Buffer.from('TAG'), Buffer.alloc(125, 0x20)])
const deep = id3(chapters(900))

test('skips tags before the audio, however deeply nested', async (t) => {
  const cases = [['tone-cbr.mp3', 'mp3'], ['tone-vbr.mp3', 'mp3'], ['tone.aac', 'aac'], ['tone.flac', 'flac'], ['tone-s16.wav', 'wav']]
  for (const [way, play] of Object.entries(await ways(t))) {
    for (const [name, format] of cases) {
      const plain = await play(fixture(name), format)
      const tagged = await play(Buffer.concat([deep, id3(Buffer.alloc(100_000, 0xff)), ape(50), fixture(name)]), format)
      assert.ok(plain.length > 40_000)
      assert.deepEqual(tagged, plain, `${name} by ${way}`)
    }
  }
})

test('skips tags after audio of known length', async (t) => {
  const { HTTP, stream, ...known } = await ways(t)
  const behind = Buffer.concat([ape(60_000), id3v1])
  // Without the first frame, which states only the length: then the length is estimated from the size.
  const mp3 = fixture('tone-cbr.mp3')
  const estimated = mp3.subarray(mp3.indexOf(mp3.subarray(0, 2), 4))
  for (const audio of [mp3, estimated, fixture('tone.aac'), fixture('tone.flac'), fixture('tone-s16.wav'), fixture('tone.m4a')]) {
    for (const [way, play] of Object.entries(known)) {
      const plain = await play(audio)
      assert.deepEqual(await play(Buffer.concat([audio, behind])), plain, `${audio.length} bytes by ${way}`)
    }
  }
  for (const [audio, format] of [[mp3, 'mp3'], [estimated, 'mp3'], [fixture('tone.aac'), 'aac'], [fixture('tone-s16.wav'), 'wav']]) {
    for (const play of [HTTP, stream]) {
      const plain = await play(audio, format)
      assert.deepEqual(await play(Buffer.concat([audio, id3v1]), format), plain)
    }
  }
})

test('never reads the tag of an AIFF', async (t) => {
  const aiff = fixture('tone.aiff')
  const chunk = Buffer.concat([Buffer.from('ID3 \0\0\0\0', 'latin1'), deep, Buffer.alloc(deep.length % 2)])
  chunk.writeUInt32BE(deep.length, 4)
  for (const [way, play] of Object.entries(await ways(t))) {
    if (way === 'stream') continue // accepts no AIFF
    const plain = await play(aiff)
    for (const at of [12, aiff.indexOf('SSND'), aiff.length]) {
      const tagged = Buffer.concat([aiff.subarray(0, at), chunk, aiff.subarray(at)])
      tagged.writeUInt32BE(tagged.length - 8, 4)
      assert.deepEqual(await play(tagged), plain, `at ${at} by ${way}`)
      assert.deepEqual(await play(Buffer.concat([Buffer.from('junk before'), tagged])), plain, `at ${at} by ${way}, behind junk`)
    }
  }
})

test('refuses tags without audio', async (t) => {
  for (const [way, play] of Object.entries(await ways(t))) {
    for (const audio of [id3(Buffer.alloc(500)), id3(fixture('tone-cbr.mp3'), 0xfffffff), deep]) {
      await assert.rejects(play(audio, 'mp3'), { code: 'ERR_UNSUPPORTED_FORMAT', message: /nothing but tags/ }, way)
    }
  }
})
