'use strict'

// Reconnecting to a room after its connections are cut or its server is killed.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { Pong } = require('@livekit/protocol')
const { dispose } = require('@livekit/rtc-node')

const { fromNow, openRoom, publish, publishings, speak, speakOverWire, types, until } = require('../support/room')
const { Sent } = require('../support/rtp')
const { tone, windows } = require('../support/wav')

/** Longer than a busy machine takes for an immediate action. */
const CONNECT_MS = 30_000

after(dispose) // otherwise the ear keeps the process alive

for (const [seconds, cutMs] of [[1, 1000], [20, 20_000]]) {
  test(`signalling cut for ${seconds} s leaves no gap`, async (t) => {
    const { room, wire, session, told } = await speakOverWire(t)
    const durationMs = cutMs + 1500
    const playing = session.playAudio({ audio: tone(440, durationMs) })
    await once(session, 'started')
    const sent = new Sent(wire)
    // At its end, because the signalling may come back later, when silence is sent.
    const whole = playing.then(() => sent.assertWhole(session, cutMs))
    await sleep(500)
    const lost = once(session, 'reconnecting')
    wire.cut()
    await lost
    await sleep(cutMs)
    const back = once(session, 'reconnected')
    wire.mend()
    await back
    assert.equal((await playing).durationMs, durationMs)
    await whole
    await publish(session, room, { track_5: 5 }) // signalling works again
    assert.equal(publishings(room.ear, 'speaker'), 1, 'the first track was published once')
    assert.deepEqual(
      types(told).filter((type) => type === 'reconnecting' || type === 'reconnected'),
      ['reconnecting', 'reconnected']
    )
  })
}

for (const [what, signalling] of [['sound', false], ['sound and signalling', true]]) {
  test(`${what} cut: playback resumes on another path`, async (t) => {
    const { room, wire, session, told } = await speakOverWire(t)
    const playing = session.playAudio({ audio: tone(440, 60_000) })
    await once(session, 'started')
    const lost = once(session, 'reconnecting')
    wire.media.cut()
    if (signalling) wire.cut()
    await lost
    await sleep(3000)
    const { positionMs } = session.playbacks()[0]
    await sleep(2500) // it would continue for a moment every 1.5 s if the pause counted as silence
    assert.equal(session.playbacks()[0].positionMs, positionMs, 'it went on with nobody to hear it')
    const back = once(session, 'reconnected')
    wire.media.mend()
    wire.mend()
    await back
    const heard = fromNow(room.ear, 'speaker')
    await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
    await session.stopAudio()
    assert.ok((await playing).positionMs > positionMs)
    assert.equal(publishings(room.ear, 'speaker'), 1, 'the track was published once')
    assert.ok(!told.some(({ type }) => type === 'failed'))
  })
}

for (const [onReconnect, check] of Object.entries({
  async continue({ session, playing }) {
    const { positionMs } = session.playbacks()[0]
    await until(() => session.playbacks()[0].positionMs > positionMs + 1000, 'it goes on')
    await until(() => session.stats().droppedFrames > 0, 'what nobody hears is counted')
    await session.stopAudio()
    assert.equal((await playing).outcome, 'stopped')
  },
  async drop({ playing }) {
    await assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /onReconnect/ })
  }
})) {
  test(`onReconnect '${onReconnect}'`, async (t) => {
    const room = await openRoom(t)
    const { session } = speak(t, room, { onReconnect })
    const playing = session.playAudio({ audio: tone(440, 60_000) })
    playing.catch(() => {})
    await once(session, 'started')
    const lost = once(session, 'reconnecting')
    await room.server.stop()
    await lost
    await check({ session, playing })
    const back = once(session, 'reconnected')
    await room.server.restart()
    await back
    assert.equal((await session.playAudio({ audio: tone(880, 200) })).durationMs, 200)
  })
}

test('a restarted server is joined again', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  const playing = session.playAudio({ audio: tone(880, 20_000) })
  await once(session, 'started')
  const back = once(session, 'reconnected')
  await room.server.restart()
  await back
  const ear = await room.join()
  await until(() => windows(ear.heard.get('speaker') ?? [], 880).length >= 3, 'it is heard again')
  await session.close()
  assert.equal((await playing).reason, 'closed')
})

test('a server that shuts down is joined again', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = session.playAudio({ audio: tone(880, 20_000) })
  await once(session, 'started')
  const [lost, back] = [once(session, 'reconnecting'), once(session, 'reconnected')]
  // The second signal disconnects everybody.
  ;['SIGTERM', 'SIGINT'].forEach((signal) => room.server.signal(signal))
  // Now and then it has ended before that is sent.
  assert.ok(['serverShutdown', 'signalClose'].includes((await lost)[0].reason))
  await room.server.exited
  await room.server.restart()
  await back
  await session.close()
  assert.equal((await playing).reason, 'closed')
  assert.deepEqual(types(told), ['connected', 'started', 'reconnecting', 'reconnected', 'stopped', 'disconnected'])
})

test('signalling without answers is reopened when media is lost', async (t) => {
  const { room, wire, session, told } = await speakOverWire(t)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  const [before, lost, back] = [wire.attempts().length, once(session, 'reconnecting'), once(session, 'reconnected')]
  wire.deafen()
  wire.media.cut()
  // What passes the signalling on still answers pings.
  const pongs = setInterval(() => wire.say({ case: 'pongResp', value: new Pong() }), 1000)
  t.after(() => clearInterval(pongs))
  await lost
  await until(() => wire.attempts().length > before, 'it asks anew')
  wire.media.mend()
  await back
  assert.equal(publishings(room.ear, 'speaker'), 1, 'it resumed, and did not join anew')
  await session.stopAudio()
  assert.equal((await playing).outcome, 'stopped')
  assert.ok(!told.some(({ type }) => type === 'failed'))
})

test('stop while rejoining settles at once', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const [lost, back] = [once(session, 'reconnecting'), once(session, 'reconnected')]
  const restarting = room.server.restart()
  await lost
  const next = session.playAudio({ audio: tone(880, 300) })
  assert.equal((await playing).reason, 'replaced')
  await restarting
  await back
  assert.equal((await next).durationMs, 300)
})

test('close while rejoining settles at once', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room, { connectTimeoutMs: CONNECT_MS })
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const lost = once(session, 'reconnecting')
  await room.server.stop()
  await lost
  const waiting = session.playAudio({ audio: tone(440, 20), stopOther: false })
  const begun = performance.now()
  await session.close()
  assert.ok(performance.now() - begun < CONNECT_MS, 'it waited for an attempt to join')
  assert.deepEqual([(await playing).reason, (await waiting).reason], ['closed', 'closed'])
  assert.deepEqual(types(told), [
    'connected', 'started', 'reconnecting', 'stopped', 'stopped', 'disconnected'
  ])
})
