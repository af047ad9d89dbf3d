'use strict'

// Hostile bodies, generated as they are read: each is a generator of pieces, and some are endless.

const { readFileSync } = require('node:fs')
const path = require('node:path')

const { random } = require('../support/random')
const { tone } = require('../support/wav')
const {
  Bits, aiff, be32, box, chapters, flacFrame, flacFrameHead, flacHead, id3v2, latin1, packets, page, pages, wav
} = require('./bytes')

const fixture = (name) => readFileSync(path.join(__dirname, '..', 'fixtures', name))
const KIB = 1024
const MIB = 1024 * KIB
const ZEROS = Buffer.alloc(64 * KIB)
const next = random(20)
const NOISE = Buffer.from(Uint8Array.from({ length: 256 * KIB }, () => next(256)))
const MP3 = fixture('tone-cbr.mp3')
const SECOND = tone(440, 1000).subarray(44)

/** Yields `bytes` repeatedly, without end. */
function* endless(bytes) {
  const many = Buffer.concat(Array(Math.ceil((64 * KIB) / bytes.length)).fill(bytes))
  for (;;) yield many
}

/** Yields the results of `count` calls of `make`, in pieces of reasonable size. */
function* repeated(count, make) {
  let piece = []
  for (let n = 0; n < count; n++) {
    piece.push(make(n))
    if (piece.length < 2000 && n < count - 1) continue
    yield Buffer.concat(piece)
    piece = []
  }
}

/** Returns a FLAC file without its header. */
function flacFrames(flac) {
  let at = 4
  for (let last = false; !last; at += 4 + flac.readUIntBE(at + 1, 3)) last = flac[at] >= 0x80
  return flac.subarray(at)
}

/** Returns an M4A with changed fields of one table: `[offset after the name, value]`. */
function m4a(name, ...fields) {
  const file = fixture('tone-faststart.m4a')
  for (const [offset, value] of fields) file.writeUInt32BE(value, file.indexOf(name) + 4 + offset)
  return file
}

/** Returns an M4A head, and an index that contains one box of the given size. */
function bigIndex(kind, fields, size) {
  const inner = Buffer.concat([be32(8 + fields.length + size), latin1(kind), fields])
  let around = inner.length + size
  const heads = []
  for (const name of ['stbl', 'minf', 'mdia', 'trak', 'moov']) {
    around += 8
    heads.unshift(Buffer.concat([be32(around), latin1(name)]))
  }
  return Buffer.concat([box('ftyp', latin1('M4A \0\0\0\0')), ...heads, inner])
}

/** Returns the three headers of Vorbis with `count` codebooks, each the largest that a decoder accepts, in a few bytes. */
function vorbisBomb(count) {
  const [identification, comment] = packets(fixture('tone-vorbis.ogg'))
  const setup = new Bits({ leastFirst: true }).put(5, 8)
  for (const letter of latin1('vorbis')) setup.put(letter, 8)
  setup.put(count - 1, 8)
  for (let n = 0; n < count; n++) {
    setup.put(0x564342, 24).put(31, 16).put(131072, 24).put(1, 1).put(16, 5).put(131072, 18)
    setup.put(1, 4).put(0, 32).put(0, 32).put(0, 4).put(0, 1).put(0, 1)
  }
  // One time, floor, residue, mapping and mode, as small as possible.
  setup.put(0, 6).put(0, 16)
  setup.put(0, 6).put(1, 16).put(0, 5).put(0, 2).put(0, 4)
  setup.put(0, 6).put(2, 16).put(0, 24).put(0, 24).put(0, 24).put(0, 6).put(0, 8).put(0, 3).put(0, 1)
  setup.put(0, 6).put(0, 16).put(0, 1).put(0, 1).put(0, 2).put(0, 24)
  setup.put(0, 6).put(0, 1).put(0, 16).put(0, 16).put(0, 8).put(1, 1)
  return [identification, comment, setup.bytes()]
}

/** Yields an Ogg file of these packets, followed by pages of sound. */
function ogg([first, ...others], rest) {
  return Buffer.concat([...pages(7, 0, 2, first), ...others.flatMap((packet, n) => [...pages(7, 1 + n, 0, packet)]), ...rest])
}

/** A head and bytes that can't follow it, so that no checksum by chance makes it a frame; zeros do not count as skipped. */
const FAR_HEAD = Buffer.concat([flacFrameHead(0, 8, 65535), Buffer.from([0x80]), Buffer.alloc(247)])

const constant = (bits) => bits.put(0, 8).put(1000, 16)

/** Returns a block with every sample predicted from the 32 before it: the most work per bit. */
function foretold(block) {
  return (bits) => {
    bits.put(0b0_111111_0, 8)
    for (let n = 0; n < 32; n++) bits.put(n * 100, 16)
    bits.put(14, 4).put(14, 5)
    for (let n = 0; n < 32; n++) bits.put(n === 0 ? 16383 : 0, 15)
    bits.put(0, 6).put(0, 4)
    for (let n = 32; n < block; n++) bits.put(1, 1)
  }
}

const CHORUS = { rate: 192000, channels: 8, block: 65535 }
/** Half a million samples in forty bytes. */
const loudFrame = () => flacFrame(0, 8, 65535, constant)

const bodies = {
  // MP3
  *'mp3-zeros'() {
    yield MP3
    yield* endless(ZEROS)
  },
  *'mp3-noise'() {
    yield MP3
    yield* endless(NOISE)
  },
  *'mp3-endless'() {
    yield* endless(MP3)
  },
  *'noise'() {
    yield* endless(NOISE)
  },
  *'lyrics'() {
    yield* endless(latin1('LYRICSBEGIN'))
  },
  *'id3-256m'() {
    yield id3v2(Buffer.alloc(0), 0xfffffff)
    for (let left = 0xfffffff; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left)
    yield MP3
  },
  *'id3-chain'() {
    yield* repeated(1e6, () => id3v2(Buffer.alloc(0)))
    yield MP3
  },
  *'id3-chapters'() {
    yield id3v2(chapters(20_000))
    yield MP3
  },

  // FLAC
  *'flac-endless'() {
    yield fixture('tone.flac')
    yield* endless(flacFrames(fixture('tone.flac')))
  },
  *'flac-metadata'() {
    yield flacHead({ ...CHORUS, isLast: false })
    yield* endless(Buffer.concat([be32(0x01000000 + 252), Buffer.alloc(252)]))
  },
  *'flac-pictures'() {
    yield flacHead({ ...CHORUS, isLast: false })
    for (let n = 0; n < 100; n++) {
      yield be32(0x06ffffff)
      for (let left = 0xffffff; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left)
    }
  },
  *'flac-chorus'() {
    yield flacHead(CHORUS)
    const frame = flacFrame(0, 8, 65535, foretold(65535))
    for (let n = 0; n < 40; n++) yield frame
  },
  *'flac-constant'() {
    yield flacHead(CHORUS)
    const frame = loudFrame()
    yield* repeated(20_000, () => frame)
  },
  *'flac-heads'() {
    yield flacHead(CHORUS)
    yield loudFrame()
    yield* endless(flacFrameHead(0, 8, 65535))
  },
  *'flac-far-heads'() {
    yield flacHead(CHORUS)
    yield loudFrame()
    yield* endless(FAR_HEAD)
  },
  *'flac-sound-and-heads'() {
    yield flacHead(CHORUS)
    yield* endless(Buffer.concat([flacFrame(0, 8, 16, constant), ...Array(100).fill(FAR_HEAD)]))
  },

  // Ogg
  *'ogg-endless'() {
    yield* endless(fixture('tone-opus.ogg'))
  },
  *'ogg-beginnings'() {
    const [first] = packets(fixture('tone-opus.ogg'))
    yield* repeated(1e6, (n) => page(n, 0, 2, 0, [first.length], first))
  },
  *'ogg-comment'() {
    const [first, , setup, ...sound] = packets(fixture('tone-vorbis.ogg'))
    const comment = Buffer.concat([latin1('\x03vorbis\0\0\0\0\x01\0\0\0\0\0\xff\0a='), Buffer.alloc(0xff0000 - 2, 97), Buffer.from([1])])
    yield ogg([first, comment, setup], [])
    for (const [n, packet] of sound.entries()) {
      const lacing = [...Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]
      yield page(7, 1000 + n, n === sound.length - 1 ? 4 : 0, Math.round((48000 * (n + 1)) / sound.length), lacing, packet)
    }
  },
  *'ogg-wrong'() {
    yield fixture('tone-opus.ogg')
    const wrong = page(1, 0, 0, 0, Array(255).fill(255), NOISE.subarray(0, 255 * 255))
    wrong[22] ^= 1
    yield* endless(wrong)
  },
  *'ogg-heads'() {
    yield fixture('tone-opus.ogg')
    yield* endless(Buffer.concat([latin1('OggS'), Buffer.alloc(22), Buffer.from([255])]))
  },
  *'ogg-codebooks'() {
    yield ogg(vorbisBomb(256), [page(7, 9, 4, 1000, [10], Buffer.alloc(10))])
  },
  *'opus-tiny'() {
    const [first, tags] = packets(fixture('tone-opus.ogg'))
    yield ogg([first, tags], [])
    const lacing = Array(255).fill(1)
    for (let n = 0; ; n++) yield page(7, 2 + n, 0, 120 * 255 * (n + 1), lacing, Buffer.alloc(255, 0x80))
  },

  // MP4
  *'mp4-deep'() {
    const names = ['moov', 'udta', 'meta', 'trak', 'mdia', 'minf', 'stbl', 'wave']
    const heads = []
    for (let n = 0; n < 100_000; n++) heads.push(Buffer.concat([be32(8 * (100_000 - n)), latin1(names[n % names.length])]))
    yield Buffer.concat([box('ftyp', latin1('M4A \0\0\0\0')), ...heads])
  },
  *'mp4-same-deep'() {
    const heads = []
    for (let n = 0; n < 100_000; n++) heads.push(Buffer.concat([be32(8 * (100_000 - n)), latin1(n === 0 ? 'moov' : 'udta')]))
    yield Buffer.concat([box('ftyp', latin1('M4A \0\0\0\0')), ...heads])
  },
  *'mp4-free'() {
    yield box('ftyp', latin1('M4A \0\0\0\0'))
    yield* endless(box('free'))
  },
  *'mp4-many-samples'() {
    yield m4a('stsz', [8, 0xffffffff])
  },
  *'mp4-many-even-samples'() {
    yield m4a('stsz', [4, 1], [8, 0xffffffff])
  },
  *'mp4-many-times'() {
    yield m4a('stts', [4, 0xffffffff])
  },
  *'mp4-long-times'() {
    yield m4a('stts', [8, 0xffffffff], [12, 0xffffffff])
  },
  *'mp4-many-chunks'() {
    yield m4a('stsc', [12, 0xffffffff])
  },
  *'mp4-big-sample'() {
    yield m4a('stsz', [12, 0xffffffff])
  },
  *'mp4-big-even-sample'() {
    yield m4a('stsz', [4, 0xfffffff0])
  },
  *'mp4-big-index'() {
    const count = 25 * 2 ** 20
    yield bigIndex('stsz', Buffer.concat([be32(0), be32(0), be32(count)]), 4 * count)
    for (let left = 4 * count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left)
  },
  *'mp4-big-free'() {
    yield bigIndex('free', Buffer.alloc(0), 100 * MIB)
    for (let left = 100 * MIB; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left)
  },

  // Raw
  *'wav-endless'() {
    yield wav(SECOND, { length: 0xffffffff })
    yield* endless(SECOND)
  },
  *'wav-chunks'() {
    yield latin1('RIFF\xff\xff\xff\xffWAVE')
    yield* endless(latin1('JUNK\0\0\0\0'))
  },
  *'wav-slow'() {
    yield wav(SECOND, { rate: 8000, length: 0xffffffff })
    yield* endless(SECOND)
  },
  *'zip'() {
    const { gzipSync } = require('node:zlib')
    yield gzipSync(Buffer.alloc(256 * MIB))
  },

  // Sound, for servers with tricks
  *'wav'() {
    yield tone(440, 300)
  },
  *'mp3'() {
    yield MP3
  }
}


for (const [name, size, long] of [['0', 0], ['1-0', 1, [0, 0]], ['1-7', 1, [0, 7]], ['1-63', 1, [0x80000000, 0]], ['1-64', 1, [0xffffffff, 0xffffffff]], ['31', 0xffffffff], ['7', 7]]) {
  for (const kind of ['moov', 'mdat', 'free']) {
    bodies[`mp4-${kind}-${name}`] = function* () {
      const index = fixture('tone-faststart.m4a')
      const odd = Buffer.concat([be32(size), latin1(kind), ...(long ?? []).map(be32), Buffer.alloc(64)])
      const at = 4 + index.readUInt32BE(0) - 4
      yield Buffer.concat([index.subarray(0, at), odd, index.subarray(at)])
    }
  }
}

const PCM = SECOND.subarray(0, 9600)
const floats = (value) => Buffer.from(Float32Array.from({ length: 4800 }, (_, n) => (n % 2 ? -value : value)).buffer)
const WAVES = {
  'length-0': { length: 0 }, 'length-31': { length: 0xffffffff }, 'length-more': { length: 0x10000000 },
  'channels-65535': { channels: 65535, align: 65535 }, 'channels-0': { channels: 0 }, 'channels-26': { channels: 26 },
  'align-0': { align: 0 }, 'align-65535': { align: 65535 }, 'rate-0': { rate: 0 }, 'rate-1': { rate: 1 }, 'rate-31': { rate: 0x80000000 },
  'bits-0': { bits: 0, align: 2 }, 'bits-255': { bits: 255, align: 2 }, 'bits-65535': { bits: 65535, align: 65535 },
  'ima': { tag: 0x11, bits: 4, align: 65535, extra: [2, 0, 0xff, 0xff] }, 'ima-0': { tag: 0x11, bits: 4, align: 0, extra: [2, 0, 0, 0] },
  'ima-1': { tag: 0x11, bits: 4, align: 1, extra: [2, 0, 1, 0] }, 'ima-255': { tag: 0x11, bits: 255, channels: 65535, align: 4, extra: [2, 0, 0xff, 0xff] },
  'ms': { tag: 2, bits: 4, align: 65535, extra: [32, 0, 0xff, 0xff, 0xff, 0xff, ...Array(28).fill(255)] },
  'ms-0': { tag: 2, bits: 4, align: 7, extra: [4, 0, 0, 0, 0, 0] },
  'extensible': { tag: 0xfffe, channels: 65535, align: 65534, extra: [22, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, ...Array(15).fill(0)] }
}
for (const [name, options] of Object.entries(WAVES)) {
  bodies[`wav-${name}`] = function* () {
    yield wav(PCM, options)
  }
}
for (const [name, value] of [['nan', NaN], ['1e38', 1e38]]) {
  bodies[`wav-${name}`] = function* () {
    yield wav(floats(value), { tag: 3, bits: 32 })
  }
}
bodies['wav-wide'] = function* () {
  yield wav(Buffer.alloc(0), { channels: 32767, align: 65534, length: 0xffffffff })
  yield* endless(NOISE)
}
const INFINITE = '\x7f\xff\x80\0\0\0\0\0\0\0'
const COMMONS = {
  'channels-65535': { channels: 65535 }, 'channels-0': { channels: 0 }, 'frames': { frames: 0xffffffff }, 'bits-65535': { bits: 65535 },
  'bits-0': { bits: 0 }, 'rate-0': { rate: '\0'.repeat(10) }, 'rate-infinite': { rate: INFINITE }, 'rate-negative': { rate: `\xff${INFINITE.slice(1)}` }
}
for (const [name, options] of Object.entries(COMMONS)) {
  bodies[`aiff-${name}`] = function* () {
    yield aiff(PCM, options)
  }
}

module.exports = { ZEROS, bodies }
