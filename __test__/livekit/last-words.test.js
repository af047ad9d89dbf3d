'use strict'

// How much of the last sound is heard before a session closes, and how long closing takes.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

const { marked, missing } = require('../support/marked')
const { fromNow, openRoom, present, publish, speak, until } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

/** More than the edge of a measuring window, less than a frame. */
const NOTHING_MS = 15

test('the last sound is heard to its end', async (t) => {
  for (let round = 0; round < 5; round++) {
    const room = await openRoom(t)
    const { session } = speak(t, room)
    await publish(session, room)
    const heard = fromNow(room.ear, 'speaker')
    await session.playAudio({ audio: marked(500) })
    await session.close()
    // The ear has its own queue.
    await until(() => missing(heard()).last < NOTHING_MS, `round ${round}: it is heard to its end`)
    assert.equal((await present(room.server)).length, 1, 'only the ear is in the room')
  }
})

test('closing waits for lingerMs after sound only', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { lingerMs: 2000 })
  await publish(session, room)
  await session.playAudio({ audio: tone(440, 100) })
  const sounded = performance.now()
  await session.close()
  const lingered = performance.now() - sounded
  assert.ok(lingered >= 1900, `${lingered} ms`)
  const { session: silent } = speak(t, room, { lingerMs: 10_000 })
  await silent.connect()
  await silent.playAudio({ audio: tone(440, 100), volume: 0 })
  const closing = performance.now()
  await silent.close()
  assert.ok(performance.now() - closing < 5000, 'nobody heard anything: there is nothing to wait for')
})

test('closing does not outlast the room', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { lingerMs: 10_000 })
  await publish(session, room)
  await session.playAudio({ audio: tone(440, 100) })
  const begun = performance.now()
  const closing = session.close()
  const { url, key, secret } = room.server
  await new RoomServiceClient(url.replace('ws', 'http'), key, secret).deleteRoom(room.name)
  await closing
  assert.ok(performance.now() - begun < 5000)
})

test('the last sound is heard without awaiting close', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const heard = fromNow(room.ear, 'speaker')
  await session.playAudio({ audio: marked(500) })
  session.close()
  await until(() => missing(heard()).last < NOTHING_MS, 'it is heard to its end')
})
