'use strict'

// Servers that are unreachable or busy for a moment, and others whose refusal is final.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { test } = require('node:test')

const { serve, serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clip = tone(440, 100)

async function play(t, request, options) {
  const { session } = open(t, options)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return playing
}

for (const status of [429, 502, 503, 504]) {
  test(`a server that answers ${status} is asked again`, async (t) => {
    const seen = []
    const url = await serve(t, ({ url }, response) => {
      seen.push(url)
      if (seen.length < 3) return response.writeHead(status, seen.length === 1 ? { 'retry-after': '0' } : {}).end('later')
      response.end(clip)
    })
    assert.equal((await play(t, { audioUrl: `${url}/a.wav` })).outcome, 'completed')
    assert.equal(seen.length, 3)
  })
}

for (const [what, status, headers, asked] of [
  ['403', 403, {}, 1],
  ['404', 404, { 'retry-after': '0' }, 1],
  ['410', 410, {}, 1],
  ['500', 500, {}, 1],
  ['503 forever', 503, {}, 4],
  ['503 with a wait longer than fetchTimeoutMs', 503, { 'retry-after': '3600' }, 1],
  ['503 with a later date', 503, { 'retry-after': 'Fri, 31 Dec 2100 23:59:59 GMT' }, 1],
  ['503 with an invalid wait', 503, { 'retry-after': 'soon' }, 4]
]) {
  test(`${what} is an error after ${asked} ${asked === 1 ? 'request' : 'requests'}`, async (t) => {
    let count = 0
    const url = await serve(t, (request, response) => {
      count++
      response.writeHead(status, headers).end()
    })
    const { code, message } = await play(t, { audioUrl: `${url}/a.wav` })
    assert.equal(code, 'ERR_HTTP_STATUS')
    assert.ok(message.includes(`${status}`), message)
    assert.equal(count, asked)
  })
}

test('honours Retry-After in seconds and as a date', async (t) => {
  for (const after of ['1', new Date(Date.now() + 1500).toUTCString()]) {
    const times = []
    const url = await serve(t, (request, response) => {
      times.push(performance.now())
      if (times.length === 1) return response.writeHead(429, { 'retry-after': after }).end()
      response.end(clip)
    })
    assert.equal((await play(t, { audioUrl: `${url}/a.wav` })).outcome, 'completed', after)
    assert.equal(times.length, 2)
  }
})

test('retries a server that is not up yet', async (t) => {
  const server = http.createServer((request, response) => response.end(clip)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  const playing = play(t, { audioUrl: `http://127.0.0.1:${port}/a.wav` })
  // It listens after the first attempt was refused, and long before the last one.
  await new Promise((resolve) => setTimeout(resolve, 50))
  server.listen(port, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  assert.equal((await playing).outcome, 'completed')
})

test('retries an unanswered connection, also after a redirect', async (t) => {
  const seen = []
  const url = await serveBytes(t, (socket, { path }) => {
    seen.push(path)
    if (path === '/first') return socket.end('HTTP/1.1 302 Found\r\nlocation: /second\r\ncontent-length: 0\r\n\r\n')
    if (seen.length < 5) return socket.destroy()
    socket.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), clip]))
  })
  assert.equal((await play(t, { audioUrl: `${url}/first` })).outcome, 'completed')
  assert.deepEqual(seen, ['/first', '/second', '/second', '/second', '/second'])
})

test('fetchTimeoutMs covers all attempts together', async (t) => {
  let count = 0
  const url = await serve(t, (request, response) => {
    if (count++ === 0) response.writeHead(503, { 'retry-after': '0' }).end()
  })
  assert.equal((await play(t, { audioUrl: url }, { fetchTimeoutMs: 700 })).code, 'ERR_FETCH_TIMEOUT')
  assert.equal(count, 2)
})

test('a stop ends a pending retry', async (t) => {
  let count = 0
  const asked = new Promise((resolve) => {
    serve(t, (request, response) => {
      count++
      response.writeHead(503, { 'retry-after': '2' }).end()
      resolve()
    }).then((url) => (playing = session.playAudio({ requestId: 'it', audioUrl: url })))
  })
  let playing
  const { session } = open(t, { output: { clock: 'realtime' } })
  await asked
  await session.stopAudio({ requestId: 'it' })
  assert.equal((await playing).outcome, 'stopped')
  await new Promise((resolve) => setTimeout(resolve, 3000))
  assert.equal(count, 1)
})
