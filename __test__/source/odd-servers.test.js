'use strict'

// Servers that violate HTTP in ways that curl, ffmpeg and browsers tolerate.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { serve, serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clip = tone(440, 100)
const mp3 = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))
const many = (count) => Array.from({ length: count }, (_, n) => `x-header-${n}: ${n}\r\n`).join('')
const sized = `content-length: ${clip.length}\r\n`

async function hear(t, request) {
  const { session, heard } = open(t)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

for (const [what, head] of [
  ['120 headers', `HTTP/1.1 200 OK\r\n${many(120)}${sized}\r\n`],
  ['950 headers', `HTTP/1.1 200 OK\r\n${many(950)}${sized}\r\n`],
  ['a space before a colon', `HTTP/1.1 200 OK\r\nContent-Length : ${clip.length}\r\nX-Other \t: 1\r\n\r\n`],
  ['a line that is not a header', `HTTP/1.1 200 OK\r\nthis is none\r\nX{}: 1\r\n${sized}\r\n`],
  ['a status without a reason', `HTTP/1.1 200\r\n${sized}\r\n`],
  ['HTTP/1.0 without a length', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['lines ending in bare LF', `HTTP/1.1 200 OK\n${sized.replace('\r', '')}\n`],
  ['the status line ICY 200 OK', 'ICY 200 OK\r\nicy-name:x\r\n\r\n'],
  ['the status line ICY 200 OK, with LF alone', 'ICY 200 OK\nContent-Type: audio/wav\n\n'],
  ['the same length twice', `HTTP/1.1 200 OK\r\n${sized}${sized}\r\n`]
]) {
  test(`accepts an answer with ${what}`, async (t) => {
    for (const size of [1, 1 << 20]) {
      let count = 0
      const url = await serveBytes(t, (socket) => {
        // A station that breaks off is asked again: then it is gone.
        if (count++ > 0) return socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
        const answer = Buffer.concat([Buffer.from(head), clip])
        for (let at = 0; at < 300; at += size) socket.write(answer.subarray(at, Math.min(at + size, 300)))
        socket.end(answer.subarray(300))
      })
      const { result, samples } = await hear(t, { audioUrl: `${url}/a.wav` })
      if (head.startsWith('ICY')) assert.match(`${result.code} ${result.message}`, /ERR_TRUNCATED .*404/)
      else assert.equal(result.outcome, 'completed', result.message)
      assert.deepEqual(samples.subarray(0, 4000), (await hear(t, { audio: clip })).samples.subarray(0, 4000))
    }
  })
}

for (const [what, answer] of [
  ['1,100 headers', `HTTP/1.1 200 OK\r\n${many(1100)}${sized}\r\n`],
  ['no status at all', `${'RIFF'.repeat(100)}\r\n\r\n`],
  ['ICY and endless headers', `ICY 200 OK\r\n${many(8000)}`],
  ['ICY and no status', 'ICY okay\r\n\r\n'],
  ['nothing', '']
]) {
  test(`rejects an answer with ${what}`, async (t) => {
    const url = await serveBytes(t, (socket) => socket.end(answer))
    const { result } = await hear(t, { audioUrl: `${url}/a.wav` })
    assert.equal(result.code, 'ERR_FETCH_FAILED', result.message)
  })
}

test('ICY with another status is that status', async (t) => {
  const url = await serveBytes(t, (socket) => socket.end('ICY 401 Unauthorized\r\n\r\nno'))
  const { result } = await hear(t, { audioUrl: url })
  assert.equal(result.code, 'ERR_HTTP_STATUS')
  assert.match(result.message, /401 Unauthorized/)
})

test('retries when a kept connection was closed', async (t) => {
  // It announces no close, answers one request and closes: a redirect to the same host finds a dead connection.
  let count = 0
  const url = await serveBytes(t, (socket, { path, beforeOnConnection }) => {
    count++
    if (beforeOnConnection > 0) return socket.destroy()
    const answer = path === '/a.wav' ? Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${sized}\r\n`), clip]) : Buffer.from('HTTP/1.1 302 Found\r\nlocation: /a.wav\r\ncontent-length: 0\r\n\r\n')
    socket.write(answer)
    socket.end()
  })
  const { session } = open(t, { maxConcurrent: 60 })
  const playing = Array.from({ length: 50 }, () => session.playAudio({ audioUrl: `${url}/first`, stopOther: false }))
  await finish(session)
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
  assert.ok(count >= 100)
})

test("a redirect's cookie goes back to its server only", async (t) => {
  const seen = []
  const other = await serve(t, ({ headers }, response) => {
    seen.push(['other', headers.cookie])
    response.end(clip)
  })
  const url = await serve(t, ({ url, headers }, response) => {
    seen.push([url, headers.cookie])
    if (url === '/a.wav' && !headers.cookie?.includes('seen=planted')) {
      return response.writeHead(302, { location: '/a.wav', 'set-cookie': ['seen=plantedplanted; Path=/; HttpOnly', 'no=1; Domain=example.com'] }).end()
    }
    if (url === '/a.wav') return response.writeHead(302, { location: other.replace('127.0.0.1', 'localhost') }).end()
    response.writeHead(404).end()
  })
  const { result } = await hear(t, { audioUrl: `${url}/a.wav`, headers: { Cookie: 'own=1' } })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(seen, [['/a.wav', 'own=1'], ['/a.wav', 'own=1; seen=plantedplanted'], ['other', undefined]])
  seen.length = 0
  await hear(t, { audioUrl: `${url}/a.wav` })
  assert.deepEqual(seen[0], ['/a.wav', undefined], 'nothing is kept for another fetch')
})

test("no error shows a cookie's value", async (t) => {
  const url = await serve(t, ({ url }, response) => {
    if (url === '/a') return response.writeHead(302, { location: '/b', 'set-cookie': 'id=plantedSecret' }).end()
    response.statusMessage = 'no plantedSecret'
    response.writeHead(410, { 'content-type': 'text/plantedSecret' }).end()
  })
  const { result } = await hear(t, { audioUrl: `${url}/a` })
  assert.equal(result.code, 'ERR_HTTP_STATUS')
  assert.ok(!result.message.includes('planted'), result.message)
})

for (const length of ['1099511627776', '9223372036854775807', '2147483647', '4294967295']) {
  test(`a length of ${length} bytes counts as endless`, async (t) => {
    let count = 0
    const url = await serveBytes(t, (socket) => {
      if (count++ > 0) return socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
      socket.end(Buffer.concat([Buffer.from(`HTTP/1.0 200 OK\r\ncontent-length: ${length}\r\n\r\n`), mp3]))
    })
    const { result, samples } = await hear(t, { audioUrl: url })
    // It counts as endless, but ended.
    assert.equal(result.code, 'ERR_TRUNCATED', result.message)
    assert.ok(samples.length > 40_000)
  })
}

test('refuses a length over the limit at once', async (t) => {
  const url = await serveBytes(t, (socket) => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${300 << 20}\r\n\r\n`))
  assert.equal((await hear(t, { audioUrl: url })).result.code, 'ERR_SOURCE_TOO_LARGE')
})
