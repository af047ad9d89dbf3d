'use strict'

// Sources from a real nginx: ranges, codings, redirects, limits, and a proxy that breaks connections.

const assert = require('node:assert/strict')
const { readFileSync, writeFileSync } = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { once } = require('node:events')

const { SpeakerSession } = require('../..')
const { whyUnavailable } = require('../../scripts/debian')
const { executable, startNginx } = require('../../scripts/nginx')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const skip = whyUnavailable(executable)
const clip = tone(440, 3000)
const mp3 = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))

/** Proxies nginx and cuts its answers: each connection after this many bytes, except the last. Records the requests. */
async function cutter(t, target, cuts, onCut = () => {}) {
  const asked = []
  const server = net.createServer((socket) => {
    const upstream = net.connect(new URL(target).port, '127.0.0.1')
    let left = cuts.shift() ?? Infinity
    for (const each of [socket, upstream]) each.on('error', () => {})
    socket.on('data', (data) => {
      asked.push(String(data))
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      const part = data.subarray(0, Math.min(left, data.length))
      left -= part.length
      socket.write(part)
      if (left > 0) return
      onCut()
      socket.end()
      upstream.destroy()
    })
    upstream.on('close', () => socket.end())
    socket.on('close', () => upstream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${server.address().port}`, asked }
}

async function hear(t, request) {
  const { session, heard } = open(t)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

let nginx

before(async () => {
  if (skip) return
  nginx = await startNginx(`
    absolute_redirect off;
    location /zipped/ { alias FILES/; gzip on; gzip_min_length 0; gzip_types audio/wav; }
    location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
    location /around { return 302 /around; }
    location /limited/ { alias FILES/; limit_rate 400k; }
    location /no-ranges/ { alias FILES/; max_ranges 0; }
    location /no-validators/ { alias FILES/; etag off; add_header Last-Modified ""; }
    location /busy { return 503; }
    location /kept/ { alias FILES/; expires 1h; }
    location /asked/ { alias FILES/; expires -1; }
    location /stale/ { alias FILES/; expires 0; }
    location /private/ { alias FILES/; add_header Cache-Control private; }
    location /moved-and-kept/ { rewrite ^/moved-and-kept/(.*)$ /kept/$1 redirect; }
    location /zipped-and-kept/ { alias FILES/; expires 1h; gzip on; gzip_min_length 0; gzip_types audio/wav; gzip_vary on; }
  `)
  for (const [name, body] of [['tone.wav', clip], ['tone.mp3', mp3]]) writeFileSync(path.join(nginx.folder, name), body)
})
after(() => nginx?.stop())

for (const [where, how] of [['/', 'as it is'], ['/moved/', 'behind a redirect'], ['/limited/', 'slowly']]) {
  test(`plays a file of nginx, ${how}`, { skip }, async (t) => {
    for (const [name, body] of [['tone.wav', clip], ['tone.mp3', mp3]]) {
      const { result, samples } = await hear(t, { audioUrl: `${nginx.url}${where}${name}` })
      assert.equal(result.outcome, 'completed', result.message)
      assert.deepEqual(samples, (await hear(t, { audio: body })).samples)
    }
  })
}

for (const [where, cuts, asked, headers] of [
  ['/', [100_000, 50_000], [/^range: bytes=\d+-\r\nif-range: ".+"/im, /^range: bytes=\d+-\r\nif-range: ".+"/im]],
  ['/moved/', [100_000], [/^GET \/tone\.wav/, /^GET \/moved\/tone\.wav[^]*^range: bytes=/im, /^GET \/tone\.wav[^]*^range: bytes=/im]],
  ['/no-ranges/', [100_000], [/^range: bytes=/im]],
  ['/no-validators/', [100_000], [/^range: bytes=/im]],
  ['/zipped/', [1_000], [/^range: bytes=/im], { 'Accept-Encoding': 'gzip' }]
]) {
  test(`resumes a broken download of nginx at ${where}`, { skip }, async (t) => {
    const way = await cutter(t, nginx.url, cuts)
    const { result, samples } = await hear(t, { audioUrl: `${way.url}${where}tone.wav`, headers })
    assert.equal(result.outcome, 'completed', result.message)
    assert.deepEqual(samples, (await hear(t, { audio: clip })).samples)
    const later = way.asked.slice(1)
    assert.equal(later.length, asked.length, way.asked.join('\n'))
    for (const [index, pattern] of asked.entries()) assert.match(later[index], pattern)
  })
}

test('a file replaced before the resume is truncated', { skip }, async (t) => {
  const file = path.join(nginx.folder, 'changes.wav')
  writeFileSync(file, clip)
  const way = await cutter(t, nginx.url, [100_000], () => writeFileSync(file, tone(880, 2000)))
  const { result } = await hear(t, { audioUrl: `${way.url}/changes.wav` })
  assert.equal(result.code, 'ERR_TRUNCATED', result.message)
  assert.match(result.message, /has changed/)
})

test('decompresses what nginx gzips', { skip }, async (t) => {
  const { result, samples } = await hear(t, { audioUrl: `${nginx.url}/zipped/tone.wav`, headers: { 'Accept-Encoding': 'gzip' } })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(samples, (await hear(t, { audio: clip })).samples)
})

for (const [where, requests, conditions, headers] of [
  ['/kept/', 1, 0],
  ['/asked/', 3, 2],
  ['/stale/', 3, 2],
  ['/private/', 3, 0],
  ['/moved-and-kept/', 4, 0],
  ['/zipped-and-kept/', 1, 0, { 'Accept-Encoding': 'gzip' }]
]) {
  test(`caches nginx at ${where} as its headers say`, { skip }, async (t) => {
    t.after(() => SpeakerSession.cache({ maxBytes: 0 }))
    const before = SpeakerSession.cache({ maxBytes: 2 ** 24 }).revalidated
    const way = await cutter(t, nginx.url, [])
    const expected = (await hear(t, { audio: clip })).samples
    for (let n = 0; n < 3; n++) {
      const { result, samples } = await hear(t, { audioUrl: `${way.url}${where}tone.wav`, headers })
      assert.equal(result.outcome, 'completed', result.message)
      assert.deepEqual(samples, expected)
    }
    const asked = way.asked.join('').match(/^GET /gm)
    const conditional = way.asked.join('').match(/^if-none-match: ".+"\r$/gim) ?? []
    assert.deepEqual([asked.length, conditional.length], [requests, conditions])
    // A redirect is revalidated, but its target is used without a request.
    assert.equal(SpeakerSession.cache().revalidated - before, where === '/moved-and-kept/' ? 2 : conditions)
  })
}

for (const [where, code, message] of [
  ['/around', 'ERR_TOO_MANY_REDIRECTS', /more than|more from/],
  ['/busy', 'ERR_HTTP_STATUS', /503/],
  ['/none.wav', 'ERR_HTTP_STATUS', /404/]
]) {
  test(`nginx at ${where}: ${code}`, { skip }, async (t) => {
    const { result } = await hear(t, { audioUrl: `${nginx.url}${where}` })
    assert.equal(result.code, code)
    assert.match(result.message, message)
  })
}
