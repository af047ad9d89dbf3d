'use strict'

// A room that is lost and joined again: the session keeps one clock, and silence counts as before.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

const { speakOverWire } = require('../support/room')
const { rtp } = require('../support/rtp')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

const SILENCE_MS = 1500

test('silence counts after a rejoin', async (t) => {
  const { room, wire, session } = await speakOverWire(t)
  const { server } = room
  let packets = []
  wire.media.onPacket = (bytes) => packets.push(rtp(bytes))
  /** Plays. Returns the session's start time, and the sound that was sent. */
  const speak = async () => {
    const started = once(session, 'started')
    packets = []
    const playing = session.playAudio({ audio: tone(440, 200) })
    const [{ atMs }] = await started
    await playing
    await sleep(100) // for the last packets
    return { atMs, packets: packets.filter((packet) => packet !== undefined) }
  }
  const before = await speak()
  await sleep(SILENCE_MS) // a new clock would have to catch up with this time
  const begun = await speak()
  assert.ok(begun.atMs - before.atMs >= SILENCE_MS, `${begun.atMs - before.atMs} ms before the loss`)

  const gone = once(session, 'disconnected')
  await new RoomServiceClient(server.url.replace('ws', 'http'), server.key, server.secret).deleteRoom(room.name)
  await gone
  await sleep(SILENCE_MS)
  const again = await speak()
  assert.ok(again.atMs - begun.atMs >= SILENCE_MS, `${again.atMs - begun.atMs} ms over the loss`)

  for (let [n, first] = [0, again]; n < 2; n++) {
    await sleep(SILENCE_MS)
    const second = await speak()
    const inSession = second.atMs - first.atMs
    assert.ok(inSession >= SILENCE_MS, `${inSession} of ${SILENCE_MS} ms by the session`)
    const [last, next] = [first.packets.at(-1), second.packets[0]]
    assert.equal(last.track, next.track)
    const byPackets = ((next.time - last.time) >>> 0) / 48
    assert.ok(byPackets >= SILENCE_MS - 50, `${byPackets} of ${SILENCE_MS} ms by its packets`)
    first = second
  }
})
