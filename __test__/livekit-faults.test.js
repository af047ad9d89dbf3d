'use strict'

// What the network does to media: packets are lost, come late, or come no more. All of them go through a relay.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { openRoom, publish, speak } = require('./support/room')
const { tone, windows } = require('./support/wav')
const { Wire } = require('./support/wire')

after(dispose) // or the ear keeps the process

test('a session that the server can not reach by itself reaches the server, as behind a NAT', async (t) => {
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
