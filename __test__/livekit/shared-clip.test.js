'use strict'

// A clip that several sessions play is encoded once for all of them, and heard by each of their listeners.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { openRoom, openServer, publish, roomOn, speak, until } = require('../support/room')
const { SpeakerSession } = require('../..')
const { loudest, tone, windows } = require('../support/wav')

/** So long after a sound a track has sent its tail of 200 ms, on a busy machine too, and a clip begins in silence. */
const REST_MS = 1000

after(dispose) // or the ear keeps the process

test('three sessions play a chime that was encoded once', async (t) => {
  const server = await openServer(t)
  const rooms = await Promise.all(
    [0, 1, 2].map(async () => {
      const room = roomOn(t, server)
      return { ...room, ear: await room.join() }
    })
  )
  const sessions = rooms.map((room) => speak(t, room).session)
  await Promise.all(sessions.map((session, index) => publish(session, rooms[index])))
  await sleep(REST_MS)
  const chime = await SpeakerSession.clip({ audio: tone(440, 1000) })
  const playing = sessions.map((session) => session.playAudio({ audio: chime }))
  for (const { durationMs } of await Promise.all(playing)) assert.equal(durationMs, 1000)
  for (const { ear } of rooms) {
    const samples = ear.heard.get('speaker')
    await until(() => windows(samples, 440).length >= 8, 'the chime is heard')
    assert.ok(Math.abs(loudest(samples, 440) - 0.3) < 0.02, `a level of ${loudest(samples, 440)}`)
    const heard = windows(samples, 440).length
    assert.ok(heard <= 11, `${heard} windows of 100 ms`)
  }
  for (const session of sessions) assert.ok(session.stats().sharedPackets >= 50, `${session.stats().sharedPackets} packets`)
})

test('what begins over a chime is heard with it, and the chime alone again', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  await sleep(REST_MS)
  const chime = await SpeakerSession.clip({ audio: tone(440, 2000) })
  const playing = session.playAudio({ audio: chime })
  await once(session, 'started')
  await until(() => session.stats().sharedPackets > 0, 'it is sent as packets that are shared')
  await session.playAudio({ audio: tone(880, 500), stopOther: false })
  assert.equal((await playing).outcome, 'completed')
  const samples = room.ear.heard.get('speaker')
  const heard = () => [440, 880].map((hz) => windows(samples, hz).length)
  await until(() => heard()[0] >= 18 && heard()[1] >= 4, 'both are heard')
  const [low, high] = heard()
  assert.ok(low <= 21, `the chime for ${low} windows`)
  assert.ok(high <= 6, `the other for ${high} windows`)
  assert.ok(session.stats().sharedPackets < 100, 'behind the other it has an encoder of its own')
})

test('without encodeOnce each session encodes by itself', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { encodeOnce: false })
  await publish(session, room)
  await sleep(REST_MS)
  const chime = await SpeakerSession.clip({ audio: tone(440, 500) })
  await session.playAudio({ audio: chime })
  assert.equal(session.stats().sharedPackets, 0)
})
