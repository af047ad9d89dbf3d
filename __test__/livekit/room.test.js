'use strict'

// Actions of a server: removal and deletion; quality of the connection; older servers.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

const { open } = require('../support/session')
const { openRoom, until } = require('../support/room')
const { level, tone } = require('../support/wav')

const SPEAKER = 'speaker'
const WINDOW = 4800 // 100 ms

after(dispose) // otherwise the ear keeps the process alive

async function speak(t, room, options = {}, grants = {}) {
  const token = await room.token(SPEAKER, grants)
  return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token, ...options } })
}

function service({ server }) {
  return new RoomServiceClient(server.url.replace('ws', 'http'), server.key, server.secret)
}

/** Returns true if the last 200 ms contain a tone of 440 Hz. */
function isHeard(samples) {
  return level(samples, samples.length - 2 * WINDOW, samples.length, 440) > 0.15
}

test('track names are validated', (t) => {
  const output = { type: 'livekit', clock: undefined, url: 'ws://localhost', token: 'x' }
  for (const trackSources of [{ 0: 'camera' }, { 0: null }, { speaker: 'unknown' }, 'microphone']) {
    assert.throws(() => open(t, { output: { ...output, trackSources } }), { code: 'ERR_INVALID_ARGUMENT', message: /trackSources/ })
  }
  for (const trackNames of [{ 0: '' }, { speaker: 'a' }, { 70000: 'a' }, 'speaker']) {
    assert.throws(() => open(t, { output: { ...output, trackNames } }), { code: 'ERR_INVALID_ARGUMENT', message: /trackNames/ })
  }
})

test('a deleted room fails playbacks, not the session', async (t) => {
  const room = await openRoom(t)
  const { session, told } = await speak(t, room)
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  await once(session, 'started')
  const gone = once(session, 'disconnected')
  await service(room).deleteRoom(room.name)
  await assert.rejects(playing, { code: 'ERR_DISCONNECTED', message: /ROOM_DELETED/ })
  assert.equal((await gone)[0].reason, 'roomDeleted')
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).durationMs, 100)
  assert.equal(told.filter(({ type }) => type === 'connected').length, 2)
})

test('a duplicate identity disconnects', async (t) => {
  const room = await openRoom(t)
  const first = await speak(t, room)
  await first.session.playAudio({ audio: tone(440, 20) })
  const gone = once(first.session, 'disconnected')
  const second = await speak(t, room)
  await second.session.playAudio({ audio: tone(440, 20) })
  assert.equal((await gone)[0].reason, 'duplicateIdentity')
})

test('stats().link reports reception', async (t) => {
  const room = await openRoom(t)
  const { session } = await speak(t, room, { red: true })
  assert.equal(session.stats().link, undefined)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await until(() => session.stats().link?.roundTripMs !== undefined, 'a report came', 30_000)
  const { loss, jitterMs, roundTripMs } = session.stats().link
  assert.ok(loss >= 0 && loss <= 1, `a loss of ${loss}`)
  assert.ok(jitterMs >= 0 && jitterMs < 1000, `a jitter of ${jitterMs} ms`)
  assert.ok(roundTripMs > 0 && roundTripMs < 5000, `a round trip of ${roundTripMs} ms`)
  await until(() => room.ear.heard.get('speaker')?.length > WINDOW * 4 && isHeard(room.ear.heard.get('speaker')), 'it is heard')
  await session.stopAudio()
  await playing
})

/** Opens a proxy that behaves as a server before 1.9.1: it refuses the newer way to join. */
async function oldServer(t, url) {
  const { port } = new URL(url)
  const proxy = http.createServer((request, response) => response.writeHead(404).end())
  proxy.on('upgrade', (request, client, head) => {
    if (request.url.startsWith('/rtc/v1')) return client.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
    const upstream = net.connect(port, '127.0.0.1')
    const lines = request.rawHeaders.map((text, n) => (n % 2 ? `${text}\r\n` : `${text}: `))
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`)
    upstream.write(head)
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', () => (client.destroy(), upstream.destroy()))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => proxy.close())
  return `ws://127.0.0.1:${proxy.address().port}`
}

test('older servers: signalling v0 stays connected', async (t) => {
  const room = await openRoom(t)
  const { session, told } = await speak(t, room, { url: await oldServer(t, room.server.url) })
  const playing = session.playAudio({ audio: tone(440, 64_000) })
  await until(() => room.ear.heard.get('speaker')?.length > WINDOW * 4 && isHeard(room.ear.heard.get('speaker')), 'it is heard')
  assert.equal((await playing).durationMs, 64_000)
  assert.ok(!told.some(({ type }) => type === 'reconnecting' || type === 'disconnected'), 'it was thrown out')
})
