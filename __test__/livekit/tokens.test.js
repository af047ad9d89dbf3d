'use strict'

// Which token a room is won back with: the one that is good, and none that was refused.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken } = require('livekit-server-sdk')

const { openEmptyRoom, openRoom, publish, speak } = require('../support/room')
const { Wire } = require('../support/wire')

after(dispose) // or the ear keeps the process

/** The tokens with which the server was asked in vain, as often as it was. */
const refused = (wire) => wire.attempts().filter(({ status }) => status === 401).map(({ token }) => token)

test('a source that fails during a call does not keep a session out of its room', async (t) => {
  const room = await openRoom(t)
  let asked = 0
  const token = async () => {
    if (asked++) throw new Error('no tokens today')
    return room.token('speaker')
  }
  const { session } = speak(t, room, { token })
  await publish(session, room)
  const reconnected = once(session, 'reconnected')
  await room.server.restart()
  await reconnected
  assert.ok(asked > 1)
})

test('a source that gives another token wins a room back whose server takes the old ones no more', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { server } = room
  const token = () => {
    const [[key, secret]] = Object.entries(server.config.keys)
    const access = new AccessToken(key, secret, { identity: 'speaker' })
    access.addGrant({ roomJoin: true, room: room.name })
    return access.toJwt()
  }
  const { session } = speak(t, room, { url: wire.url, token })
  await publish(session, room)
  server.config.keys = { otherkey: server.secret }
  const reconnected = once(session, 'reconnected')
  await server.restart()
  await reconnected
  const tokens = refused(wire)
  assert.equal(tokens.length, new Set(tokens).size)
})

test('a first join with a token that is refused asks once', async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session } = speak(t, room, { url: wire.url, token: 'not.a.token' })
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(wire), ['not.a.token'])
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(wire), ['not.a.token', 'not.a.token'])
})
