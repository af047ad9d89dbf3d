'use strict'

const assert = require('node:assert/strict')

/** Track and time of an RTP packet; undefined for anything else that goes over a wire. */
function rtp(bytes) {
  const [version, kind] = [bytes[0] >> 6, bytes[1] & 0x7f]
  const isRtp = version === 2 && (kind < 64 || kind > 95) && bytes.length > 12
  return isRtp ? { track: bytes.readUInt32BE(8), time: bytes.readUInt32BE(4) } : undefined
}

/** A packet of silence has some 40 bytes, headers and all, one of a tone some 200. */
const SOUND_BYTES = 100

const PER_MS = 48
const FRAME_MS = 20

/**
 * The sound that is sent over a wire from now on, by the times that its packets bear: unlike what is heard, that does not depend
 * on how busy the machine is.
 */
class Sent {
  /** By track: the times of its packets. */
  #times = new Map()

  constructor(wire) {
    wire.media.onPacket = (bytes) => {
      const { track, time } = rtp(bytes) ?? {}
      if (track === undefined || bytes.length < SOUND_BYTES) return
      if (!this.#times.has(track)) this.#times.set(track, [])
      this.#times.get(track).push(time)
    }
  }

  /** Asserts that the track with the most packets has `leastMs` of sound, and no time that no packet is for. */
  assertWhole(session, leastMs) {
    const [times = []] = [...this.#times.values()].sort((a, b) => b.length - a.length)
    assert.ok(times.length * FRAME_MS >= leastMs, `${times.length} packets for ${leastMs} ms`)
    const gaps = times.slice(1).map((time, n) => ((time - times[n]) | 0) / PER_MS - FRAME_MS)
    const gapMs = Math.max(0, ...gaps)
    // What a halt of the machine costs is told.
    const haltedMs = session.stats().lostFrames * FRAME_MS
    assert.ok(gapMs <= haltedMs, `nothing was sent for ${gapMs} ms`)
  }
}

module.exports = { Sent, rtp }
