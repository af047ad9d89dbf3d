'use strict'

// A body may hold several files in a row, change from frame to frame, and be padded: all of it is played, or an error says
// that it was not.

const assert = require('node:assert/strict')
const { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { ways } = require('../support/ways')
const { level, tone } = require('../support/wav')

const fixture = (name) => readFileSync(path.join(__dirname, '../fixtures', name))

const id3v2 = Buffer.concat([Buffer.from('ID3\x03\0\0\0\0\x07\x68', 'latin1'), Buffer.alloc(1000, 0x55)])
const id3v1 = Buffer.concat([Buffer.from('TAG'), Buffer.alloc(125, 0x20)])
const lyrics3 = Buffer.from(`LYRICSBEGIN${'la'.repeat(500)}001011LYRICS200`)
const apeFooter = Buffer.concat([
  Buffer.alloc(500, 0x55),
  Buffer.from('APETAGEX\xe8\x03\0\0\x14\x02\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1')
])

/** Returns noise that no demuxer recognises, the same each time. */
function noise(length) {
  let state = 1
  return Buffer.from(Uint8Array.from({ length }, () => (state = (state * 48271) % 0x7fffffff) % 255))
}

/** Returns the frames of an MP3 without the one that describes it. */
const bare = (mp3) => mp3.subarray(mp3.indexOf(mp3.subarray(0, 2), 4))

/** Returns the frames of a FLAC file without its header. */
function frames(flac) {
  let at = 4
  for (let last = false; !last; at += 4 + flac.readUIntBE(at + 1, 3)) last = flac[at] >= 0x80
  return flac.subarray(at)
}

/** Returns a FLAC file that claims this many samples. */
function claim(flac, samples) {
  const changed = Buffer.from(flac)
  changed[21] &= 0xf0
  changed.writeUInt32BE(samples, 22)
  return changed
}

/** Returns a metadata block of FLAC. */
const block = (kind, bytes) => Buffer.concat([Buffer.from([kind, bytes.length >> 16, (bytes.length >> 8) & 0xff, bytes.length & 0xff]), bytes])

/** Returns a FLAC file with other metadata blocks only. */
const described = (flac, ...blocks) => {
  blocks[blocks.length - 1][0] |= 0x80
  return Buffer.concat([flac.subarray(0, 4), ...blocks, frames(flac)])
}

/** Computes the checksums of a FLAC frame (RFC 9639 §9.1.8, §9.3), bit by bit. */
function checksum(bytes, bits, polynomial) {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << (bits - 8)
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc >> (bits - 1) ? polynomial : 0)) & ((1 << bits) - 1)
  }
  return crc
}

/** Returns the same FLAC with a variable block size: frames give the number of their first sample instead of their own. */
function variable(flac, blockSize) {
  const rest = frames(flac)
  /** Returns how many bytes of the block size follow the number. */
  const extra = (at) => [6, 7].indexOf(rest[at + 2] >> 4) + 1
  const starts = []
  for (let at = 0; at >= 0; at = rest.indexOf('fff8', at + 1, 'hex')) {
    const end = at + 5 + extra(at)
    if (rest[at + 4] === starts.length && checksum(rest.subarray(at, end), 8, 7) === rest[end]) starts.push(at)
  }
  const varied = starts.map((start, index) => {
    const frame = rest.subarray(start, starts[index + 1])
    const first = index * blockSize
    // Encoded as in UTF-8.
    const number = first < 0x80 ? [first] : [0xe0 | (first >> 12), 0x80 | ((first >> 6) & 0x3f), 0x80 | (first & 0x3f)]
    const end = 5 + extra(start)
    const header = Buffer.from([0xff, 0xf9, frame[2], frame[3], ...number, ...frame.subarray(5, end)])
    const body = Buffer.concat([header, Buffer.from([checksum(header, 8, 7)]), frame.subarray(end + 1, -2)])
    const crc = checksum(body, 16, 0x8005)
    return Buffer.concat([body, Buffer.from([crc >> 8, crc & 0xff])])
  })
  return Buffer.concat([flac.subarray(0, flac.length - rest.length), ...varied])
}

/** Returns an MP3 whose first frame describes it as Fraunhofer's encoders do. */
function vbri(mp3) {
  const audio = bare(mp3)
  const first = Buffer.from(audio.subarray(0, audio.length - bare(audio).length)).fill(0, 4)
  first.write('VBRI', 36)
  return Buffer.concat([first, audio])
}

/** Plays `audio` and returns how it ended and what was heard. */
async function outcome(t, request, options) {
  const { session, heard } = open(t, options)
  const ended = session.playAudio(request).then((result) => result.outcome, (error) => error.code)
  await finish(session)
  return { ended: await ended, heard: heard() }
}

const SECOND = { wav: tone(2000, 500, { amplitude: 0.25, sampleRate: 32000 }) }
for (const format of ['mp3', 'flac', 'aac']) SECOND[format] = fixture(`second.${format}`)

const TWO = [
  ['MP3 of another rate and layout', 'tone-cbr.mp3', SECOND.mp3, 'mp3'],
  ['MP3 without its first frame', 'tone-vbr.mp3', bare(SECOND.mp3), 'mp3'],
  ['MP3 behind tags', 'tone-vbr.mp3', Buffer.concat([id3v1, lyrics3, id3v2, SECOND.mp3]), 'mp3'],
  ['MP2', 'tone-cbr.mp3', fixture('second.mp2'), 'mp3'],
  ['ADTS of another rate and layout', 'tone.aac', SECOND.aac, 'aac', 50155],
  ['FLAC', 'tone.flac', SECOND.flac, 'flac'],
  ['frames of FLAC of another rate and layout', 'tone.flac', frames(SECOND.flac), 'flac'],
  ['WAV', 'tone-s16.wav', SECOND.wav, 'wav'],
  ['WAV behind a chunk', 'tone-s24.wav', Buffer.concat([Buffer.from('LIST\x03\0\0\0abc\0', 'latin1'), SECOND.wav]), 'wav'],
  ['AIFF and WAV', 'tone.aiff', SECOND.wav, null],
  ['WAV and MP3', 'tone-s16.wav', SECOND.mp3, 'wav'],
  ['MP3 and WAV', 'tone-cbr.mp3', SECOND.wav, 'mp3'],
  ['Ogg and FLAC', 'tone-opus.ogg', SECOND.flac, 'ogg'],
  ['M4A and WAV', 'tone-faststart.m4a', SECOND.wav, null, 49041]
]

test('a second file plays after the first', async (t) => {
  for (const [way, play] of Object.entries(await ways(t))) {
    for (const [what, first, second, format, length = 48000] of TWO) {
      if (way === 'stream' && !format) continue
      const heard = await play(Buffer.concat([fixture(first), second]), format)
      const [one, two] = [level(heard, 12000, 36000, 1000), level(heard, length + 4800, length + 19200, 2000)]
      assert.ok(Math.abs(one - 0.5) < 0.01, `${what} by ${way}: the first at ${one}`)
      assert.ok(Math.abs(two - 0.25) < 0.01, `${what} by ${way}: the second at ${two}`)
      const end = heard.findLastIndex((sample) => sample !== 0)
      assert.ok(Math.abs(end - length - 24000) < 3000, `${what} by ${way}: ends at ${end}`)
    }
  }
})

test('completes ordinary files despite trailing data and wrong lengths', async (t) => {
  const wav = fixture('tone-s16.wav')
  const unset = Buffer.from(wav)
  unset.writeUInt32LE(36, 4)
  unset.writeUInt32LE(0, 40)
  const short = Buffer.from(wav)
  short.writeUInt32LE(wav.length - 20, 4)
  const pipe = Buffer.from(wav)
  pipe.writeUInt32LE(0x7ffff024, 4)
  pipe.writeUInt32LE(0x7ffff000, 40)
  const unpadded = Buffer.concat([wav.subarray(0, 36), Buffer.from('LIST\x03\0\0\0abc', 'latin1'), wav.subarray(36)])
  const [mp3, flac, aac] = [fixture('tone-cbr.mp3'), fixture('tone.flac'), fixture('tone.aac')]
  const info = flac.subarray(8, 42)
  const picture = block(6, Buffer.concat([Buffer.alloc(32), Buffer.alloc(40_000, 0xff)]))
  const padding = block(1, Buffer.alloc(5_000))
  const oddFlacs = [
    described(flac, block(0, info), Buffer.from(picture), Buffer.from(padding)),
    described(flac, Buffer.from(padding), block(0, info), Buffer.from(picture)),
    described(flac, Buffer.from(picture), Buffer.from(padding), block(0, info)),
    described(flac, Buffer.from(padding)),
    variable(flac, flac.readUInt16BE(8))
  ]
  const behind = [id3v1, lyrics3, apeFooter, Buffer.alloc(50_000), Buffer.concat([lyrics3, apeFooter, id3v1])]
  const cases = [
    ...behind.flatMap((rest) => [mp3, bare(mp3), bare(fixture('tone-vbr.mp3')), aac, flac].map((audio) => [audio, rest])),
    ...[claim(flac, 0), claim(flac, 1_000_000), claim(flac, 1_000)].map((audio) => [audio, Buffer.alloc(0), flac]),
    ...oddFlacs.map((audio) => [audio, Buffer.alloc(0), flac]),
    [vbri(mp3), Buffer.alloc(0), bare(mp3)],
    ...[unset, short, pipe, unpadded].map((audio) => [audio, Buffer.alloc(0), wav])
  ]
  const format = (audio) => ({ 0xff: audio === aac ? 'aac' : 'mp3', 0x66: 'flac', 0x52: 'wav' })[audio[0]]
  for (const [way, play] of Object.entries(await ways(t))) {
    for (const [index, [audio, rest, plain = audio]] of cases.entries()) {
      const heard = await play(Buffer.concat([audio, rest]), format(audio))
      assert.deepEqual(heard, await play(plain, format(plain)), `case ${index} by ${way}`)
    }
  }
})

test('plays an MP3 with a wrong Xing header whole', async (t) => {
  const mp3 = fixture('tone-vbr.mp3')
  const at = mp3.indexOf('Xing')
  for (const [what, change] of [
    ['as it is', () => {}],
    ['a frame', (copy) => copy.writeUInt32BE(1, at + 8)],
    ['no frames', (copy) => copy.writeUInt32BE(0, at + 8)],
    ['more frames than there are', (copy) => copy.writeUInt32BE(0xffffffff, at + 8)],
    ['a byte', (copy) => copy.writeUInt32BE(1, at + 12)],
    ['more bytes than there are', (copy) => copy.writeUInt32BE(0xffffffff, at + 12)],
    ['nothing of all this', (copy) => copy.writeUInt32BE(0, at + 4)],
    ['more than there is room for', (copy) => copy.writeUInt32BE(0xffffffff, at + 4)],
    ['another table of contents', (copy) => copy.fill(7, at + 16, at + 116)],
    ['another name', (copy) => copy.write('none', at)]
  ]) {
    const copy = Buffer.from(mp3)
    change(copy)
    const { session, heard } = open(t)
    const playing = session.playAudio({ audio: copy })
    await finish(session)
    const { outcome, durationMs } = await playing
    assert.equal(outcome, 'completed', what)
    // Without the trim fields the encoder's delay and padding are heard, and the Xing frame itself as a frame of silence.
    assert.ok(durationMs >= 1000 && durationMs < 1080, `${what}: ${durationMs}`)
    assert.ok(Math.abs(level(heard(), 4800, 43200, 1000) - 0.5) < 0.005, what)
  }
})

test('a file cut within a frame is truncated', async (t) => {
  const twice = (audio) => Buffer.concat([audio, audio])
  for (const name of ['tone-cbr.mp3', 'tone.flac', 'tone-s16.wav', 'tone-opus.ogg', 'tone-vorbis.ogg']) {
    // The second half of a doubled Ogg, because pages are long.
    const audio = name.endsWith('.ogg') ? twice(fixture(name)) : fixture(name)
    const { ended, heard } = await outcome(t, { audio: audio.subarray(0, Math.floor(audio.length * 0.7)) })
    assert.equal(ended, 'ERR_TRUNCATED', name)
    assert.ok(level(heard, 4800, 19200, 1000) > 0.45, name)
  }
})

test('skips small damage but fails after much', async (t) => {
  for (const name of ['tone-cbr.mp3', 'tone.aac', 'tone.flac', 'tone-opus.ogg', 'tone-vorbis.ogg']) {
    const audio = Buffer.concat(Array(3).fill(fixture(name)))
    const half = audio.length >> 1
    const hole = Buffer.from(audio).fill(0, half, half + Math.floor(audio.length / 100))
    const little = await outcome(t, { audio: hole })
    // A page of Ogg is half a file here, and one byte loses it.
    const isPage = name.endsWith('.ogg')
    assert.equal(little.ended, isPage ? 'ERR_DECODE' : 'completed', name)
    const end = little.heard.findLastIndex((sample) => Math.abs(sample) > 0.1)
    assert.ok(end > (isPage ? 90_000 : 135_000), `${name} is heard to ${end}`)
    const much = await outcome(t, { audio: Buffer.concat([audio, noise(audio.length)]) })
    assert.equal(much.ended, 'ERR_DECODE', name)
    assert.ok(level(much.heard, 12000, 36000, 1000) > 0.45, name)
  }
})

test('limits junk before audio and zeros after it', async (t) => {
  const mp3 = fixture('tone-cbr.mp3')
  const { ended, heard } = await outcome(t, { audio: Buffer.concat([Buffer.alloc(500_000), mp3]) })
  assert.deepEqual([ended, heard], Object.values(await outcome(t, { audio: mp3 })))
  assert.equal((await outcome(t, { audio: Buffer.concat([Buffer.alloc(2_000_000), mp3]) })).ended, 'ERR_UNSUPPORTED_FORMAT')

  const folder = mkdtempSync(path.join(os.tmpdir(), 'files-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const sparse = path.join(folder, 'sparse.mp3')
  const file = openSync(sparse, 'w')
  writeSync(file, mp3)
  ftruncateSync(file, 4 * 2 ** 30)
  closeSync(file)
  assert.equal((await outcome(t, { audioUrl: sparse })).ended, 'ERR_DECODE')
})

test('out-of-range samples leave the mix finite', async (t) => {
  for (const rate of [44100, 48000]) {
    for (const value of [1e36, 3e38, Infinity, NaN]) {
      const samples = Float32Array.from({ length: rate / 10 }, (_, n) => (n % 2 ? -value : value))
      const wav = Buffer.concat([tone(0, 100, { sampleRate: rate }).subarray(0, 44), Buffer.from(samples.buffer)])
      wav.writeUInt16LE(3, 20)
      wav.writeUInt32LE(rate * 4, 28)
      wav.writeUInt16LE(4, 32)
      wav.writeUInt16LE(32, 34)
      wav.writeUInt32LE(samples.length * 4, 40)
      for (const request of [{ audio: wav }, { audio: wav, gain: 16 }]) {
        const { session, heard } = open(t)
        const taps = []
        const tap = session.tap({ sampleRate: 16000 })
        tap.on('data', (data) => taps.push(data))
        const ended = Promise.all([session.playAudio({ ...request, stopOther: false }), session.playAudio({ audio: tone(1000, 500), stopOther: false })])
        await finish(session)
        await ended
        assert.ok(heard().every((sample) => Math.abs(sample) <= 1), `${value} at ${rate} Hz`)
        assert.ok(level(heard(), 9600, 24000, 1000) > 0.25, `${value} at ${rate} Hz: the neighbour goes on`)
        await session.close()
      }
    }
  }
})

test('a 16-channel WAV sounds the same in chunks', async (t) => {
  const [channels, length] = [16, 4800]
  const samples = Float64Array.from({ length: channels * length }, (_, n) => Math.sin(n * n) / 2)
  const wav = Buffer.concat([tone(0, 100).subarray(0, 44), Buffer.from(samples.buffer)])
  wav.writeUInt16LE(3, 20)
  wav.writeUInt16LE(channels, 22)
  wav.writeUInt32LE(48000 * channels * 8, 28)
  wav.writeUInt16LE(channels * 8, 32)
  wav.writeUInt16LE(64, 34)
  wav.writeUInt32LE(samples.length * 8, 40)
  const plain = (await outcome(t, { audio: wav })).heard
  assert.equal(plain.length, length)
  const { session, heard } = open(t)
  const stream = session.createStream({ format: 'wav' })
  for (let at = 0; at < wav.length; at += 4093) {
    stream.write(wav.subarray(at, at + 4093))
    await sleep(1) // read before the next one comes
  }
  stream.end()
  await finish(session)
  await stream.finished
  assert.deepEqual(heard(), plain)
})
