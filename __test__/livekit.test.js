'use strict'

// A real LiveKit server, and an ear in the room that shares no code with the speaker.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

const { liveKitFromEnv } = require('..')
const { open } = require('./support/session')
const { openRoom, until } = require('./support/room')
const { level, tone } = require('./support/wav')

const WINDOW = 4800 // 100 ms

after(dispose) // or the ear keeps the process

/** A session that speaks in a room. */
async function speak(t, room) {
  const token = await room.token(`speaker-${t.name}`)
  return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } })
}

/** Publishes tracks with silence, until the ear listens to them: it takes a moment, and what comes before is lost on it. */
async function publish(session, room, tracks = { speaker: 0 }) {
  for (const [name, trackId] of Object.entries(tracks)) {
    await session.playAudio({ audio: tone(440, 100), volume: 0, trackId })
    await until(() => room.ear.heard.get(name)?.length > 0, `the ear listens to ${name}`)
  }
}

/** In which windows of 100 ms a frequency was heard. */
function windows(samples, hz) {
  const count = Math.floor(samples.length / WINDOW)
  return Array.from({ length: count }, (_, n) => n).filter((n) => level(samples, n * WINDOW, (n + 1) * WINDOW, hz) > 0.15)
}

/** The loudest window of a frequency. */
function loudest(samples, hz) {
  const levels = windows(samples, hz).map((n) => level(samples, n * WINDOW, (n + 1) * WINDOW, hz))
  return Math.max(0, ...levels)
}

test('one tone is heard as long and as loud as it is, and again after silence', async (t) => {
  const room = await openRoom(t)
  const { session, told } = await speak(t, room)
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
  const { session } = await speak(t, room)
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
  const { session } = await speak(t, room)
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
  const { session } = await speak(t, room)
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
  const { session } = await speak(t, room)
  await publish(session, room)
  await session.playAudio({ audioUrl: path.join(__dirname, 'fixtures', 'tone-cbr.mp3') })
  await sleep(400)
  const heard = windows(room.ear.heard.get('speaker'), 1000).length
  assert.ok(heard >= 8 && heard <= 11, `${heard} windows`)
})

test('many plays while it joins share one join', async (t) => {
  const room = await openRoom(t)
  const { session, told } = await speak(t, room)
  const playing = [440, 880, 1320].map((hz) => session.playAudio({ audio: tone(hz, 300), stopOther: false }))
  await Promise.all([session.connect(), session.connect(), ...playing])
  assert.equal(told.filter(({ type }) => type === 'connected').length, 1)
  assert.equal(told[0].type, 'connected')
})

test('close leaves at once, and settles while it joins too', async (t) => {
  const room = await openRoom(t)
  const { session } = await speak(t, room)
  await session.playAudio({ audio: tone(440, 100) })
  await session.close()
  await until(() => room.ear.events.some((event) => event.startsWith('left')), 'the server saw it leave')

  const early = await speak(t, room)
  const connecting = assert.rejects(early.session.connect(), { code: 'ERR_CLOSED' })
  const playing = early.session.playAudio({ audio: tone(440, 100) })
  await early.session.close()
  await connecting
  assert.equal((await playing).reason, 'closed')
})

test('what keeps it from joining has a code, and the session may try again', async (t) => {
  const room = await openRoom(t)
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const url = room.server.url
  for (const output of [
    { url, token: 'not.a.token' },
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
  const { session, told } = await speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  await service.removeParticipant(room.name, `speaker-${t.name}`)
  await assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /PARTICIPANT_REMOVED/ })
  await until(() => told.at(-1).type === 'disconnected', 'it was told')
})

/** A TCP proxy to a server: cut() ends what goes through it, and refuses the rest until mend(). */
async function proxy(t, url) {
  const sockets = new Set()
  let whole = true
  const server = net.createServer((client) => {
    if (!whole) return client.destroy()
    const upstream = net.connect(new URL(url).port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => (client.destroy(), upstream.destroy()))
    }
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const cut = () => {
    whole = false
    sockets.forEach((socket) => socket.destroy())
  }
  t.after(cut)
  return { url: `ws://127.0.0.1:${server.address().port}`, cut, mend: () => (whole = true) }
}

test('when the signalling is cut it joins again, and what played goes on where it was', async (t) => {
  const room = await openRoom(t)
  const wire = await proxy(t, room.server.url)
  const output = { type: 'livekit', clock: undefined, url: wire.url, token: () => room.token('cut') }
  const { session, told } = open(t, { output })
  await publish(session, room)
  const begun = performance.now()
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  await sleep(300)
  wire.cut()
  await once(session, 'reconnecting')
  const { positionMs } = session.playbacks()[0]
  await sleep(1000)
  assert.equal(session.playbacks()[0].positionMs, positionMs, 'it went on with nobody to hear it')
  wire.mend()
  await once(session, 'reconnected')
  const samples = room.ear.heard.get('speaker')
  await until(() => room.ear.heard.get('speaker') !== samples, 'the ear listens to the new track')
  await sleep(800)
  await session.stopAudio()
  const result = await playing
  assert.ok(result.positionMs < performance.now() - begun - 900, 'the pause was counted as heard')
  assert.ok(windows(room.ear.heard.get('speaker'), 440).length >= 4, 'not heard again')
  await session.close()
  assert.deepEqual(
    told.map(({ type }) => type).slice(3),
    ['started', 'reconnecting', 'reconnected', 'stopped', 'disconnected']
  )
})

test('a server that is killed and comes again is joined again', async (t) => {
  const room = await openRoom(t)
  const { session } = await speak(t, room)
  const playing = session.playAudio({ audio: tone(880, 20_000) })
  await once(session, 'started')
  const back = once(session, 'reconnected')
  await room.server.restart()
  await back
  const ear = await room.join()
  await until(() => windows(ear.heard.get('speaker') ?? [], 880).length >= 3, 'it is heard again')
  await session.close()
  assert.equal((await playing).reason, 'closed')
})

test('a stop while it joins again settles at once, and the next one is heard when it is back', async (t) => {
  const room = await openRoom(t)
  const { session } = await speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const [lost, back] = [once(session, 'reconnecting'), once(session, 'reconnected')]
  const restarting = room.server.restart()
  await lost
  const next = session.playAudio({ audio: tone(880, 300) })
  assert.equal((await playing).reason, 'replaced')
  await restarting
  await back
  assert.equal((await next).durationMs, 300)
})

test('close while it joins again settles at once', async (t) => {
  const room = await openRoom(t)
  const { session, told } = await speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const lost = once(session, 'reconnecting')
  await room.server.stop()
  await lost
  const waiting = session.playAudio({ audio: tone(440, 20), stopOther: false })
  const begun = performance.now()
  await session.close()
  assert.ok(performance.now() - begun < 2500)
  assert.deepEqual([(await playing).reason, (await waiting).reason], ['closed', 'closed'])
  assert.deepEqual(told.map(({ type }) => type), [
    'connected', 'started', 'reconnecting', 'stopped', 'stopped', 'disconnected'
  ])
})
