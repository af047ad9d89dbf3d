'use strict'

// Media packets that a relay between the session and the server loses, delays or cuts off.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, openRoom, publish, speak, speakOverWire, types, until } = require('../support/room')
const { tone, windows } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ear keeps the process alive

test('connects from behind a NAT', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  let packets = 0
  wire.media.onPacket = () => packets++
  const { session } = speak(t, room, { url: wire.url })
  await publish(session, room)
  await session.playAudio({ audio: tone(440, 1000) })
  await sleep(400)
  assert.ok(packets >= 50, `${packets} packets went through the relay`)
  const heard = windows(room.ear.heard.get('speaker'), 440).length
  assert.ok(heard >= 8 && heard <= 11, `${heard} windows of 100 ms`)
})

/** The time that joining may take on a bad network, in ms. */
const PATIENCE_MS = 30_000

for (const [percent, least] of [[5, 24], [15, 18]]) {
  test(`connects and is heard at ${percent} % packet loss`, async (t) => {
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    wire.media.loss = percent / 100
    const { session, told } = speak(t, room, { url: wire.url, connectTimeoutMs: PATIENCE_MS })
    await publish(session, room)
    const first = session.playAudio({ audio: tone(440, 3000) })
    const second = session.playAudio({ audio: tone(880, 3000), trackId: 1, stopOther: false })
    for (const { durationMs } of await Promise.all([first, second])) assert.equal(durationMs, 3000)
    await sleep(400)
    const heard = windows(room.ear.heard.get('speaker'), 440).length
    assert.ok(heard >= least && heard <= 32, `${heard} windows of 100 ms`)
    await until(() => windows(room.ear.heard.get('app_audio') ?? [], 880).length >= 10, 'the second track is heard')
    assert.deepEqual(types(told).slice(3), ['started', 'started', 'completed', 'completed'])
  })
}

test('150 ms of latency only delays the sound', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  wire.media.delayMs = 150
  const { session } = speak(t, room, { url: wire.url })
  await publish(session, room)
  await session.playAudio({ audio: tone(440, 1000) })
  await sleep(600)
  const heard = windows(room.ear.heard.get('speaker'), 440).length
  assert.ok(heard >= 8 && heard <= 11, `${heard} windows of 100 ms`)
})

test('media cut for 2 s comes back', async (t) => {
  const { room, wire, session, told } = await speakOverWire(t)
  const playing = session.playAudio({ audio: tone(440, 5000) })
  await once(session, 'started')
  await sleep(1000)
  wire.media.cut()
  await sleep(2000)
  wire.media.mend()
  assert.equal((await playing).durationMs, 5000)
  await sleep(400)
  const heard = windows(room.ear.heard.get('speaker'), 440)
  assert.ok(heard.length >= 20 && heard.length <= 40, `${heard.length} windows of 100 ms`)
  assert.ok(heard.at(-1) - heard[0] >= 45, 'not heard to its end')
  assert.deepEqual(types(told).slice(3), ['started', 'completed'])
})

test('media cut for long reconnects', async (t) => {
  const { room, wire, session, told } = await speakOverWire(t)
  const playing = session.playAudio({ audio: tone(440, 100_000) })
  await once(session, 'started')
  wire.media.cut()
  const begun = performance.now()
  await once(session, 'reconnecting')
  const lostMs = performance.now() - begun
  assert.ok(lostMs < 30_000, `it took ${lostMs} ms to be noticed`)
  await sleep(1000)
  const back = once(session, 'reconnected')
  wire.media.mend()
  await back
  const heard = fromNow(room.ear, 'speaker')
  await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
  await session.stopAudio()
  assert.ok((await playing).positionMs < performance.now() - begun - 1000, 'the time without a way was counted as heard')
  assert.deepEqual(types(told).slice(3), ['started', 'reconnecting', 'reconnected', 'stopped'])
})
