'use strict'

// Joining and leaving a room: once, cleanly, and with an error code when it fails.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { liveKitFromEnv } = require('../..')
const { open } = require('../support/session')
const { openEmptyRoom, openRoom, speak, until } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

test('plays during a join share it', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = [440, 880, 1320].map((hz) => session.playAudio({ audio: tone(hz, 300), stopOther: false }))
  await Promise.all([session.connect(), session.connect(), ...playing])
  assert.equal(told.filter(({ type }) => type === 'connected').length, 1)
  assert.equal(told[0].type, 'connected')
})

test('`network` does not apply to rooms', async (t) => {
  const room = await openRoom(t)
  const output = { type: 'livekit', clock: undefined, url: room.server.url, token: () => room.token('speaker') }
  const { session } = open(t, { output, network: 'public' })
  assert.equal((await session.playAudio({ audio: tone(440, 300) })).outcome, 'completed')
  await assert.rejects(session.playAudio({ audioUrl: room.server.url.replace('ws', 'http') }), { code: 'ERR_URL_BLOCKED' })
})

test('joining starts no other process', { skip: process.platform === 'win32' }, async (t) => {
  const room = await openEmptyRoom(t)
  const bin = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-bin-'))
  const started = path.join(bin, 'started')
  // The programs that crates start to identify the system, for servers that want to know.
  for (const name of ['getconf', 'lsb_release', 'sw_vers', 'uname']) {
    writeFileSync(path.join(bin, name), `#!/bin/sh\necho ${name} >> ${started}\n`, { mode: 0o755 })
  }
  const before = process.env.PATH
  t.after(() => {
    process.env.PATH = before
    rmSync(bin, { recursive: true })
  })
  process.env.PATH = `${bin}:${before}`
  const { session } = speak(t, room)
  await session.connect()
  assert.ok(!existsSync(started), existsSync(started) && readFileSync(started, 'utf8'))
})

test('close leaves at once while joining', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await session.playAudio({ audio: tone(440, 100) })
  await session.close()
  await until(() => room.ear.events.some((event) => event.startsWith('left')), 'the server saw it leave')

  const early = speak(t, room)
  const connecting = assert.rejects(early.session.connect(), { code: 'ERR_CLOSED' })
  const playing = early.session.playAudio({ audio: tone(440, 100) })
  await early.session.close()
  await connecting
  assert.equal((await playing).reason, 'closed')
})

test('close while joining leaves no participant', async (t) => {
  const room = await openEmptyRoom(t)
  for (let n = 0; n < 100; n++) {
    const token = await room.token(`hasty-${n}`)
    const output = { type: 'livekit', clock: undefined, url: room.server.url, token, lingerMs: 0 }
    const { session } = open(t, { output })
    session.playAudio({ audio: tone(440, 100) })
    await sleep(2 + (n % 12))
    await session.close()
  }
  // As a new participant sees the room: the list of server 1.11.0 may keep removed ones for ever.
  const ear = await room.join()
  await until(() => ear.room.remoteParticipants.size === 0, 'they are gone')
})

/** Returns a token that expired a minute ago. */
function expired({ server, name }) {
  const access = new AccessToken(server.key, server.secret, { identity: 'late', ttl: -60 })
  access.addGrant({ roomJoin: true, room: name })
  return access.toJwt()
}

test('a failed join has a code and can be retried', async (t) => {
  const room = await openRoom(t)
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const url = room.server.url
  for (const output of [
    { url, token: 'not.a.token' },
    { url, token: await expired(room) },
    { url: 'ws://127.0.0.1:1', token: 'x' },
    { url: `ws://127.0.0.1:${silent.address().port}`, token: 'x', connectTimeoutMs: 300 }
  ]) {
    const { session, told } = open(t, { output: { type: 'livekit', clock: undefined, ...output } })
    await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
    await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_JOIN_FAILED' })
    assert.deepEqual(told.map(({ type }) => type), ['failed'])
    await session.close()
  }
})

test('the token function is called at each join', async (t) => {
  const room = await openRoom(t)
  let asked = 0
  const output = { type: 'livekit', clock: undefined, url: room.server.url }
  const late = open(t, { output: { ...output, token: () => (asked++, room.token('late')) } })
  assert.equal(asked, 0)
  await late.session.connect()
  await late.session.playAudio({ audio: tone(440, 100) })
  assert.equal(asked, 1)

  const broken = open(t, { output: { ...output, token: async () => { throw new Error('no rights today') } } })
  await assert.rejects(broken.session.connect(), { code: 'ERR_JOIN_FAILED', message: /no rights today/ })
})

test('liveKitFromEnv reads the environment', async (t) => {
  const room = await openRoom(t)
  const names = ['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET']
  const before = names.map((name) => process.env[name])
  t.after(() => names.forEach((name, n) => (before[n] === undefined ? delete process.env[name] : (process.env[name] = before[n]))))
  names.forEach((name) => delete process.env[name])
  assert.throws(() => liveKitFromEnv({ room: 'r', identity: 'i' }), { code: 'ERR_INVALID_ARGUMENT', message: /LIVEKIT_URL/ })
  Object.assign(process.env, {
    LIVEKIT_URL: room.server.url, LIVEKIT_API_KEY: room.server.key, LIVEKIT_API_SECRET: room.server.secret
  })
  const described = { identity: 'env', name: 'Eva', kind: 'agent', attributes: { mood: 'fine' } }
  const { session } = open(t, { output: { clock: undefined, ...liveKitFromEnv({ room: room.name, ...described }) } })
  await session.connect()
  const { identity, name, kind, attributes } = session.localParticipant
  assert.deepEqual({ identity, name, kind, attributes }, described)
})

test('a removed participant gets ERR_DISCONNECTED', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  await service.removeParticipant(room.name, `speaker-${t.name}`)
  await assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /PARTICIPANT_REMOVED/ })
  await until(() => told.at(-1).type === 'disconnected', 'it was told')
})
