'use strict'

// Which token a room is won back with: the one that is good, and none that was refused.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { Gate } = require('../support/gate')
const { openEmptyRoom, openRoom, publish, speak, until } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // or the ear keeps the process

/** Servers let a token count for a minute longer than it says. */
const LEEWAY_S = 60

/** A token for a room that is refused from a few seconds on. */
function shortLived({ server, name }, identity) {
  const access = new AccessToken(server.key, server.secret, { identity, ttl: 4 - LEEWAY_S })
  access.addGrant({ roomJoin: true, room: name })
  return access.toJwt()
}

/** Waits until the server refuses a token. */
async function expiry({ server }, token) {
  const url = `${server.url.replace('ws', 'http')}/rtc/validate`
  await until(async () => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status === 401, 'it expired', 30_000)
}

/** The tokens with which the gate's server was asked in vain, as often as it was. */
const refused = (gate) => gate.joins(401).map(({ token }) => token)

for (const [kind, source] of [['a string', (token) => token], ['a function that gives the same again', (token) => () => token]]) {
  test(`a token that expires during a call, ${kind}: a restarted server is joined by the one that it sent`, async (t) => {
    const room = await openRoom(t)
    const token = await shortLived(room, 'speaker')
    const gate = await Gate.open(room.server.url, t)
    const { session, told } = speak(t, room, { url: gate.url, token: source(token) })
    await publish(session, room)
    await expiry(room, token)
    const reconnected = once(session, 'reconnected')
    await room.server.restart()
    const back = Date.now()
    await reconnected
    assert.ok(Date.now() - back < 5_000, `${Date.now() - back} ms after the server was`)
    assert.deepEqual(refused(gate), [])
    assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
    assert.ok(!told.some(({ type }) => type === 'disconnected'))
  })
}

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

test('a room whose server takes no token any more is lost at once, and each was tried once', async (t) => {
  const room = await openRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const token = await room.token('speaker')
  const { session, told } = speak(t, room, { url: gate.url, token })
  await publish(session, room)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  const failed = assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /invalid API key/ })
  room.server.config.keys = { otherkey: room.server.secret }
  await room.server.restart()
  const back = Date.now()
  await failed
  assert.ok(Date.now() - back < 8_000, `${Date.now() - back} ms after the server was`)
  const tokens = refused(gate)
  assert.ok(tokens.includes(token))
  assert.equal(tokens.length, new Set(tokens).size, `${tokens.length} attempts with ${new Set(tokens).size} tokens`)
  assert.ok(tokens.length <= 2)
  await until(() => told.some(({ type, reason }) => type === 'disconnected' && reason === 'joinFailure'), 'it was told')
})

test('a source that gives another token wins a room back whose server takes the old ones no more', async (t) => {
  const room = await openRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const { server } = room
  const token = () => {
    const [[key, secret]] = Object.entries(server.config.keys)
    const access = new AccessToken(key, secret, { identity: 'speaker' })
    access.addGrant({ roomJoin: true, room: room.name })
    return access.toJwt()
  }
  const { session } = speak(t, room, { url: gate.url, token })
  await publish(session, room)
  server.config.keys = { otherkey: server.secret }
  const reconnected = once(session, 'reconnected')
  await server.restart()
  await reconnected
  const tokens = refused(gate)
  assert.equal(tokens.length, new Set(tokens).size)
})

test('who connects again with a token that has expired meanwhile is let in by the one that the server sent', async (t) => {
  const room = await openEmptyRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const token = await shortLived(room, 'speaker')
  const { session } = speak(t, room, { url: gate.url, token })
  await session.connect()
  await session.playAudio({ audio: tone(440, 100) })
  await expiry(room, token)
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  const disconnected = once(session, 'disconnected')
  await service.removeParticipant(room.name, 'speaker')
  await disconnected
  await session.connect()
  assert.deepEqual(refused(gate), [token])
})

test('a first join with a token that is refused asks once', async (t) => {
  const room = await openEmptyRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const { session } = speak(t, room, { url: gate.url, token: 'not.a.token' })
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(gate), ['not.a.token'])
  await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual(refused(gate), ['not.a.token', 'not.a.token'])
})
