'use strict'

// Rooms over TLS: who is trusted, and why others are not.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const { after, test } = require('node:test')
const tls = require('node:tls')

const { dispose } = require('@livekit/rtc-node')

const { Authority } = require('../support/authority')
const { openEmptyRoom, openRoom, publish, speak } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // or the ear keeps the process

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is used for the first time

/** The URL of a room's server behind TLS. */
async function secured(t, { server }, certificate) {
  const sockets = new Set()
  const proxy = tls.createServer(certificate, (client) => {
    const upstream = net.connect(new URL(server.url).port, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => (client.destroy(), upstream.destroy()))
    }
  })
  proxy.on('tlsClientError', () => {})
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => (proxy.close(), sockets.forEach((socket) => socket.destroy())))
  return `wss://localhost:${proxy.address().port}`
}

test('a room behind a certificate of an authority in NODE_EXTRA_CA_CERTS is joined and heard', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { url: await secured(t, room, authority.issue('localhost')) })
  await publish(session, room)
  assert.equal((await session.playAudio({ audio: tone(440, 300) })).outcome, 'completed')
})

test('a room over wss is joined through HTTPS_PROXY, one over ws by no proxy', async (t) => {
  const room = await openEmptyRoom(t)
  const url = await secured(t, room, authority.issue('localhost'))
  const asked = []
  const proxy = http.createServer().on('request', ({ method, url }) => asked.push(`${method} ${url}`))
  proxy.on('connect', ({ url }, client) => {
    asked.push(`CONNECT ${url}`)
    const upstream = net.connect(url.split(':')[1], '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', () => (client.destroy(), upstream.destroy()))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const names = ['HTTPS_PROXY', 'HTTP_PROXY']
  t.after(() => (names.forEach((name) => delete process.env[name]), proxy.close()))
  for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.address().port}`
  for (const way of [url, room.server.url]) {
    const { session } = speak(t, room, { url: way })
    await session.connect()
    await session.close()
  }
  assert.deepEqual(asked, [`CONNECT ${new URL(url).host}`])
})

for (const [what, certificate, reason] of [
  ['for another host', () => authority.issue('example.com'), /certificate not valid for name "localhost"/],
  ['that has expired', () => authority.issue('localhost', { expired: true }), /certificate expired/],
  ['of an unknown authority', () => new Authority(after).issue('localhost'), /UnknownIssuer/]
]) {
  test(`a room behind a certificate ${what} is not joined, and the error says why`, async (t) => {
    const room = await openEmptyRoom(t)
    const url = await secured(t, room, certificate())
    const { session } = speak(t, room, { url })
    await assert.rejects(session.connect(), (error) => {
      assert.equal(error.code, 'ERR_JOIN_FAILED')
      assert.match(error.message, reason)
      assert.ok(error.message.includes(new URL(url).host), error.message)
      return true
    })
  })
}
