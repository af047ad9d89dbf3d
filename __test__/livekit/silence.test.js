'use strict'

// The sound and the quality rating of a silent session.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { audioLevel } = require('../../bench/rtp')
const { marked, missing } = require('../support/marked')
const { fromNow, openRoom, publish, speak, speakOverWire, until } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

/** A server rates a track every 5 s. */
const RATINGS_MS = 16_000

test('a silent session is rated excellent', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { publish: 'connect', trackNames: { 1: 'music', 2: 'voice' } })
  await session.connect()
  const ratings = new Set()
  const look = setInterval(() => ratings.add(session.stats().link?.quality), 100)
  t.after(() => clearInterval(look))
  await sleep(RATINGS_MS)
  await session.playAudio({ audio: tone(440, 1000) })
  await sleep(RATINGS_MS)
  ratings.delete(undefined) // not rated yet
  assert.deepEqual([...ratings], ['excellent'])
})

test('a silent track can be subscribed', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { publish: 'connect', trackNames: { 1: 'music', 2: 'voice' } })
  await session.connect()
  await until(() => room.ear.events.length === 3, 'the ear listens to all')
})

test('the first sound after silence is heard whole', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { publish: 'connect' })
  await session.connect()
  await until(() => room.ear.heard.get('speaker')?.length > 0, 'the ear listens')
  for (const silenceMs of [5000, 5000]) {
    await sleep(silenceMs)
    const heard = fromNow(room.ear, 'speaker')
    await session.playAudio({ audio: marked(500) })
    await until(() => missing(heard()).last < 15, 'its end is heard')
    const samples = heard()
    const { first } = missing(samples)
    assert.ok(first < 15, `${first} ms of its beginning are missing`)
    const before = samples.slice(0, samples.findIndex((sample) => Math.abs(sample) > 0.05) - 480)
    const loudest = before.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0)
    assert.ok(loudest < 0.005, `silence is silent: ${loudest}`)
  }
})

test('silence is a packet per track every two seconds', async (t) => {
  const { wire, session, room } = await speakOverWire(t)
  await publish(session, room)
  await sleep(3000) // a new track sends more
  const [levels, counts] = [[], new Map()]
  wire.media.onPacket = (packet) => {
    const level = audioLevel(packet, 1)
    if (level === undefined) return
    const track = packet.readUInt32BE(8) // its SSRC
    levels.push(level)
    counts.set(track, (counts.get(track) ?? 0) + 1)
  }
  await sleep(9000)
  assert.equal(counts.size, 3, 'each of tracks 0, 1 and 2')
  for (const count of counts.values()) assert.ok(count >= 3 && count <= 5, `${count} packets of a track in 9 s`)
  assert.deepEqual(new Set(levels), new Set([127]))
})
