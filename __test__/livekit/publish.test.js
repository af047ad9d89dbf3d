'use strict'

// Which tracks are published and when, and a failure.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, moderator, openEmptyRoom, openRoom, speak, until } = require('../support/room')
const { tone, windows } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

const LIMIT = { timeout: 60_000 }

/** Returns the names of a session's tracks, as the server lists them. */
async function published(t, room) {
  const { tracks } = await moderator(room.server).getParticipant(room.name, `speaker-${t.name}`)
  return tracks.map(({ name }) => name).sort()
}

test('connect publishes three tracks and named ones', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room, { trackNames: { 1: 'music', 5: 'alerts' } })
  await session.connect()
  // The server confirms a track a moment before it lists it.
  await until(async () => (await published(t, room)).length === 4, 'four are published')
  assert.deepEqual(await published(t, room), ['alerts', 'music', 'speaker', 'tts'])
})

test("'lazy' publishes with the first playback", LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room, { publish: 'lazy', trackNames: { 5: 'alerts' } })
  await session.connect()
  assert.deepEqual(await published(t, room), [])
  for (const trackId of [5, 2]) await session.playAudio({ audio: tone(440, 100), trackId })
  assert.deepEqual(await published(t, room), ['alerts', 'tts'])
})

test('connect publishes the listed tracks', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room, { publish: [5, 7, 5], trackNames: { 5: 'alerts', 6: 'other' } })
  await session.connect()
  await until(async () => (await published(t, room)).length === 2, 'two are published')
  assert.deepEqual(await published(t, room), ['alerts', 'track_7'])
  await session.playAudio({ audio: tone(440, 100), trackId: 6 })
  assert.deepEqual(await published(t, room), ['alerts', 'other', 'track_7'])
})

test('an empty list publishes nothing at first', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room, { publish: [] })
  await session.connect()
  assert.deepEqual(await published(t, room), [])
})

/** Opens a proxy of a server's signalling that can be halted. Media goes around it. */
async function standstill(t, url) {
  const sockets = new Set()
  let stands = false
  const proxy = net.createServer((client) => {
    const upstream = net.connect(Number(new URL(url).port), '127.0.0.1')
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk)).on('error', () => {})
      from.on('close', () => (sockets.delete(from), to.destroy()))
      if (stands) from.pause()
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => (proxy.close(), sockets.forEach((socket) => socket.destroy())))
  return {
    url: `ws://127.0.0.1:${proxy.address().port}`,
    stand: () => ((stands = true), sockets.forEach((socket) => socket.pause())),
    goOn: () => ((stands = false), sockets.forEach((socket) => socket.resume()))
  }
}

test('a track that publishes too late fails alone', LIMIT, async (t) => {
  const room = await openRoom(t)
  const way = await standstill(t, room.server.url)
  const { session, told } = speak(t, room, { url: way.url, connectTimeoutMs: 3000 })
  await session.connect()
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  way.stand()
  const request = { audio: tone(880, 300), trackId: 5, stopOther: false }
  await assert.rejects(session.playAudio(request), { code: 'ERR_PUBLISH_FAILED', message: /published within 3000 ms/ })
  const heard = fromNow(room.ear, 'speaker')
  await until(() => windows(heard(), 440).length >= 5, 'the other one is heard on')
  way.goOn()
  await sleep(300) // the late answer arrives now
  assert.equal((await session.playAudio(request)).durationMs, 300)
  await until(() => windows(room.ear.heard.get('track_5') ?? [], 880).length >= 1, 'it is heard, too')
  await until(async () => (await published(t, room)).length === 4, 'the late one is gone from the room')
  await session.stopAudio()
  assert.equal((await playing).outcome, 'stopped')
  assert.ok(!told.some(({ type }) => ['reconnecting', 'disconnected', 'error'].includes(type)))
})
