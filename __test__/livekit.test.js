'use strict'

// A real LiveKit server, and an ear in the room that shares no code with the speaker.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { liveKitFromEnv } = require('..')
const { open } = require('./support/session')
const { openEmptyRoom, openRoom, present, publish, speak, until } = require('./support/room')
const { loudest, tone, windows } = require('./support/wav')

after(dispose) // or the ear keeps the process

test('one tone is heard as long and as loud as it is, and again after silence', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  await publish(session, room)
  for (let n = 0; n < 2; n++) {
    assert.equal((await session.playAudio({ audio: tone(440, 1000) })).durationMs, 1000)
    await sleep(400)
  }
  const samples = room.ear.heard.get('speaker')
  assert.equal(room.ear.events.length, 1, 'the track was published once')
  assert.ok(Math.abs(loudest(samples, 440) - 0.3) < 0.02, `a level of ${loudest(samples, 440)}`)
  const heard = windows(samples, 440).length
  assert.ok(heard >= 16 && heard <= 21, `${heard} windows of 100 ms`)
  assert.deepEqual(told.map(({ type }) => type), ['connected', ...Array(3).fill(['started', 'completed']).flat()])
})

test('two tones overlap on one track, and an urgent one interrupts both', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const first = [440, 880].map((hz) => session.playAudio({ audio: tone(hz, 5000), stopOther: false }))
  await once(session, 'started')
  await sleep(1000)
  await session.playAudio({ audio: tone(1320, 800) })
  for (const { outcome, reason } of await Promise.all(first)) assert.deepEqual([outcome, reason], ['stopped', 'replaced'])
  await sleep(400)
  const samples = room.ear.heard.get('speaker')
  const [low, middle, high] = [440, 880, 1320].map((hz) => windows(samples, hz))
  const both = low.filter((n) => middle.includes(n))
  assert.ok(both.length >= 7, `heard together for ${both.length} windows`)
  assert.ok(high.length >= 6, `the urgent one was heard for ${high.length} windows`)
  assert.ok(low.at(-1) <= high[0] + 1 && middle.at(-1) <= high[0] + 1, 'the interrupted went on')
})

test('three tracks are three publications, each with its own sound', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room, { speaker: 0, app_audio: 1, track_7: 7 })
  const tones = { speaker: 440, app_audio: 880, track_7: 1320 }
  const playing = [0, 1, 7].map((trackId, index) =>
    session.playAudio({ audio: tone(Object.values(tones)[index], 1200), trackId, stopOther: false })
  )
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
  await sleep(400)
  for (const [name, hz] of Object.entries(tones)) {
    const samples = room.ear.heard.get(name)
    for (const other of Object.values(tones)) {
      const count = windows(samples, other).length
      assert.ok(other === hz ? count >= 8 : count === 0, `${other} Hz on ${name} for ${count} windows`)
    }
  }
})

test('stop and play again, five times', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const positions = []
  for (let n = 0; n < 5; n++) {
    const playing = session.playAudio({ audio: tone(400 + 200 * n, 5000) })
    await once(session, 'started')
    await sleep(500)
    await session.stopAudio()
    positions.push((await playing).positionMs)
    await sleep(150)
  }
  await sleep(300)
  const samples = room.ear.heard.get('speaker')
  const heard = [0, 1, 2, 3, 4].map((n) => windows(samples, 400 + 200 * n))
  for (const [n, each] of heard.entries()) {
    const told = positions[n] / 100
    assert.ok(each.length >= told - 3 && each.length <= told + 2, `tone ${n} for ${each.length} windows of ${told}`)
    if (n > 0) assert.ok(each[0] > heard[n - 1].at(-1), `tone ${n} came before the one before it had ended`)
  }
})

test('a real MP3 is heard', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  await session.playAudio({ audioUrl: path.join(__dirname, 'fixtures', 'tone-cbr.mp3') })
  await sleep(400)
  const heard = windows(room.ear.heard.get('speaker'), 1000).length
  assert.ok(heard >= 8 && heard <= 11, `${heard} windows`)
})

test('many plays while it joins share one join', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = [440, 880, 1320].map((hz) => session.playAudio({ audio: tone(hz, 300), stopOther: false }))
  await Promise.all([session.connect(), session.connect(), ...playing])
  assert.equal(told.filter(({ type }) => type === 'connected').length, 1)
  assert.equal(told[0].type, 'connected')
})

test('close leaves at once, and settles while it joins too', async (t) => {
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

test('whoever closes while joining is not left behind in the room', async (t) => {
  const room = await openEmptyRoom(t)
  for (let n = 0; n < 100; n++) {
    const output = { type: 'livekit', clock: undefined, url: room.server.url, token: await room.token(`hasty-${n}`) }
    const { session } = open(t, { output })
    session.playAudio({ audio: tone(440, 100) })
    await sleep(2 + (n % 12))
    await session.close()
  }
  // One may be: server 1.11.0 writes down what changes, and at times just after it has crossed somebody out.
  await until(async () => (await present(room.server)).length <= 1, 'they are gone')
})

/** A token that was good until a minute ago. */
function expired({ server, name }) {
  const access = new AccessToken(server.key, server.secret, { identity: 'late', ttl: -60 })
  access.addGrant({ roomJoin: true, room: name })
  return access.toJwt()
}

test('what keeps it from joining has a code, and the session may try again', async (t) => {
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

test('a token is asked for when the room is joined, and no sooner', async (t) => {
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

test('the environment tells where the room is', async (t) => {
  const room = await openRoom(t)
  const names = ['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET']
  const before = names.map((name) => process.env[name])
  t.after(() => names.forEach((name, n) => (before[n] === undefined ? delete process.env[name] : (process.env[name] = before[n]))))
  names.forEach((name) => delete process.env[name])
  assert.throws(() => liveKitFromEnv({ room: 'r', identity: 'i' }), { code: 'ERR_INVALID_ARGUMENT', message: /LIVEKIT_URL/ })
  Object.assign(process.env, {
    LIVEKIT_URL: room.server.url, LIVEKIT_API_KEY: room.server.key, LIVEKIT_API_SECRET: room.server.secret
  })
  const { session } = open(t, { output: { clock: undefined, ...liveKitFromEnv({ room: room.name, identity: 'env' }) } })
  await session.connect()
})

test('a token that may not publish fails what would play, within the time given', async (t) => {
  const room = await openRoom(t)
  const token = await room.token('mute', { canPublish: false })
  const output = { type: 'livekit', clock: undefined, url: room.server.url, token, connectTimeoutMs: 500 }
  const { session } = open(t, { output })
  await session.connect()
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_JOIN_FAILED', message: /published/ })
})

test('a participant that is removed is told so', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  await service.removeParticipant(room.name, `speaker-${t.name}`)
  await assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /PARTICIPANT_REMOVED/ })
  await until(() => told.at(-1).type === 'disconnected', 'it was told')
})
