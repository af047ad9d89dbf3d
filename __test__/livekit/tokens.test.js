'use strict'

// The token of a rejoin: a valid one, and never a refused one.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken } = require('livekit-server-sdk')

const { openEmptyRoom, openRoom, publish, speak } = require('../support/room')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ear keeps the process alive

/** Returns the tokens that the server refused, as often as it did. */
const refused = (wire) => wire.attempts().filter(({ status }) => status === 401).map(({ token }) => token)

test('rejoins although the token source fails', async (t) => {
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

test('rejoins with a new token of the source', async (t) => {
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

test('a refused first join asks for one token', async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session } = speak(t, room, { url: wire.url, token: 'not.a.token' })
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(wire), ['not.a.token'])
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(wire), ['not.a.token', 'not.a.token'])
})
