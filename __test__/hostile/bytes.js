'use strict'

// The parts of hostile bodies: bits, boxes, chunks, pages and frames that are valid as far as necessary for the rest of them to be read.

/** Returns the table of a CRC of `width` bits without reflection. */
function table(polynomial, width) {
  const [top, mask] = [2 ** (width - 1), 2 ** width - 1]
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte * 2 ** (width - 8)
    for (let bit = 0; bit < 8; bit++) crc = ((crc & top ? (crc << 1) ^ polynomial : crc << 1) & mask) >>> 0
    return crc
  })
}

const CRC8 = table(0x07, 8)
const CRC16 = table(0x8005, 16)
const CRC32 = table(0x04c11db7, 32)

const crc8 = (bytes) => bytes.reduce((crc, byte) => CRC8[crc ^ byte], 0)
const crc16 = (bytes) => bytes.reduce((crc, byte) => ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ byte], 0)
const crc32 = (bytes) => bytes.reduce((crc, byte) => ((crc << 8) ^ CRC32[(crc >>> 24) ^ byte]) >>> 0, 0)

/** A writer of bits, most significant first, or least significant first as in Vorbis. */
class Bits {
  #bits = []
  #leastFirst

  constructor({ leastFirst = false } = {}) {
    this.#leastFirst = leastFirst
  }

  put(value, width) {
    for (let bit = 0; bit < width; bit++) {
      this.#bits.push(Math.floor(value / 2 ** (this.#leastFirst ? bit : width - 1 - bit)) % 2)
    }
    return this
  }

  bytes() {
    const bytes = Buffer.alloc(Math.ceil(this.#bits.length / 8))
    this.#bits.forEach((bit, at) => (bytes[at >> 3] |= bit << (this.#leastFirst ? at & 7 : 7 - (at & 7))))
    return bytes
  }
}

const be32 = (value) => Buffer.from([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255])
const latin1 = (text) => Buffer.from(text, 'latin1')

/** Returns an MP4 box, which may claim another size. */
function box(kind, ...content) {
  const inside = Buffer.concat(content)
  return Buffer.concat([be32(8 + inside.length), latin1(kind), inside])
}

/** Returns an ID3v2.3 tag around `frames`, which may claim another size. */
function id3v2(frames, size = frames.length) {
  const sizes = [21, 14, 7, 0].map((shift) => (size >> shift) & 0x7f)
  return Buffer.concat([latin1('ID3\x03\0\0'), Buffer.from(sizes), frames])
}

/** Returns nested ID3v2 chapters. */
function chapters(depth) {
  let frame = Buffer.alloc(0)
  for (let n = 0; n < depth; n++) {
    const body = Buffer.concat([latin1('a\0'), Buffer.alloc(16), frame])
    frame = Buffer.concat([latin1('CHAP'), be32(body.length), Buffer.alloc(2), body])
  }
  return frame
}

/** Returns a WAV file, in which every field may be set. */
function wav(data, { tag = 1, channels = 1, rate = 48000, bits = 16, align = (channels * bits) >> 3, length = data.length, extra = [] } = {}) {
  const format = Buffer.alloc(16)
  format.writeUInt16LE(tag, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE((rate * align) % 2 ** 32, 8)
  format.writeUInt16LE(align % 65536, 12)
  format.writeUInt16LE(bits, 14)
  const all = Buffer.concat([format, Buffer.from(extra)])
  const le32 = (value) => Buffer.from(be32(value)).reverse()
  return Buffer.concat([
    latin1('RIFF'), le32(Math.min(36 + length, 0xffffffff)), latin1('WAVEfmt '), le32(all.length), all,
    latin1('data'), le32(length), data
  ])
}

/** Returns an AIFF file; `rate` is the ten bytes of the rate. */
function aiff(data, { channels = 1, frames = data.length >> 1, bits = 16, rate = '\x40\x0e\xbb\x80\0\0\0\0\0\0' } = {}) {
  const common = Buffer.alloc(8)
  common.writeUInt16BE(channels, 0)
  common.writeUInt32BE(frames, 2)
  common.writeUInt16BE(bits, 6)
  const chunk = (name, bytes) => Buffer.concat([latin1(name), be32(bytes.length), bytes])
  const parts = [chunk('COMM', Buffer.concat([common, latin1(rate)])), chunk('SSND', Buffer.concat([Buffer.alloc(8), data]))]
  const inside = Buffer.concat([latin1('AIFF'), ...parts])
  return Buffer.concat([latin1('FORM'), be32(inside.length), inside])
}

/** Returns an Ogg page with a valid checksum. `kind`: 1 continues, 2 begins, 4 ends. */
function page(serial, sequence, kind, granule, lacing, content) {
  const header = Buffer.alloc(27 + lacing.length)
  header.write('OggS')
  header[5] = kind
  header.writeBigInt64LE(BigInt(granule), 6)
  header.writeUInt32LE(serial, 14)
  header.writeUInt32LE(sequence, 18)
  header[26] = lacing.length
  header.set(lacing, 27)
  const all = Buffer.concat([header, content])
  all.writeUInt32LE(crc32(all), 22)
  return all
}

/** Yields one packet on as many pages as it needs. */
function* pages(serial, sequence, kind, packet) {
  const most = 255 * 255
  for (let at = 0; at <= packet.length; at += most) {
    const part = packet.subarray(at, at + most)
    const isLast = at + most > packet.length
    const lacing = Array(Math.floor(part.length / 255)).fill(255)
    if (isLast) lacing.push(part.length % 255)
    yield page(serial, sequence++, at > 0 ? 1 : kind, isLast ? 0 : -1, lacing, part)
  }
}

/** Returns the packets of an Ogg file with one stream, in order. */
function packets(ogg) {
  const found = []
  let packet = []
  for (let at = 0; at < ogg.length; ) {
    const lacing = ogg.subarray(at + 27, at + 27 + ogg[at + 26])
    at += 27 + lacing.length
    for (const length of lacing) {
      packet.push(ogg.subarray(at, at + length))
      at += length
      if (length === 255) continue
      found.push(Buffer.concat(packet))
      packet = []
    }
  }
  return found
}

/** Returns the head of a FLAC file of 16-bit samples; `isLast`: no other metadata follows. */
function flacHead({ rate, channels, block, samples = 0, isLast = true }) {
  const info = new Bits().put(block, 16).put(block, 16).put(0, 24).put(0, 24)
  info.put(rate, 20).put(channels - 1, 3).put(15, 5).put(samples, 36).put(0, 64).put(0, 64)
  return Buffer.concat([latin1('fLaC'), be32((isLast ? 0x80000000 : 0) + 34), info.bytes()])
}

/** Returns the header of a FLAC frame of 16-bit samples at the rate of its stream, with a valid checksum. */
function flacFrameHead(number, channels, block) {
  const bytes = [0xff, 0xf8, 0x70, ((channels - 1) << 4) | 8, number & 0x7f, (block - 1) >> 8, (block - 1) & 255]
  return Buffer.from([...bytes, crc8(bytes)])
}

/** Returns a FLAC frame of one `subframe` per channel. */
function flacFrame(number, channels, block, subframe) {
  const bits = new Bits()
  for (let channel = 0; channel < channels; channel++) subframe(bits)
  const frame = Buffer.concat([flacFrameHead(number, channels, block), bits.bytes()])
  const crc = crc16(frame)
  return Buffer.concat([frame, Buffer.from([crc >> 8, crc & 255])])
}

module.exports = {
  Bits, aiff, be32, box, chapters, flacFrame, flacFrameHead, flacHead, id3v2, latin1, packets, page, pages, wav
}
