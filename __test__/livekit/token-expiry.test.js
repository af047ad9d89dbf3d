'use strict'

// Tokens that expire or are refused while a session is in its room. Servers accept a token for a minute after its expiry, so
// one that is valid for some seconds more has expired before.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken } = require('livekit-server-sdk')

const { isBack, moderator, openEmptyRoom, openRoom, publish, speak, until } = require('../support/room')
const { tone, windows } = require('../support/wav')
const { Wire } = require('../support/wire')

const LEEWAY_S = 60
const BACK_MS = 30_000

after(dispose) // otherwise the ear keeps the process alive

/** Returns a token that a server accepts for so many seconds from now on. */
function goodFor(seconds, { server, name }, identity = 'speaker') {
  const access = new AccessToken(server.key, server.secret, { identity, ttl: seconds - LEEWAY_S })
  access.addGrant({ roomJoin: true, room: name })
  return access.toJwt()
}

/** Waits until a server refuses the token. */
async function expired(token, { server }) {
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  await sleep((exp + LEEWAY_S) * 1000 - Date.now() + 1000)
  const url = `${server.url.replace('ws', 'http')}/rtc/validate`
  const { status } = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(status, 401)
}

for (const [what, give] of [['a static token', (token) => token], ['a function that keeps its token', (token) => () => token]]) {
  test(`rejoins a restarted server although ${what} has expired`, async (t) => {
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    const token = await goodFor(3, room)
    const { session, told } = speak(t, room, { url: wire.url, token: give(token) })
    await publish(session, room)
    const playing = session.playAudio({ audio: tone(440, 60_000) })
    playing.catch(() => {})
    await expired(token, room)
    const lostAtMs = performance.now()
    await room.server.restart()
    await until(() => isBack(told), 'it is back', BACK_MS)
    const ear = await room.join()
    await until(() => windows(ear.heard.get('speaker') ?? [], 440).length >= 3, 'it is heard again')
    // The server had sent it a newer one, so none was refused.
    const refused = wire.attempts(lostAtMs).filter(({ status }) => status === 401)
    assert.deepEqual(refused, [])
    await session.stopAudio()
    assert.equal((await playing).outcome, 'stopped')
  })
}

test('rejoins a deleted room with an expired token', async (t) => {
  const room = await openEmptyRoom(t)
  const token = await goodFor(3, room)
  const { session, told } = speak(t, room, { token })
  await session.playAudio({ audio: tone(440, 100) })
  await expired(token, room)
  const gone = once(session, 'disconnected')
  await moderator(room.server).deleteRoom(room.name)
  assert.equal((await gone)[0].reason, 'roomDeleted')
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).durationMs, 100)
  assert.equal(told.filter(({ type }) => type === 'connected').length, 2)
})

test('a refused token is never sent twice', async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const token = await room.token('speaker')
  const { session, told } = speak(t, room, { url: wire.url, token })
  await session.playAudio({ audio: tone(440, 100) })
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  const failed = assert.rejects(playing, { code: 'ERR_DISCONNECTED' })
  await once(session, 'started')
  const lostAtMs = performance.now()
  room.server.config.keys = { [room.server.key]: 'another-secret-of-at-least-32-characters-for-tests' }
  await room.server.restart()
  await until(() => told.some(({ type }) => type === 'disconnected'), 'the room is lost', BACK_MS)
  await failed
  const refused = wire.attempts(lostAtMs).filter(({ status }) => status === 401)
  const tokens = refused.map((attempt) => attempt.token)
  assert.deepEqual([tokens.length, tokens.includes(token)], [new Set(tokens).size, true])
  assert.ok(tokens.length <= 2, 'there are two: the one that was given, and the one that the server put in its place')
  // It stays lost until the next request for the room.
  const { length } = wire.requests
  await sleep(2000)
  assert.equal(wire.requests.length, length)
})

for (const status of [401, 403]) {
  test(`sends a new token after ${status} to the server's own`, async (t) => {
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    let given = 0
    const { session, told } = speak(t, room, { url: wire.url, token: () => room.token(`speaker-${given++}`) })
    await publish(session, room)
    const playing = session.playAudio({ audio: tone(440, 60_000) })
    await once(session, 'started')

    const before = wire.attempts().length
    wire.answers = () => (given === 1 ? status : undefined)
    wire.cut() // otherwise an attempt would come while there is no server
    await room.server.restart()
    wire.mend()
    await until(() => isBack(told), 'it is back', BACK_MS)
    const attempts = wire.attempts().slice(before)
    assert.deepEqual(attempts.map((attempt) => attempt.status), [status, 101])
    assert.notEqual(attempts[0].token, attempts[1].token)
    assert.equal(given, 2)
    await session.stopAudio()
    assert.equal((await playing).outcome, 'stopped')
  })
}
