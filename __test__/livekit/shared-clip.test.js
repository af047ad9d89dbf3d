'use strict'

// A clip that several sessions play is encoded once for all of them, and each of their listeners hears it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { openRoom, openServer, publish, roomOn, speak, until } = require('../support/room')
const { SpeakerSession } = require('../..')
const { loudest, tone, windows } = require('../support/wav')

/** The time after which a track has sent its tail of 200 ms, even on a busy machine, and a clip begins in silence. */
const REST_MS = 1000

after(dispose) // otherwise the ear keeps the process alive

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

test('a sound over a chime is mixed with it', async (t) => {
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

test('a chime has the volume of its track', async (t) => {
  const server = await openServer(t)
  const rooms = await Promise.all([0, 1].map(async () => {
    const room = roomOn(t, server)
    return { ...room, ear: await room.join() }
  }))
  const [full, half] = rooms.map((room) => speak(t, room).session)
  await Promise.all([full, half].map((session, index) => publish(session, rooms[index])))
  // Before the first sound there.
  await half.track(0).setVolume({ volume: 0.6 })
  await sleep(REST_MS)
  const chime = await SpeakerSession.clip({ audio: tone(440, 1000) })
  await Promise.all([full, half].map((session) => session.playAudio({ audio: chime })))
  const [whole, quiet] = rooms.map(({ ear }) => ear.heard.get('speaker'))
  await until(() => [whole, quiet].every((samples) => windows(samples, 440).length >= 8), 'both are heard')
  assert.ok(Math.abs(loudest(whole, 440) - 0.3) < 0.02, `a level of ${loudest(whole, 440)}`)
  assert.ok(Math.abs(loudest(quiet, 440) - 0.18) < 0.02, `a level of ${loudest(quiet, 440)}`)
  assert.ok(half.stats().sharedPackets >= 50, 'it was alone, and at one gain throughout')
  await sleep(REST_MS)
  // In the middle of it: from there on it does not share packets.
  const playing = half.playAudio({ audio: chime })
  await playing.started
  const loud = half.stats().sharedPackets
  await half.track(0).setVolume({ volume: 1 })
  await playing
  await until(() => Math.abs(loudest(quiet, 440) - 0.3) < 0.02, 'it is as loud as its track')
  assert.ok(half.stats().sharedPackets < loud + 40, 'it was not sent on as it was encoded for the lower volume')
  const { frames, playing: live } = half.track(0).stats()
  assert.equal(live, 0)
  assert.ok(frames >= 105 && frames <= 108, `${frames} frames: 100 ms of silence, and the chime twice`)
})

test('a tap of a track contains only that track', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room, { speaker: 0, app_audio: 1 })
  const samples = []
  session.track(1).tap({ format: 'f32' }).on('data', ({ frame }) => samples.push(...new Float32Array(frame.buffer, frame.byteOffset, frame.length / 4)))
  await Promise.all([440, 880].map((hz, trackId) => session.playAudio({ audio: tone(hz, 500), trackId, stopOther: false })))
  await session.close()
  const loud = (hz) => loudest(Float32Array.from(samples), hz)
  assert.ok(Math.abs(loud(880) - 0.3) < 0.02 && loud(440) < 0.02, `${loud(880)} of its own and ${loud(440)} of the other`)
})

test('without encodeOnce each session encodes itself', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { encodeOnce: false })
  await publish(session, room)
  await sleep(REST_MS)
  const chime = await SpeakerSession.clip({ audio: tone(440, 500) })
  await session.playAudio({ audio: chime })
  assert.equal(session.stats().sharedPackets, 0)
})
