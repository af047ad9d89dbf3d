'use strict'

// The `http` output: the encoded mix, served to any number of clients.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { decode, pagesOf } = require('../support/encoded')
const { open } = require('../support/session')
const { level, tone } = require('../support/wav')

/** Opens a session that is served, and returns its URL too. */
async function served(t, output) {
  const opened = open(t, { output: { type: 'http', codec: 'opus', ...output } })
  await opened.session.connect()
  return { ...opened, url: opened.session.url }
}

/** Sends a request. Returns the response and a promise of its body. */
async function get(url, options) {
  const request = http.request(url, { agent: false, ...options }).end()
  const [response] = await once(request, 'response')
  const chunks = []
  response.on('data', (chunk) => chunks.push(chunk)).on('error', () => {}) // it was cut off
  const body = new Promise((resolve) => response.once('close', resolve)).then(() => ({ bytes: Buffer.concat(chunks), complete: response.complete }))
  return { request, response, body, received: () => chunks.reduce((sum, { length }) => sum + length, 0) }
}

/** Waits until a connection is closed, by a reset too. */
const closed = (socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))

/** Sends bytes as they are. Returns all that comes back until the connection ends, and whether it was reset. */
async function raw(url, bytes) {
  const { hostname, port } = new URL(url)
  const socket = net.connect(port, hostname)
  const chunks = []
  let isReset = false
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => (isReset = true))
  socket.write(bytes)
  await closed(socket)
  return { answer: Buffer.concat(chunks).toString('latin1'), isReset }
}

test('a client gets the mix, from headers to end', async (t) => {
  for (const [codec, type] of [['opus', 'audio/ogg; codecs=opus'], ['mp3', 'audio/mpeg'], ['wav', 'audio/wav']]) {
    const { session, url } = await served(t, { codec, path: '/radio' })
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/radio$/)
    const { response, body } = await get(url)
    assert.equal(response.statusCode, 200)
    const { 'content-type': contentType, 'cache-control': cache, 'accept-ranges': ranges, 'content-length': length } = response.headers
    assert.deepEqual([contentType, cache, ranges, length], [type, 'no-store', 'none', undefined])
    session.playAudio({ audio: tone(440, 1000) })
    await session.advance(2000)
    await session.close()
    const { bytes, complete } = await body
    assert.ok(complete, 'it ends as HTTP wants')
    if (codec === 'opus') assert.equal(pagesOf(bytes).at(-1).flags, 4)
    const { samples } = await decode(bytes)
    assert.ok(Math.abs(level(samples, 48000, 60000, 440) - 0.3) < 0.005)
    assert.ok(Math.abs(samples.length - 2500 * 48) < 80 * 48)
  }
})

test('the session plays what it serves', async (t) => {
  const { session, url } = await served(t, { codec: 'mp3', clock: 'realtime' })
  const listener = new SpeakerSession({ output: { type: 'memory' } })
  t.after(() => listener.close())
  const heard = listener.playAudio({ audioUrl: url })
  await heard.started
  await session.playAudio({ audio: tone(660, 500) })
  await session.close()
  assert.equal((await heard).outcome, 'completed')
  const { samples } = listener.recording()
  let loudest = 0
  for (let from = 0; from + 4800 <= samples.length; from += 480) loudest = Math.max(loudest, level(samples, from, from + 4800, 660))
  assert.ok(Math.abs(loudest - 0.3) < 0.01, `${loudest}`)
})

test('requests are answered as HTTP wants', async (t) => {
  const { session, url } = await served(t, { path: '/live/a%20b', codec: 'mp3' })
  const { origin } = new URL(url)
  const cases = [
    [url, { method: 'HEAD' }, 200, ''],
    [`${url}?t=1`, { method: 'HEAD' }, 200, ''],
    [url, { method: 'POST' }, 405, 'Method Not Allowed\n'],
    [url, { method: 'DELETE' }, 405, 'Method Not Allowed\n'],
    [url, { method: 'OPTIONS' }, 405, 'Method Not Allowed\n'],
    [`${origin}/`, {}, 404, 'Not Found\n'],
    [`${origin}/live/a%20b/`, {}, 404, 'Not Found\n'],
    [`${origin}/live/../live/a b`.replace(' ', '+'), {}, 404, 'Not Found\n'],
    [`${origin}/favicon.ico`, {}, 404, 'Not Found\n']
  ]
  for (const [target, options, status, text] of cases) {
    const { response, body } = await get(target, options)
    assert.equal(response.statusCode, status, `${options.method ?? 'GET'} ${target}`)
    assert.equal(`${(await body).bytes}`, text)
    assert.equal(response.headers['cache-control'], 'no-store')
    if (status === 405) assert.equal(response.headers.allow, 'GET, HEAD')
  }
  // Nobody has listened.
  const playing = session.playAudio({ audio: tone(440, 100) })
  await session.advance(200)
  assert.equal((await playing).unheardMs, 100)
})

test('hostile requests harm nobody', async (t) => {
  const { session, url } = await served(t, { codec: 'mp3' })
  const { host } = new URL(url)
  const one = await get(url)
  const lines = [
    ['', ''],
    ['GARBAGE\r\n\r\n', '400'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400'],
    ['GET / HTTP/1.1\r\n\r\n', '400'], // without Host
    [`GET / HTTP/1.1\r\nHost: ${host}\r\nX: ${'x'.repeat(1 << 17)}\r\n\r\n`, '431'],
    [`GET ${'/a'.repeat(1 << 16)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, '431'],
    [`GET * HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, '404'],
    [`GET //evil/%00 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, '404'],
    [`GET http://evil.example/other HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, '404'],
    [`CONNECT evil.example:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`, ''],
    [`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: -1\r\n\r\n`, '400'],
    [`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, '400'],
    [`POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`, '4']
  ]
  for (const [bytes, status] of lines) {
    const { hostname, port } = new URL(url)
    if (status !== '') {
      const { answer, isReset } = await raw(url, bytes)
      // A server that has not read all of a request resets the connection, and the answer may be lost with it.
      const isLost = isReset && answer === ''
      assert.ok(isLost || answer.startsWith(`HTTP/1.1 ${status}`), `${bytes.slice(0, 60)}: ${answer.slice(0, 60)}`)
      continue
    }
    const socket = net.connect(port, hostname)
    socket.end(bytes)
    await closed(socket)
  }
  // Requests behind one whose response has no end.
  const eager = net.connect(Number(new URL(url).port), '127.0.0.1').resume()
  eager.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(1000))
  await closed(eager)
  // Whole URLs, and clients of HTTP/1.0, which know no chunks.
  const { hostname, port } = new URL(url)
  const old = net.connect(port, hostname)
  const chunks = []
  old.on('data', (chunk) => chunks.push(chunk))
  old.write(`GET ${url} HTTP/1.0\r\n\r\n`)
  await once(old, 'data')
  await session.advance(1000)
  await session.close()
  if (!old.closed) await once(old, 'close')
  const answer = Buffer.concat(chunks)
  const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 200 /)
  assert.ok(!/transfer-encoding/i.test(answer.toString('latin1', 0, answer.indexOf('\r\n\r\n'))))
  const { bytes } = await one.body
  assert.ok(bytes.equals(body), `${bytes.length}, ${body.length}`)
})

test('a client that leaves is not heard any more', async (t) => {
  const { session, url, terminal } = await served(t)
  const [leaving, staying] = [await get(url), await get(url)]
  session.playAudio({ requestId: 'a', audio: tone(440, 300) })
  await session.advance(400)
  leaving.request.destroy()
  await leaving.body
  session.playAudio({ requestId: 'b', audio: tone(440, 300) })
  await session.advance(400)
  staying.request.destroy()
  await staying.body
  // The server learns of it a moment later.
  do {
    await sleep(5)
    session.playAudio({ requestId: 'c', audio: tone(440, 300) })
    await session.advance(400)
  } while (terminal('c').at(-1).unheardMs !== 300)
  assert.deepEqual(['a', 'b'].map((id) => terminal(id)[0].unheardMs), [undefined, undefined])
})

test('a client that does not read delays nobody', async (t) => {
  const { session, url } = await served(t, { codec: 'wav', channels: 2, clock: 'realtime', burstMs: 5000 })
  const { hostname, port } = new URL(url)
  const idle = net.connect(port, hostname)
  idle.pause()
  idle.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
  const reading = await get(url)
  const { durationMs, unheardMs } = await session.playAudio({ audio: tone(440, 1000) })
  assert.deepEqual([durationMs, unheardMs], [1000, undefined])
  await session.close()
  const { bytes, complete } = await reading.body
  assert.ok(complete)
  const { samples } = await decode(bytes, 2)
  const left = samples.filter((_, n) => n % 2 === 0)
  const first = left.findIndex((sample) => Math.abs(sample) > 0.01)
  const heard = level(left, first, first + 43200, 440)
  assert.ok(Math.abs(heard - 0.3) < 0.003, `all of the second is there, without a gap: ${heard}, from ${first / 48} ms of ${left.length / 48}`)
  idle.destroy()
})

test('closing in the middle ends each response', async (t) => {
  const { session, url } = await served(t, { clock: 'realtime', codec: 'mp3' })
  const clients = await Promise.all(Array.from({ length: 10 }, () => get(url)))
  const playing = session.playAudio({ audio: tone(440, 60000) })
  await playing.started
  await session.close()
  for (const { body } of clients) {
    const { bytes, complete } = await body
    assert.ok(complete && bytes.length % 384 === 0, `${bytes.length} bytes`)
  }
  assert.equal((await playing).outcome, 'stopped')
  await assert.rejects(get(url), { code: 'ECONNREFUSED' })
})

test('no client is accepted while the session drains', async (t) => {
  const { session, url } = await served(t, { clock: 'realtime' })
  session.playAudio({ audio: tone(440, 500) })
  const closing = session.close({ drain: true })
  const { response, body } = await get(url)
  await body
  assert.equal(response.statusCode, 503)
  await closing
})

test('a port that is taken is an error of the output', async (t) => {
  const { session, url } = await served(t)
  const port = Number(new URL(url).port)
  for (const clock of ['manual', 'realtime']) {
    const { session: other } = open(t, { output: { type: 'http', codec: 'opus', port, clock } })
    const refusal = { code: 'ERR_OUTPUT', message: /EADDRINUSE|in use/ }
    await assert.rejects(other.connect(), refusal)
    await assert.rejects(other.playAudio({ audio: tone(440, 100) }), refusal)
    assert.equal(other.url, undefined)
  }
  await session.close()
  const { session: next } = open(t, { output: { type: 'http', codec: 'opus', port } })
  await next.connect()
  assert.equal(next.url, url)
})

test('an address of IPv6 is written as in URLs', async (t) => {
  const { session } = open(t, { output: { type: 'http', codec: 'opus', host: '::1' } })
  const connected = await session.connect().then(() => true, ({ message }) => message)
  if (connected !== true) return t.skip(connected)
  assert.match(session.url, /^http:\/\/\[::1\]:\d+\/$/)
  const { response } = await get(session.url, { method: 'HEAD' })
  assert.equal(response.statusCode, 200)
})
