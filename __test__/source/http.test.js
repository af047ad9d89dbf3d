'use strict'

// Audio over HTTP, from a real server on loopback that misbehaves on request.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { test } = require('node:test')

const { serve } = require('../support/server')
const { open, finish } = require('../support/session')
const { level, tone } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)
const clip = tone(440, 1000)

async function rejects(t, audioUrl, expected, options) {
  const { session, terminal } = open(t, options)
  const playing = session.playAudio({ requestId: 'it', audioUrl })
  await Promise.all([assert.rejects(playing, expected), finish(session)])
  assert.deepEqual(terminal('it').map(({ type }) => type), ['failed'])
}

test('plays while it downloads', async (t) => {
  const body = readFileSync(fixture('tone-cbr.mp3'))
  let more
  const url = await serve(t, (request, response) => {
    response.setHeader('content-type', 'audio/mpeg')
    response.write(body.subarray(0, 4096))
    more = () => response.end(body.subarray(4096))
  })
  const { session } = open(t, { output: { clock: 'realtime' } })
  const playing = session.playAudio({ audioUrl: url })
  await once(session, 'started') // nothing more was sent
  more()
  assert.equal((await playing).outcome, 'completed')
})

test('a signed URL with an unhelpful content type plays', async (t) => {
  const url = await serve(t, (request, response) => {
    response.setHeader('content-type', 'application/octet-stream')
    response.end(readFileSync(fixture('tone-vbr.mp3')))
  })
  const { session, heard } = open(t)
  session.playAudio({ audioUrl: `${url}/speech.mp3?sig=a.b%2Fc` })
  await finish(session)
  assert.ok(Math.abs(level(heard(), 9600, 38400, 1000) - 0.5) < 0.02)
})

test('HTTP, a file and memory give the same samples', async (t) => {
  const url = await serve(t, (request, response) => {
    const body = readFileSync(fixture(request.url.slice(1)))
    // In chunks that fit no packet.
    for (let at = 0; at < body.length; at += 777) response.write(body.subarray(at, at + 777))
    response.end()
  })
  for (const name of ['tone-id3.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone.aac']) {
    const all = []
    for (const from of [{ audioUrl: `${url}/${name}` }, { audioUrl: fixture(name) }, { audio: readFileSync(fixture(name)) }]) {
      const { session, heard } = open(t)
      const playing = session.playAudio(from)
      await finish(session)
      assert.equal((await playing).outcome, 'completed', name)
      all.push(heard())
    }
    assert.deepEqual(all[1], all[2], `${name}: file and memory`)
    assert.deepEqual(all[0], all[2], `${name}: HTTP and memory`)
  }
})

test('follows redirects, but not in circles', async (t) => {
  const url = await serve(t, (request, response) => {
    const left = Number(request.url.slice(1))
    if (left === 0) return response.end(clip)
    response.writeHead(302, { location: request.url === '/circle' ? '/circle' : `/${left - 1}` }).end()
  })
  const { session } = open(t)
  const playing = session.playAudio({ audioUrl: `${url}/5` })
  await finish(session)
  assert.equal((await playing).durationMs, 1000)
  await rejects(t, `${url}/circle`, { code: 'ERR_TOO_MANY_REDIRECTS' })
})

test('bad status, empty body and HTML have error codes', async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/gone') return response.writeHead(410).end('gone')
    if (request.url === '/empty') return response.end()
    response.setHeader('content-type', 'text/html')
    response.end('<html>'.repeat(1000))
  })
  await rejects(t, `${url}/gone`, { code: 'ERR_HTTP_STATUS', message: /received 410/ })
  await rejects(t, `${url}/empty`, { code: 'ERR_EMPTY_SOURCE' })
  await rejects(t, `${url}/page`, { code: 'ERR_UNSUPPORTED_FORMAT', message: /text\/html/ })
})

test('fetchTimeoutMs ends silent servers', async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/half') response.write(clip.subarray(0, 44 + 48_000))
  })
  const options = { fetchTimeoutMs: 300 }
  await rejects(t, `${url}/nothing`, { code: 'ERR_FETCH_TIMEOUT', positionMs: 0 }, options)
  // What came before is played, and its position is reported.
  await rejects(t, `${url}/half`, (error) => error.code === 'ERR_FETCH_TIMEOUT' && error.positionMs > 400, options)
})

test('a truncated body is played, then fails', async (t) => {
  const url = await serve(t, (request, response) => {
    response.setHeader('content-length', clip.length)
    response.write(clip.subarray(0, 44 + 48_000), () => response.destroy())
  })
  await rejects(t, url, (error) => error.code === 'ERR_TRUNCATED' && error.positionMs > 400)
})

test('refused connections and unknown hosts have error codes', async (t) => {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  const refused = /^audioUrl can't be fetched from 127\.0\.0\.1:\d+: Connection refused/
  await rejects(t, `http://planted:planted@127.0.0.1:${port}/planted.mp3?key=planted`, ({ code, message }) => {
    return code === 'ERR_FETCH_FAILED' && refused.test(message) && !message.includes('planted')
  })
  const message = "audioUrl can't be fetched from no-such-host.invalid:80: no such host"
  await rejects(t, 'http://no-such-host.invalid/a.mp3', { code: 'ERR_FETCH_FAILED', message })
})

test('loopback names need no name server', async (t) => {
  const { port } = new URL(await serve(t, (request, response) => response.end(clip)))
  for (const host of ['localhost', 'cdn.localhost', 'my_service.LOCALHOST']) {
    const { session } = open(t)
    const playing = session.playAudio({ audioUrl: `http://${host}:${port}/a.wav` })
    await finish(session)
    assert.equal((await playing).outcome, 'completed', host)
  }
})

test('the last label of a host is not an extension', async (t) => {
  const url = await serve(t, (request, response) => response.end(Buffer.alloc(5000, 'no audio ')))
  await rejects(t, url, ({ code, message }) => code === 'ERR_UNSUPPORTED_FORMAT' && !message.includes('.1:'))
  await rejects(t, `${url}/a.ogg?x=b.mp3`, { code: 'ERR_UNSUPPORTED_FORMAT', message: /\.ogg/ })
})

test('https to a plain HTTP server fails', async (t) => {
  const url = await serve(t, (request, response) => response.end(clip))
  await rejects(t, url.replace('http', 'https'), { code: 'ERR_FETCH_FAILED', message: /from 127\.0\.0\.1:\d+: received corrupt message/ })
})

test('sends the headers of the request', async (t) => {
  const seen = []
  const url = await serve(t, (request, response) => {
    seen.push(request.headers)
    response.end(clip)
  })
  const { session } = open(t)
  session.playAudio({ audioUrl: url, headers: { Authorization: 'Bearer x', 'X-Tenant': '7' } })
  await finish(session)
  assert.equal(seen.length, 1)
  assert.equal(seen[0].authorization, 'Bearer x')
  assert.equal(seen[0]['x-tenant'], '7')
  assert.match(seen[0]['user-agent'], /^speaker-session\//)
})

test('stop while loading cancels the download', async (t) => {
  let closed
  const requested = new Promise((resolve) => {
    serve(t, (request, response) => {
      closed = once(response, 'close')
      response.flushHeaders()
      resolve()
    }).then((url) => {
      opened.session.playAudio({ requestId: 'slow', audioUrl: url }).then(outcome)
    })
  })
  const opened = open(t, { output: { clock: 'realtime' } })
  let outcome
  const ended = new Promise((resolve) => (outcome = resolve))
  await requested
  assert.deepEqual(await opened.session.stopAudio({ requestId: 'slow' }), { stopped: ['slow'] })
  assert.deepEqual(await ended, {
    requestId: 'slow', outcome: 'stopped', reason: 'stopped', durationMs: 0, positionMs: 0
  })
  await closed
  assert.deepEqual(opened.of('slow').length, 1, 'never started')
})

test('slow downloads delay nobody else', async (t) => {
  const url = await serve(t, (request, response) => response.write(clip.subarray(0, 44 + 96)))
  const { session, of } = open(t, { output: { clock: 'realtime' }, maxConcurrent: 60 })
  for (let n = 0; n < 50; n++) session.playAudio({ requestId: `slow${n}`, audioUrl: url, stopOther: false })
  const local = await session.playAudio({ requestId: 'local', audio: tone(440, 200), stopOther: false })
  assert.equal(local.durationMs, 200)
  assert.equal(of('slow0').length, 0)
})
