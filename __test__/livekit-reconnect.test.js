'use strict'

// What becomes of a session whose room is lost: cut off, or its server killed.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, openRoom, publish, speak, until } = require('./support/room')
const { tone, windows } = require('./support/wav')
const { Wire } = require('./support/wire')

after(dispose) // or the ear keeps the process

for (const [seconds, cutMs] of [[1, 1000], [20, 20_000]]) {
  test(`when the signalling is cut for ${seconds} s, what played goes on where it was`, async (t) => {
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    const { session, told } = speak(t, room, { url: wire.url })
    await publish(session, room)
    const begun = performance.now()
    const playing = session.playAudio({ audio: tone(440, 100_000) })
    await once(session, 'started')
    await sleep(300)
    wire.cut()
    await once(session, 'reconnecting')
    const { positionMs } = session.playbacks()[0]
    await sleep(cutMs)
    assert.equal(session.playbacks()[0].positionMs, positionMs, 'it went on with nobody to hear it')
    wire.mend()
    await once(session, 'reconnected')
    const heard = fromNow(room.ear, 'speaker')
    await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
    await session.stopAudio()
    assert.ok((await playing).positionMs < performance.now() - begun - 0.9 * cutMs, 'the pause was counted as heard')
    await session.close()
    assert.deepEqual(
      told.map(({ type }) => type).slice(3),
      ['started', 'reconnecting', 'reconnected', 'stopped', 'disconnected']
    )
  })
}

test('a server that is killed and comes again is joined again', async (t) => {
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

test('a stop while it joins again settles at once, and the next one is heard when it is back', async (t) => {
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

test('close while it joins again settles at once', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const lost = once(session, 'reconnecting')
  await room.server.stop()
  await lost
  const waiting = session.playAudio({ audio: tone(440, 20), stopOther: false })
  const begun = performance.now()
  await session.close()
  assert.ok(performance.now() - begun < 2500)
  assert.deepEqual([(await playing).reason, (await waiting).reason], ['closed', 'closed'])
  assert.deepEqual(told.map(({ type }) => type), [
    'connected', 'started', 'reconnecting', 'stopped', 'stopped', 'disconnected'
  ])
})
