'use strict'

const ONE_BYTE_HEADERS = 0xbede

/**
 * Returns the level of an RTP packet, in −dBov (0 full scale, 127 silence), from its audio-level extension (RFC 6464) with this
 * `id`: headers are not encrypted. Undefined without the extension, and for other packets (STUN, DTLS, RTCP).
 */
function audioLevel(bytes, id) {
  const isRtcp = bytes[1] >= 192 && bytes[1] <= 223
  if (bytes.length < 16 || bytes[0] >> 6 !== 2 || isRtcp || !(bytes[0] & 0x10)) return undefined
  let at = 12 + 4 * (bytes[0] & 0x0f)
  if (bytes.readUInt16BE(at) !== ONE_BYTE_HEADERS) return undefined
  const end = at + 4 + 4 * bytes.readUInt16BE(at + 2)
  for (at += 4; at < end; ) {
    const element = bytes[at++]
    if (element === 0) continue // padding
    if (element >> 4 === id) return bytes[at] & 0x7f
    at += (element & 0x0f) + 1
  }
  return undefined
}

module.exports = { audioLevel }
