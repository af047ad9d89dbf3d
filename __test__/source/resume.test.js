'use strict'

// Downloads that break: the rest is requested, and what is heard equals the whole, or the playback is reported as truncated.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)
/** Longer than the compared overlap, and than the smallest progress that counts. */
const clip = tone(440, 2000)
const other = tone(880, 2000)
const DATE = 'Sun, 29 Nov 2026 18:00:00 GMT'

async function hear(t, request) {
  const { session, heard } = open(t)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

/** Answers a request for a range or the whole like a server that sends at most `cut` bytes and then breaks. */
function send(socket, { headers }, { body = clip, validators = '', length = true, cut = Infinity, ranges = true, chunked = false, checks = true }) {
  const [, first] = /^bytes=(\d+)-$/.exec(headers.range ?? '') ?? []
  const isSame = !headers['if-range'] || !checks || validators.includes(headers['if-range'])
  const from = ranges && first && isSame ? Number(first) : undefined
  if (from >= body.length) return socket.end(`HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */${body.length}\r\n${validators}content-length: 0\r\n\r\n`)
  const rest = body.subarray(from ?? 0)
  const range = from === undefined ? '200 OK\r\n' : `206 Partial Content\r\ncontent-range: bytes ${from}-${body.length - 1}/${length ? body.length : '*'}\r\n`
  const size = chunked ? 'transfer-encoding: chunked\r\n' : length ? `content-length: ${rest.length}\r\n` : ''
  socket.write(`HTTP/1.1 ${range}${size}${validators}\r\n`)
  const part = rest.subarray(0, cut)
  if (chunked) socket.write(`${part.length.toString(16)}\r\n`)
  socket.write(part)
  if (chunked) socket.write('\r\n')
  if (chunked && part.length === rest.length) socket.write('0\r\n\r\n')
  socket.end()
}

const ETAG = 'etag: "one"\r\n'
const MODIFIED = `last-modified: ${DATE}\r\n`

for (const [what, answers, asked] of [
  ['with an ETag', [{ validators: ETAG, cut: 50_000 }, { validators: ETAG }], ['bytes=50000- "one"']],
  ['with a date', [{ validators: MODIFIED, cut: 50_000 }, { validators: MODIFIED }], [`bytes=50000- ${DATE}`]],
  ['with a weak ETag and a date', [{ validators: `etag: W/"one"\r\n${MODIFIED}`, cut: 50_000 }, { validators: MODIFIED }], [`bytes=50000- ${DATE}`]],
  ['with a weak ETag alone', [{ validators: 'etag: W/"one"\r\n', cut: 50_000 }, {}], [`bytes=${50_000 - 4096}- -`]],
  ['without a validator', [{ cut: 50_000 }, {}], [`bytes=${50_000 - 4096}- -`]],
  ['near its start', [{ cut: 100 }, {}], ['bytes=0- -']],
  ['before its first byte', [{ cut: 0 }, {}], ['- -']],
  ['without ranges, with an ETag', [{ validators: ETAG, cut: 50_000 }, { validators: ETAG, ranges: false }], ['bytes=50000- "one"']],
  ['without ranges or a validator', [{ cut: 50_000 }, { ranges: false }], [`bytes=${50_000 - 4096}- -`]],
  ['again and again', [60_000, 40_000, 30_000, 20_000, 30_000].map((cut) => ({ cut, validators: ETAG })), ['bytes=60000- "one"', 'bytes=100000- "one"', 'bytes=130000- "one"', 'bytes=150000- "one"', 'bytes=180000- "one"']],
  ['without a length, in chunks', [{ cut: 50_000, chunked: true, length: false }, { chunked: true, length: false }], [`bytes=${50_000 - 4096}- -`]],
  ['in chunks, of which the last is missing', [{ body: clip, chunked: true, length: false, last: false, validators: ETAG }, { chunked: true, validators: ETAG }], [`bytes=${clip.length}- "one"`]]
]) {
  test(`resumes a broken download: ${what}`, async (t) => {
    const requests = []
    const url = await serveBytes(t, (socket, request) => {
      requests.push(`${request.headers.range ?? '-'} ${request.headers['if-range'] ?? '-'}`)
      const { last = true, ...answer } = answers[request.before] ?? answers.at(-1)
      if (last) return send(socket, request, { ...answer, cut: answers[request.before] ? answer.cut : undefined })
      socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${answer.validators}\r\n${clip.length.toString(16)}\r\n${clip.toString('latin1')}`, 'latin1')
    })
    const { result, samples } = await hear(t, { audioUrl: `${url}/a.wav` })
    assert.equal(result.outcome, 'completed', result.message)
    assert.deepEqual(samples, (await hear(t, { audio: clip })).samples)
    assert.deepEqual(requests, ['- -', ...asked])
  })
}

for (const [what, answers, message] of [
  ['has changed, says the ETag', [{ validators: ETAG, cut: 50_000 }, { validators: 'etag: "two"\r\n', body: other }], /has changed/],
  ['has changed, says the ETag of a server that does not look at it', [{ validators: ETAG, cut: 50_000 }, { validators: 'etag: "two"\r\n', checks: false }], /has changed/],
  ['has changed, say its last bytes', [{ cut: 50_000 }, { body: other }], /has changed/],
  ['has changed, say its last bytes, without ranges', [{ cut: 50_000 }, { body: other, ranges: false }], /has changed/],
  ['has another length', [{ validators: ETAG, cut: 50_000 }, { validators: ETAG, body: clip.subarray(0, 100_000) }], /length has changed/],
  ['is shorter', [{ validators: ETAG, cut: 50_000, length: false, chunked: true }, { validators: ETAG, body: clip.subarray(0, 40_000) }], /no more bytes/],
  ['breaks at the same byte', [{ cut: 50_000 }, { ranges: false, cut: 50_000 }], /ended early/],
  ['is gone', [{ cut: 50_000 }, '404 Not Found'], /ended early.*asked for the rest.*404 Not Found/]
]) {
  test(`a broken download is truncated if the rest ${what}`, async (t) => {
    const url = await serveBytes(t, (socket, request) => {
      const answer = answers[request.before] ?? answers.at(-1)
      if (typeof answer === 'string') return socket.end(`HTTP/1.1 ${answer}\r\ncontent-length: 0\r\n\r\n`)
      send(socket, request, answer)
    })
    const { result, samples } = await hear(t, { audioUrl: `${url}/a.wav?signature=plantedplantedplanted` })
    assert.equal(result.code, 'ERR_TRUNCATED', result.message)
    assert.match(result.message, message)
    assert.ok(!result.message.includes('planted'))
    // What came was played, and nothing else.
    const whole = (await hear(t, { audio: clip })).samples
    const heard = Math.round(result.positionMs * 48)
    assert.ok(heard > 20_000 && heard < whole.length / 2, `${heard}`)
    assert.deepEqual(samples.subarray(0, heard - 300), whole.subarray(0, heard - 300))
  })
}

for (const name of ['tone-cbr.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone.aac', 'tone-s24.wav']) {
  test(`${name} sounds the same wherever it broke`, async (t) => {
    const body = readFileSync(fixture(name))
    const whole = (await hear(t, { audio: body })).samples
    for (const [index, cut] of [1, 13, 100, 4096, 5000, body.length - 1].filter((cut) => cut < body.length).entries()) {
      const url = await serveBytes(t, (socket, request) => send(socket, request, { body, validators: index % 2 ? ETAG : '', cut: request.before === 0 ? cut : undefined }))
      const { result, samples } = await hear(t, { audioUrl: `${url}/${name}` })
      assert.equal(result.outcome, 'completed', `${cut}: ${result.message}`)
      assert.deepEqual(samples, whole, `${cut}`)
    }
  })
}

test('an unrequested range is not taken for the whole', async (t) => {
  const part = (from, to, total) => `HTTP/1.1 206 Partial Content\r\ncontent-length: ${to - from}\r\ncontent-range: bytes ${from}-${to - 1}/${total}\r\n\r\n`
  const rows = [
    // The rest arrives when it is requested.
    [(socket, { headers, before }) => (before === 0 ? socket.end(Buffer.concat([Buffer.from(part(0, 50_000, clip.length)), clip.subarray(0, 50_000)])) : send(socket, { headers }, {})), 'completed'],
    [(socket, { headers, before }) => (before === 0 ? socket.end(Buffer.concat([Buffer.from(part(0, 50_000, '*')), clip.subarray(0, 50_000)])) : send(socket, { headers }, {})), 'completed'],
    // It does not.
    [(socket) => socket.end(Buffer.concat([Buffer.from(part(0, 50_000, clip.length)), clip.subarray(0, 50_000)])), 'ERR_TRUNCATED'],
    // It does not begin at the start.
    [(socket) => socket.end(Buffer.concat([Buffer.from(part(100, 50_000, clip.length)), clip.subarray(100, 50_000)])), 'ERR_FETCH_FAILED'],
    [(socket) => socket.end(Buffer.concat([Buffer.from('HTTP/1.1 206 Partial Content\r\ncontent-length: 50000\r\n\r\n'), clip.subarray(0, 50_000)])), 'ERR_FETCH_FAILED']
  ]
  for (const [index, [answer, expected]] of rows.entries()) {
    const { result } = await hear(t, { audioUrl: `${await serveBytes(t, answer)}/a.wav` })
    assert.equal(result.outcome ?? result.code, expected, `${index}: ${result.message}`)
  }
})

test('a resume respects network', async (t) => {
  const other = new URL(await serveBytes(t, (socket, request) => send(socket, request, {})))
  const url = await serveBytes(t, (socket, request) => {
    if (request.before === 0) return send(socket, request, { cut: 50_000 })
    socket.end(`HTTP/1.1 302 Found\r\nlocation: http://localhost:${other.port}/planted.wav\r\ncontent-length: 0\r\n\r\n`)
  })
  const { session } = open(t, { network: { allow: [new URL(url).host] } })
  const playing = session.playAudio({ audioUrl: `${url}/a.wav` }).catch((error) => error)
  await finish(session)
  const { code, message } = await playing
  assert.equal(code, 'ERR_TRUNCATED')
  assert.match(message, /a server that network allows .* localhost:\d+: it is at a loopback address/)
  assert.ok(!message.includes('planted'), message)
})

test('a range requested by the user is what plays', async (t) => {
  const requests = []
  const url = await serveBytes(t, (socket, request) => {
    requests.push(request.headers.range)
    socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-999/9999\r\ncontent-length: ${clip.length}\r\n\r\n`), clip]))
  })
  const { result } = await hear(t, { audioUrl: `${url}/a.wav`, headers: { Range: 'bytes=0-999' } })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(requests, ['bytes=0-999'])
})
