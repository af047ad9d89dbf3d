'use strict'

const assert = require('node:assert/strict')

/** Returns the track and time of an RTP packet; undefined for any other packet. */
function rtp(bytes) {
  const [version, kind] = [bytes[0] >> 6, bytes[1] & 0x7f]
  const isRtp = version === 2 && (kind < 64 || kind > 95) && bytes.length > 12
  return isRtp ? { track: bytes.readUInt32BE(8), time: bytes.readUInt32BE(4) } : undefined
}

/** A packet of silence has some 40 bytes with headers, one of a tone some 200. */
const SOUND_BYTES = 100

const PER_MS = 48
const FRAME_MS = 20

/**
 * The sound that is sent over a wire from now on, by the timestamps of its packets: unlike the sound that is heard, it does not depend on
 * the load of the machine.
 */
class Sent {
  /** The timestamps of the packets of each track. */
  #times = new Map()

  constructor(wire) {
    wire.media.onPacket = (bytes) => {
      const { track, time } = rtp(bytes) ?? {}
      if (track === undefined || bytes.length < SOUND_BYTES) return
      if (!this.#times.has(track)) this.#times.set(track, [])
      this.#times.get(track).push(time)
    }
  }

  /**
   * Asserts that the track with the most packets has `leastMs` of sound, and lacks no frame. A session that does not hear the server for 1.5 s,
   * which a busy test process that relays its packets can cause, waits for a moment.
   */
  assertWhole(session, leastMs) {
    const [times = []] = [...this.#times.values()].sort((a, b) => b.length - a.length)
    assert.ok(times.length * FRAME_MS >= leastMs, `${times.length} packets for ${leastMs} ms`)
    const gaps = times.slice(1).map((time, n) => ((time - times[n]) | 0) / PER_MS - FRAME_MS)
    const gapMs = Math.max(0, ...gaps)
    // Frames lost to a halt of the machine are reported.
    const haltedMs = session.stats().lostFrames * FRAME_MS
    assert.ok(gapMs < FRAME_MS || gapMs <= haltedMs, `nothing was sent for ${gapMs} ms`)
  }
}

module.exports = { Sent, rtp }
