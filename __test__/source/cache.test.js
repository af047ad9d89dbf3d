'use strict'

// `SpeakerSession.cache`: what one playback fetched serves the others, as far as its server allows.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { afterEach, test } = require('node:test')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { gzipSync } = require('node:zlib')
const client = require('prom-client')

const { SpeakerSession } = require('../..')
const { collectMetrics } = require('../../adapters/metrics')
const { run } = require('../support/process')
const { serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const MIB = 2 ** 20
const clip = tone(440, 1000)
const other = tone(880, 1000)

afterEach(() => SpeakerSession.cache({ maxBytes: 0 }))

/** Returns what was counted since the last call. */
function counting() {
  let before = SpeakerSession.cache()
  return () => {
    const now = SpeakerSession.cache()
    const counted = ['hits', 'joined', 'revalidated', 'misses'].map((name) => [name, now[name] - before[name]])
    before = now
    return Object.fromEntries(counted.filter(([, count]) => count > 0))
  }
}

/** A server that answers with `answer(request, response, n)` and records its requests. */
async function serving(t, answer) {
  const asked = []
  const server = http.createServer((request, response) => {
    asked.push(request)
    response.on('error', () => {})
    answer(request, response, asked.length - 1)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, asked }
}

async function hear(t, request, options) {
  const { session, heard } = open(t, options)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

/** Plays a request and asserts that it sounds as these bytes do. */
async function sounds(t, request, body = clip, options) {
  const { result, samples } = await hear(t, request, options)
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(samples, (await hear(t, { audio: body })).samples)
}

/** Waits until the condition is true. */
async function until(condition) {
  while (!condition()) await sleep(5)
}

test('refuses invalid options and reports its content', () => {
  for (const [options, message] of [
    [null, /^Expected an object for cache but received null$/],
    [{ bytes: 1 }, /^Expected only maxBytes for the options of cache but received 'bytes'/],
    [{ maxBytes: -1 }, /^Expected an integer from 0 to 1099511627776 for maxBytes but received -1/],
    [{ maxBytes: 1.5 }, /^Expected an integer/],
    [{ maxBytes: '1' }, /^Expected an integer/],
    [{ maxBytes: 2 ** 40 + 1 }, /^Expected an integer/]
  ]) {
    assert.throws(() => SpeakerSession.cache(options), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  const { maxBytes, bytes, entries, ...counted } = SpeakerSession.cache()
  assert.deepEqual([maxBytes, bytes, entries], [0, 0, 0])
  assert.deepEqual(Object.keys(counted).sort(), ['hits', 'joined', 'misses', 'revalidated'])
  assert.equal(SpeakerSession.cache({ maxBytes: MIB }).maxBytes, MIB)
  assert.equal(SpeakerSession.cache({}).maxBytes, MIB)
})

test('a thousand sessions of one URL fetch it once', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const { url, asked } = await serving(t, (_, response) => {
    setTimeout(() => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip), 50)
  })
  const sessions = Array.from({ length: 1000 }, () => open(t))
  const playing = sessions.map(({ session }) => session.playAudio({ audioUrl: `${url}/a.wav` }))
  await Promise.all(sessions.map(({ session }) => finish(session)))
  for (const result of await Promise.all(playing)) assert.equal(result.outcome, 'completed')
  const whole = (await hear(t, { audio: clip })).samples
  for (const { heard } of sessions) assert.deepEqual(heard(), whole)
  assert.equal(asked.length, 1)
  const { misses, joined = 0, hits = 0 } = counted()
  assert.deepEqual([misses, joined + hits], [1, 999])
  await sounds(t, { audioUrl: `${url}/a.wav#fragment` })
  assert.deepEqual([asked.length, counted()], [1, { hits: 1 }])
  const { bytes, entries } = SpeakerSession.cache()
  assert.ok(entries === 1 && bytes >= clip.length && bytes < clip.length + 4096, `${bytes}`)
  assert.deepEqual([SpeakerSession.cache({ maxBytes: 0 }).bytes, SpeakerSession.cache().entries], [0, 0])
  await sounds(t, { audioUrl: `${url}/a.wav` })
  assert.deepEqual([asked.length, counted()], [2, {}])
})

test('metrics and Prometheus show the cache', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const register = new client.Registry()
  collectMetrics({ register })
  const { url } = await serving(t, (_, response) => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip))
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  const { cache } = SpeakerSession.metrics()
  assert.deepEqual(cache, SpeakerSession.cache())
  const shown = await register.metrics()
  const value = (name) => Number(shown.split('\n').find((line) => line.startsWith(`${name} `)).slice(name.length))
  assert.deepEqual([value('server_playback_cache_entries'), value('server_playback_cache_bytes')], [1, cache.bytes])
  for (const [result, count] of [['hit', cache.hits], ['joined', cache.joined], ['revalidated', cache.revalidated], ['miss', cache.misses]]) {
    assert.equal(value(`server_playback_cache_requests_total{result="${result}"}`), count)
  }
})

test('without the cache each session fetches by itself', async (t) => {
  const { url, asked } = await serving(t, (_, response) => response.writeHead(200, { 'cache-control': 'max-age=60' }).end(clip))
  const counted = counting()
  for (let n = 0; n < 3; n++) await sounds(t, { audioUrl: `${url}/a.wav` })
  assert.deepEqual([asked.length, counted()], [3, {}])
})

/** Long enough ago that heuristic freshness is not a matter of seconds. */
const LONG_AGO = 'Sun, 06 Nov 1994 08:49:37 GMT'
const hour = () => new Date(Date.now() + 3_600_000).toUTCString()

for (const [what, headers, requests, statuses] of [
  ['max-age', { 'cache-control': 'max-age=60' }, 1],
  ['s-maxage', { 'cache-control': 'max-age=0, s-maxage=60' }, 1],
  ['Expires', { expires: hour() }, 1],
  ['Last-Modified', { 'last-modified': LONG_AGO }, 1],
  ['immutable', { 'cache-control': 'immutable' }, 1],
  ['public, with a cookie', { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' }, 1],
  ['Vary by equal headers', { 'cache-control': 'max-age=60', vary: 'accept-encoding, origin' }, 1],
  ['nothing', {}, 3],
  ['no-store', { 'cache-control': 'no-store', etag: '"a"' }, 3],
  ['No-Store in capitals', { 'cache-control': 'max-age=60, No-Store' }, 3],
  ['private', { 'cache-control': 'private, max-age=60', etag: '"a"' }, 3],
  ['a cookie', { 'cache-control': 'max-age=60', 'set-cookie': 'a=b' }, 3],
  ['Vary by everything', { 'cache-control': 'max-age=60', vary: '*' }, 3],
  ['a huge Age', { 'cache-control': 'max-age=60', age: '18446744073709551615' }, 3],
  ['an invalid Expires', { expires: '0' }, 3],
  ['max-age=0 and an ETag', { 'cache-control': 'max-age=0', etag: '"a"' }, 3, [200, 304, 304]],
  ['no-cache and an ETag', { 'cache-control': 'no-cache', etag: 'W/"a"' }, 3, [200, 304, 304]],
  ['an ETag alone', { etag: '"a"' }, 3, [200, 304, 304]],
  ['must-revalidate and a date', { 'cache-control': 'max-age=0, must-revalidate', 'last-modified': LONG_AGO }, 3, [200, 304, 304]]
]) {
  test(`follows the server's caching headers: ${what}`, async (t) => {
    SpeakerSession.cache({ maxBytes: 16 * MIB })
    const counted = counting()
    const sent = []
    const { url, asked } = await serving(t, (request, response) => {
      const isSame = headers.etag ? request.headers['if-none-match'] === headers.etag : request.headers['if-modified-since'] === LONG_AGO
      const status = isSame && statuses ? 304 : 200
      sent.push(status)
      if (status === 304) response.writeHead(304).end()
      else response.writeHead(200, { 'content-length': clip.length, ...headers }).end(clip)
    })
    for (let n = 0; n < 3; n++) await sounds(t, { audioUrl: `${url}/a.wav` })
    assert.equal(asked.length, requests)
    assert.deepEqual(counted(), statuses ? { misses: 1, revalidated: 2 } : requests === 1 ? { misses: 1, hits: 2 } : { misses: 3 })
    if (statuses) assert.deepEqual(sent, statuses)
    else assert.ok(asked.every(({ headers }) => !('if-none-match' in headers) && !('if-modified-since' in headers)))
  })
}

test('plays a changed body in its new version', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const { url } = await serving(t, (request, response, n) => {
    const [body, etag] = n < 2 ? [clip, '"one"'] : [other, '"two"']
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end()
    else response.writeHead(200, { 'content-length': body.length, etag, 'cache-control': 'max-age=0' }).end(body)
  })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await sounds(t, { audioUrl: `${url}/a.wav` }, other)
  await sounds(t, { audioUrl: `${url}/a.wav` }, other)
  assert.deepEqual(counted(), { misses: 2, revalidated: 2 })
})

test('requests a stale body again', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const { url, asked } = await serving(t, (_, response) => {
    response.sendDate = false
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=2', age: '1' }).end(clip)
  })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await sleep(2100)
  await sounds(t, { audioUrl: `${url}/a.wav` })
  assert.deepEqual([asked.length, counted()], [2, { misses: 2 }])
})

test('rejects a mismatched or unsolicited 304', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (request, response, n) => {
    if (request.url === '/unasked.wav' || request.headers['if-none-match']) response.writeHead(304, { etag: '"other"' }).end()
    else response.writeHead(200, { 'content-length': clip.length, etag: `"${n}"` }).end(clip)
  })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  assert.equal(asked.length, 3)
  assert.equal((await hear(t, { audioUrl: `${url}/unasked.wav` })).result.code, 'ERR_HTTP_STATUS')
})

for (const [what, cacheControl, failure, expected] of [
  ['answers 503 with stale-if-error', 'max-age=0, stale-if-error=60', 503, 'completed'],
  ['answers 500 with stale-if-error', 'max-age=0, stale-if-error=60', 500, 'completed'],
  ['breaks off with stale-if-error', 'max-age=0, stale-if-error=60', 0, 'completed'],
  ['answers 404 with stale-if-error', 'max-age=0, stale-if-error=60', 404, 'ERR_HTTP_STATUS'],
  ['answers 500 without stale-if-error', 'max-age=0', 500, 'ERR_HTTP_STATUS'],
  ['answers 500 with must-revalidate', 'max-age=0, stale-if-error=60, must-revalidate', 500, 'ERR_HTTP_STATUS']
]) {
  test(`stale entry while the server ${what}: ${expected}`, async (t) => {
    SpeakerSession.cache({ maxBytes: 16 * MIB })
    const { url } = await serving(t, (_, response, n) => {
      if (n === 0) response.writeHead(200, { 'content-length': clip.length, etag: '"a"', 'cache-control': cacheControl }).end(clip)
      else if (failure) response.writeHead(failure).end()
      else response.destroy()
    })
    await sounds(t, { audioUrl: `${url}/a.wav` })
    const { result } = await hear(t, { audioUrl: `${url}/a.wav` })
    assert.equal(result.outcome ?? result.code, expected)
    // A 404 removes the entry.
    if (failure === 404) assert.equal(SpeakerSession.cache().entries, 0)
  })
}

for (const [what, first, second] of [
  ['another key', { headers: { Authorization: 'Bearer first-user-key' } }, { headers: { Authorization: 'Bearer second-user-key' } }],
  ['a key and none', { headers: { 'X-Key': 'first-user-key' } }, {}],
  ['another network', {}, {}],
  ['another user in the URL', { user: 'one:first-password@' }, { user: 'two:second-password@' }]
]) {
  test(`a request with ${what} does not get another's body`, async (t) => {
    SpeakerSession.cache({ maxBytes: 16 * MIB })
    const { url, asked } = await serving(t, (request, response, n) => {
      const body = n === 0 ? clip : other
      response.writeHead(200, { 'content-length': body.length, 'cache-control': 'public, max-age=60' }).end(body)
    })
    const at = ({ user = '', headers }) => ({ audioUrl: url.replace('//', `//${user}`) + '/a.wav', headers })
    const options = what === 'another network' ? { network: { allow: ['127.0.0.1'], files: true } } : undefined
    await sounds(t, at(first), clip)
    await sounds(t, at(second), other, options)
    await sounds(t, at(first), clip)
    await sounds(t, at(second), other, options)
    assert.equal(asked.length, 2)
  })
}

test('network also forbids cached bodies', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url } = await serving(t, (_, response) => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip))
  await sounds(t, { audioUrl: `${url}/a.wav` })
  for (const network of ['public', { allow: ['127.0.0.1'], deny: ['127.0.0.0/8'] }]) {
    assert.equal((await hear(t, { audioUrl: `${url}/a.wav` }, { network })).result.code, 'ERR_URL_BLOCKED')
  }
})

test('a body fetched with credentials is not cached', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (_, response) => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip))
  const request = { audioUrl: `${url}/a.wav`, headers: { authorization: 'Bearer first-user-key' } }
  await sounds(t, request)
  await sounds(t, request)
  const withUser = { audioUrl: `${url.replace('//', '//user:password@')}/a.wav` }
  await sounds(t, withUser)
  await sounds(t, withUser)
  assert.equal(asked.length, 4)
})

for (const headers of [{ Range: 'bytes=0-' }, { 'Cache-Control': 'no-cache' }, { Pragma: 'no-cache' }, { 'If-None-Match': '"b"' }]) {
  test(`a request with ${Object.keys(headers)} bypasses the cache`, async (t) => {
    SpeakerSession.cache({ maxBytes: 16 * MIB })
    const counted = counting()
    const { url, asked } = await serving(t, (request, response) => {
      const status = request.headers.range ? 206 : 200
      const range = status === 206 ? { 'content-range': `bytes 0-${clip.length - 1}/${clip.length}` } : {}
      response.writeHead(status, { 'content-length': clip.length, 'cache-control': 'max-age=60', ...range }).end(clip)
    })
    await sounds(t, { audioUrl: `${url}/a.wav`, headers })
    await sounds(t, { audioUrl: `${url}/a.wav`, headers })
    assert.deepEqual([asked.length, counted()], [2, {}])
  })
}

test('an uncacheable redirect is requested each time', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const paths = []
  const { url } = await serving(t, (request, response) => {
    paths.push(request.url)
    if (request.url === '/moved') return response.writeHead(302, { location: '/a.wav' }).end()
    if (request.url === '/moved-for-long') return response.writeHead(301, { location: '/a.wav', 'cache-control': 'max-age=60' }).end()
    if (request.url === '/moved-secretly') return response.writeHead(302, { location: '/a.wav', 'cache-control': 'no-store' }).end()
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip)
  })
  for (const name of ['/moved', '/moved', '/moved-for-long', '/moved-for-long', '/moved-secretly', '/moved-secretly']) await sounds(t, { audioUrl: url + name })
  assert.deepEqual(paths, ['/moved', '/a.wav', '/moved', '/moved-for-long', '/a.wav', '/moved-secretly', '/a.wav', '/moved-secretly', '/a.wav'])
  assert.deepEqual(counted(), { misses: 4, revalidated: 1, hits: 1 })
})

test('a changed redirect is followed without the old validator', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (request, response, n) => {
    if (request.url === '/moved') return response.writeHead(302, { location: n === 0 ? '/one.wav' : '/two.wav' }).end()
    const body = request.url === '/one.wav' ? clip : other
    if (request.headers['if-none-match']) return response.writeHead(304).end()
    response.writeHead(200, { 'content-length': body.length, etag: '"the same"' }).end(body)
  })
  await sounds(t, { audioUrl: `${url}/moved` }, clip)
  await sounds(t, { audioUrl: `${url}/moved` }, other)
  await sounds(t, { audioUrl: `${url}/moved` }, other)
  assert.deepEqual(asked.map(({ url, headers }) => `${url} ${headers['if-none-match'] ?? '-'}`), ['/moved -', '/one.wav -', '/moved -', '/two.wav -', '/moved -', '/two.wav "the same"'])
})

test('a compressed body is cached decompressed', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const { url, asked } = await serving(t, (_, response) => response.writeHead(200, { 'content-encoding': 'gzip', 'cache-control': 'max-age=60' }).end(gzipSync(clip)))
  const request = { audioUrl: `${url}/a.wav`, headers: { 'Accept-Encoding': 'gzip' } }
  await sounds(t, request)
  await sounds(t, request)
  assert.deepEqual([asked.length, counted()], [1, { misses: 1, hits: 1 }])
  assert.ok(SpeakerSession.cache().bytes >= clip.length)
})

test('caches chunked bodies but not close-delimited ones', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const url = await serveBytes(t, (socket, { path }) => {
    if (path === '/closed.wav') return socket.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n\r\n'), clip]))
    socket.write('HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n')
    socket.write(`${clip.length.toString(16)}\r\n`)
    socket.write(clip)
    socket.end('\r\n0\r\n\r\n')
  })
  for (const name of ['/chunked.wav', '/chunked.wav', '/closed.wav', '/closed.wav']) await sounds(t, { audioUrl: url + name })
  assert.deepEqual(counted(), { misses: 3, hits: 1 })
})

test("only the last listener's stop ends the fetch", async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const closed = []
  const responses = []
  const { url, asked } = await serving(t, (_, response, n) => {
    response.on('close', () => closed.push(n))
    responses.push(response)
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).write(clip.subarray(0, 30_000))
  })
  const [first, second, third] = [open(t), open(t), open(t)]
  const begin = ({ session }) => session.playAudio({ audioUrl: `${url}/a.wav` })
  const stopped = begin(first)
  await until(() => counted().misses === 1)
  // Who stops before the answer: src/source/fetch/cache.rs.
  const heard = begin(second)
  await until(() => counted().joined === 1)
  await first.session.stopAudio()
  assert.equal((await stopped).outcome, 'stopped')
  const later = begin(third)
  await until(() => counted().joined === 1)
  const done = Promise.all([finish(second.session), finish(third.session)])
  responses[0].end(clip.subarray(30_000))
  await done
  for (const result of [await heard, await later]) assert.equal(result.outcome, 'completed', result.message)
  assert.equal(asked.length, 1)
  SpeakerSession.cache({ maxBytes: 0 })
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  closed.length = 0
  const alone = begin(first)
  await until(() => counted().misses === 1)
  await first.session.stopAudio()
  assert.equal((await alone).outcome, 'stopped')
  await until(() => closed.includes(1))
  await until(() => SpeakerSession.cache().bytes === 0)
})

test('a slow listener delays nobody', async (t) => {
  SpeakerSession.cache({ maxBytes: 256 * MIB })
  // More than a download keeps ahead of a listener that does not read.
  const long = tone(440, 200_000)
  assert.ok(long.length > 16 * MIB)
  const { url, asked } = await serving(t, (_, response) => setTimeout(() => response.writeHead(200, { 'content-length': long.length, 'cache-control': 'max-age=60' }).end(long), 50))
  const [slow, fast] = [open(t), open(t)]
  const waiting = slow.session.playAudio({ audioUrl: `${url}/a.wav` })
  await slow.session.pauseAudio()
  await sounds(t, { audioUrl: `${url}/a.wav` }, long)
  await slow.session.resumeAudio()
  await finish(slow.session)
  assert.equal((await waiting).outcome, 'completed')
  assert.deepEqual(slow.heard().length, (await hear(t, { audio: long })).samples.length)
  assert.equal(asked.length, 1)
  await fast.session.close()
})

test('a cached body plays from any position', async (t) => {
  SpeakerSession.cache({ maxBytes: 256 * MIB })
  const long = tone(440, 200_000)
  const { url, asked } = await serving(t, (request, response) => {
    const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range) ?? []
    const rest = long.subarray(Number(from ?? 0))
    const range = from ? { 'content-range': `bytes ${from}-${long.length - 1}/${long.length}` } : {}
    response.writeHead(from ? 206 : 200, { 'content-length': rest.length, 'accept-ranges': 'bytes', 'cache-control': 'max-age=60', etag: '"a"', ...range }).end(rest)
  })
  const expected = (await hear(t, { audio: long, startMs: 190_000 })).samples
  const late = async () => {
    const { result, samples } = await hear(t, { audioUrl: `${url}/a.wav`, startMs: 190_000 })
    assert.equal(result.outcome, 'completed', result.message)
    assert.deepEqual(samples, expected)
  }
  // While it downloads, a position far ahead may be requested.
  await late()
  assert.ok(asked.length <= 2 && asked.slice(1).every(({ headers }) => headers.range), `${asked.length}`)
  await sounds(t, { audioUrl: `${url}/a.wav` }, long)
  const before = asked.length
  await late()
  await Promise.all([late(), late()])
  assert.equal(asked.length, before)
})

test('a broken body is truncated and not cached', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (_, response, n) => {
    const send = () => {
      response.writeHead(n < 3 ? 200 : 404, { 'content-length': clip.length, 'cache-control': 'max-age=60', etag: `"${n}"` })
      response.write(clip.subarray(0, 50_000), () => response.destroy())
    }
    setTimeout(send, n === 0 ? 100 : 0)
  })
  const sessions = Array.from({ length: 20 }, () => open(t))
  const playing = sessions.map(({ session }) => session.playAudio({ audioUrl: `${url}/a.wav` }).catch((error) => error))
  await Promise.all(sessions.map(({ session }) => finish(session)))
  for (const result of await Promise.all(playing)) assert.equal(result.code, 'ERR_TRUNCATED', result.message)
  assert.ok(asked.length <= 3, `${asked.length}`)
  assert.deepEqual([SpeakerSession.cache().entries, SpeakerSession.cache().bytes], [0, 0])
})

test('a resumed body is whole for all and cached', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (request, response, n) => {
    const [, from = 0] = /^bytes=(\d+)-$/.exec(request.headers.range) ?? []
    const rest = clip.subarray(Number(from))
    const range = request.headers.range ? { 'content-range': `bytes ${from}-${clip.length - 1}/${clip.length}` } : {}
    response.writeHead(request.headers.range ? 206 : 200, { 'content-length': rest.length, 'cache-control': 'max-age=60', etag: '"a"', ...range })
    if (n === 0) response.write(rest.subarray(0, 50_000), () => response.destroy())
    else response.end(rest)
  })
  const playing = Array.from({ length: 5 }, () => sounds(t, { audioUrl: `${url}/a.wav` }))
  await Promise.all(playing)
  await sounds(t, { audioUrl: `${url}/a.wav` })
  assert.equal(asked.length, 2)
})

test('an uncacheable body is fetched by each, once', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const counted = counting()
  const { url, asked } = await serving(t, (_, response) => setTimeout(() => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'no-store' }).end(clip), 50))
  await Promise.all(Array.from({ length: 10 }, () => sounds(t, { audioUrl: `${url}/a.wav` })))
  assert.deepEqual([asked.length, counted()], [10, { misses: 10 }])
})

test('waiting requests also revalidate a no-cache body', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (request, response) => {
    const answer = () => (request.headers['if-none-match'] ? response.writeHead(304).end() : response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'no-cache', etag: '"a"' }).end(clip))
    setTimeout(answer, 50)
  })
  await sounds(t, { audioUrl: `${url}/a.wav` })
  await Promise.all(Array.from({ length: 5 }, () => sounds(t, { audioUrl: `${url}/a.wav` })))
  assert.deepEqual(asked.map(({ headers }) => headers['if-none-match'] ?? '-'), ['-', ...Array.from({ length: 5 }, () => '"a"')])
})

test('evicts the least recently played, skips too large bodies', async (t) => {
  // Room for three, of which each may take a fourth.
  const maxBytes = Math.floor(clip.length * 4.2)
  SpeakerSession.cache({ maxBytes })
  const names = []
  const { url } = await serving(t, (request, response) => {
    names.push(request.url)
    const body = request.url === '/large.wav' ? tone(440, 1500) : clip
    response.writeHead(200, { 'content-length': body.length, 'cache-control': 'max-age=60' }).end(body)
  })
  const play = async (name) => {
    const { result } = await hear(t, { audioUrl: url + name })
    assert.equal(result.outcome, 'completed', result.message)
    assert.ok(SpeakerSession.cache().bytes <= maxBytes)
  }
  for (const name of ['/a', '/b', '/c', '/d', '/a', '/e', '/a', '/b', '/large.wav', '/large.wav', '/e']) await play(name)
  assert.deepEqual(names, ['/a', '/b', '/c', '/d', '/e', '/b', '/large.wav', '/large.wav'])
  const half = Math.floor(maxBytes / 2)
  assert.ok(SpeakerSession.cache({ maxBytes: half }).bytes <= half)
})

test('many at once stay within maxBytes and all play', async (t) => {
  const maxBytes = 8 * clip.length
  SpeakerSession.cache({ maxBytes })
  let most = 0
  const { url } = await serving(t, (_, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=60' })
    response.write(clip.subarray(0, 40_000))
    setTimeout(() => response.end(clip.subarray(40_000)), 50)
  })
  const timer = setInterval(() => (most = Math.max(most, SpeakerSession.cache().bytes)), 1)
  await Promise.all(Array.from({ length: 60 }, (_, n) => sounds(t, { audioUrl: `${url}/${n % 30}.wav` })))
  clearInterval(timer)
  assert.ok(most > 0 && most <= maxBytes, `${most}`)
})

test('a body too long to cache plays for all', async (t) => {
  const long = tone(440, 20_000)
  SpeakerSession.cache({ maxBytes: long.length * 2 })
  const { url, asked } = await serving(t, (_, response) => {
    setTimeout(() => response.writeHead(200, { 'cache-control': 'max-age=60' }).end(long), 50)
  })
  await Promise.all(Array.from({ length: 5 }, () => sounds(t, { audioUrl: `${url}/a.wav` }, long)))
  assert.equal(asked.length, 5)
  assert.deepEqual(SpeakerSession.cache().entries, 0)
})

test('a too long body that changed is truncated', async (t) => {
  const long = tone(440, 20_000)
  SpeakerSession.cache({ maxBytes: long.length * 2 })
  const { url } = await serving(t, (_, response, n) => {
    const body = n === 0 ? long : tone(880, 20_000)
    setTimeout(() => response.writeHead(200, { 'cache-control': 'max-age=60' }).end(body), 50)
  })
  const results = await Promise.all(Array.from({ length: 3 }, () => hear(t, { audioUrl: `${url}/a.wav` })))
  const outcomes = results.map(({ result }) => result.outcome ?? result.code).sort()
  assert.deepEqual(outcomes, ['ERR_TRUNCATED', 'ERR_TRUNCATED', 'completed'])
})

test('turning the cache off mid-download interrupts nobody', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  let rest
  const { url, asked } = await serving(t, (_, response, n) => {
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' })
    if (n > 0) return response.end(clip)
    response.write(clip.subarray(0, 30_000))
    rest = () => response.end(clip.subarray(30_000))
  })
  const playing = Array.from({ length: 5 }, () => sounds(t, { audioUrl: `${url}/a.wav` }))
  await until(() => rest)
  SpeakerSession.cache({ maxBytes: 0 })
  rest()
  await Promise.all(playing)
  assert.ok(asked.length >= 1)
  const { bytes, entries } = SpeakerSession.cache()
  assert.deepEqual([bytes, entries], [0, 0])
})

for (const status of [404, 403, 500]) {
  test(`requests that wait together share a ${status}`, async (t) => {
    SpeakerSession.cache({ maxBytes: 16 * MIB })
    const { url, asked } = await serving(t, (_, response) => setTimeout(() => response.writeHead(status).end(), 50))
    const results = await Promise.all(Array.from({ length: 20 }, () => hear(t, { audioUrl: `${url}/a.wav` })))
    for (const { result } of results) assert.equal(result.code, 'ERR_HTTP_STATUS')
    assert.ok(asked.length < 20)
    assert.equal(SpeakerSession.cache().entries, 0)
  })
}

test('each request has its own fetchTimeoutMs', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, () => {})
  const fail = async (options) => {
    const { result } = await hear(t, { audioUrl: `${url}/a.wav` }, options)
    return [result.code, /within (\d+) ms/.exec(result.message)?.[1]]
  }
  const all = await Promise.all([{ fetchTimeoutMs: 300 }, { fetchTimeoutMs: 300 }, { fetchTimeoutMs: 700 }, { fetchTimeoutMs: 60_000, startTimeoutMs: 500 }].map(fail))
  assert.deepEqual(all, [['ERR_FETCH_TIMEOUT', '300'], ['ERR_FETCH_TIMEOUT', '300'], ['ERR_FETCH_TIMEOUT', '700'], ['ERR_START_TIMEOUT', '500']])
  // Of two that began together, one may have a moment left.
  assert.ok([3, 4].includes(asked.length), `${asked.length}`)
})

test('a later request has its own fetchTimeoutMs', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (_, response, n) => {
    if (n > 0) response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip)
  })
  const early = hear(t, { audioUrl: `${url}/a.wav` }, { fetchTimeoutMs: 1000 })
  await until(() => asked.length === 1)
  await sleep(500)
  const late = Array.from({ length: 5 }, () => sounds(t, { audioUrl: `${url}/a.wav` }, clip, { fetchTimeoutMs: 1000 }))
  assert.equal((await early).result.code, 'ERR_FETCH_TIMEOUT')
  await Promise.all(late)
  assert.equal(asked.length, 2)
})

test('a dripping server is too slow for all', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (_, response) => {
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' })
    let n = 0
    const timer = setInterval(() => response.write(clip.subarray(n, ++n)), 100)
    response.on('close', () => clearInterval(timer))
  })
  const results = await Promise.all(Array.from({ length: 5 }, () => hear(t, { audioUrl: `${url}/a.wav` }, { fetchTimeoutMs: 500 })))
  for (const { result } of results) {
    assert.equal(result.code, 'ERR_FETCH_TIMEOUT', result.message)
    assert.match(result.message, /minFetchBytesPerSecond/)
  }
  assert.equal(asked.length, 1)
  assert.equal(SpeakerSession.cache().entries, 0)
})

test('caches HLS segments, and playlists and keys as allowed', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const asked = []
  const segment = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))
  const list = '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\na.mp3\n#EXTINF:1,\nb.mp3\n#EXT-X-ENDLIST\n'
  const { url } = await serving(t, (request, response) => {
    asked.push(request.url)
    const [body, age] = request.url === '/list.m3u8' ? [Buffer.from(list), 'no-cache'] : [segment, 'max-age=60']
    response.writeHead(200, { 'content-length': body.length, 'cache-control': age }).end(body)
  })
  await sounds(t, { audioUrl: `${url}/list.m3u8` }, Buffer.concat([segment, segment]))
  await sounds(t, { audioUrl: `${url}/list.m3u8` }, Buffer.concat([segment, segment]))
  assert.deepEqual(asked, ['/list.m3u8', '/a.mp3', '/b.mp3', '/list.m3u8'])
})

test('HLS byte ranges of one file are kept apart', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const segment = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))
  const both = Buffer.concat([segment, segment])
  const list = ['#EXTM3U', '#EXT-X-VERSION:4', '#EXT-X-TARGETDURATION:10', ...[0, segment.length].flatMap((from) => ['#EXTINF:1,', `#EXT-X-BYTERANGE:${segment.length}@${from}`, 'all.mp3']), '#EXT-X-ENDLIST', ''].join('\n')
  const { url } = await serving(t, (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range) ?? []
    const whole = request.url === '/list.m3u8' ? Buffer.from(list) : both
    const body = from ? whole.subarray(Number(from), Number(to) + 1) : whole
    const range = from ? { 'content-range': `bytes ${from}-${to}/${whole.length}` } : {}
    response.writeHead(from ? 206 : 200, { 'content-length': body.length, 'cache-control': 'max-age=60', ...range }).end(body)
  })
  for (let n = 0; n < 2; n++) await sounds(t, { audioUrl: `${url}/list.m3u8` }, both)
  await sounds(t, { audioUrl: `${url}/all.mp3` }, both)
  await sounds(t, { audioUrl: `${url}/list.m3u8` }, both)
})

test('clips and probes use the cached body', async (t) => {
  SpeakerSession.cache({ maxBytes: 16 * MIB })
  const { url, asked } = await serving(t, (_, response) => response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' }).end(clip))
  await sounds(t, { audioUrl: `${url}/a.wav` })
  const made = await SpeakerSession.clip({ audioUrl: `${url}/a.wav` })
  assert.equal(made.durationMs, 1000)
  made.close()
  assert.equal((await SpeakerSession.probe(`${url}/a.wav`)).durationMs, 1000)
  assert.equal(asked.length, 1)
})

test('a process that uses the cache exits', async (t) => {
  const { url } = await serving(t, (request, response) => {
    response.writeHead(200, { 'content-length': clip.length, 'cache-control': 'max-age=60' })
    if (request.url === '/a.wav') response.end(clip)
    else response.write(clip.subarray(0, 1000))
  })
  const { code, out, err } = await run(
    t,
    `;(async () => {
      SpeakerSession.cache({ maxBytes: ${MIB} })
      const play = async (name) => {
        const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
        const playing = session.playAudio({ audioUrl: '${url}' + name })
        if (name === '/hangs.wav') await new Promise((resolve) => setTimeout(resolve, 200))
        else await session.advance(2000)
        await session.close()
        return (await playing).outcome
      }
      console.log(await play('/a.wav'), await play('/a.wav'), await play('/hangs.wav'), SpeakerSession.cache().entries)
    })()`
  )
  assert.deepEqual([code, out], [0, 'completed completed stopped 1\n'], err)
})
