'use strict'

// Bodies that were compressed in transit: `Content-Encoding`.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const zlib = require('node:zlib')

const { serve, serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)
const clip = tone(440, 1000)

async function hear(t, request, options) {
  const { session, heard } = open(t, options)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

/** Serves these bytes under a coding, in chunks. */
function serveEncoded(t, coding, body, size = 777) {
  return serve(t, (request, response) => {
    response.writeHead(200, { 'content-encoding': coding })
    for (let at = 0; at < body.length; at += size) response.write(body.subarray(at, at + size))
    response.end()
  })
}

const zstd = () => readFileSync(fixture('tone-8k.wav.zst'))

for (const [coding, body, expected] of [
  ['gzip', zlib.gzipSync(clip)],
  ['x-gzip', zlib.gzipSync(clip)],
  ['GZip', zlib.gzipSync(clip)],
  ['gzip', Buffer.concat([zlib.gzipSync(clip.subarray(0, 5000)), zlib.gzipSync(clip.subarray(5000))])],
  ['deflate', zlib.deflateSync(clip)],
  ['deflate', zlib.deflateSync(clip, { level: 0 })],
  ['deflate', zlib.deflateRawSync(clip)],
  ['br', zlib.brotliCompressSync(clip)],
  ['zstd', zstd(), readFileSync(fixture('tone-8k.wav'))],
  ['br, gzip', zlib.gzipSync(zlib.brotliCompressSync(clip))],
  ['identity', clip],
  ['', clip],
  ['UTF-8', clip],
  ['audio/wav', clip]
]) {
  test(`decodes content-encoding ${coding}`, async (t) => {
    const expectedSamples = (await hear(t, { audio: expected ?? clip })).samples
    for (const size of body.length < 20_000 ? [1, 7, 777, 1 << 20] : [777, 1 << 20]) {
      const { result, samples } = await hear(t, { audioUrl: `${await serveEncoded(t, coding, body, size)}/a.wav` })
      assert.equal(result.outcome, 'completed', result.message)
      assert.deepEqual(samples, expectedSamples, `${size}`)
    }
  })
}

test('requests no coding unless the user does', async (t) => {
  const seen = []
  const url = await serve(t, ({ headers }, response) => {
    seen.push(headers['accept-encoding'])
    response.end(clip)
  })
  await hear(t, { audioUrl: url })
  await hear(t, { audioUrl: url, headers: { 'Accept-Encoding': 'gzip' } })
  assert.deepEqual(seen, ['identity', 'gzip'])
})

for (const [coding, body] of [['gzip', zlib.gzipSync(clip)], ['deflate', zlib.deflateSync(clip)], ['br', zlib.brotliCompressSync(clip)], ['zstd', zstd()]]) {
  test(`a cut or damaged ${coding} body is not completed`, async (t) => {
    for (let cut = 1; cut < body.length; cut += Math.ceil(body.length / 40)) {
      const { result } = await hear(t, { audioUrl: await serveEncoded(t, coding, body.subarray(0, cut)) })
      assert.ok(['ERR_TRUNCATED', 'ERR_DECODE', 'ERR_UNSUPPORTED_FORMAT'].includes(result.code), `cut at ${cut}: ${result.code} ${result.outcome}`)
    }
    for (let at = 0; at < body.length; at += Math.ceil(body.length / 40)) {
      const flipped = Buffer.from(body)
      flipped[at] ^= 0x55
      // Some bits have no meaning; but it ends one way or another.
      const { result } = await hear(t, { audioUrl: await serveEncoded(t, coding, flipped) })
      assert.ok(result.outcome === 'completed' || result.code, `flipped at ${at}`)
    }
  })
}

test('resumes an encoded body that breaks', async (t) => {
  const body = zlib.gzipSync(clip)
  const url = await serveBytes(t, (socket, { headers, before }) => {
    const from = Number(/\d+/.exec(headers.range)?.[0] ?? 0)
    const status = from ? `206 Partial Content\r\ncontent-range: bytes ${from}-${body.length - 1}/${body.length}` : '200 OK'
    const head = `HTTP/1.1 ${status}\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length - from}\r\netag: "one"\r\n\r\n`
    socket.end(Buffer.concat([Buffer.from(head), body.subarray(from, before === 0 ? 1000 : undefined)]))
  })
  const { result, samples } = await hear(t, { audioUrl: url })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(samples, (await hear(t, { audio: clip })).samples)
})

test('a decompression bomb is too large', async (t) => {
  // A WAV of silence: 300 MiB of it compress to 300 kB.
  const gzip = zlib.createGzip()
  const pieces = []
  gzip.on('data', (data) => pieces.push(data))
  const silence = Buffer.alloc(1 << 20)
  gzip.write(Buffer.concat([clip.subarray(0, 40), Buffer.from([0xff, 0xff, 0xff, 0xff])]))
  for (let mebibytes = 0; mebibytes < 300; mebibytes++) gzip.write(silence)
  await new Promise((resolve) => gzip.end(resolve))
  const body = Buffer.concat(pieces)
  assert.ok(body.length < 400_000)
  const url = await serveEncoded(t, 'gzip', body, 1 << 20)
  const { session } = open(t, { output: { type: 'none' }, maxDurationMs: 86_400_000 })
  const playing = assert.rejects(session.playAudio({ audioUrl: `${url}/a.wav` }), { code: 'ERR_SOURCE_TOO_LARGE' })
  await Promise.all([playing, finish(session)])
})

test('refuses six codings', async (t) => {
  const body = Array.from({ length: 6 }).reduce((body) => zlib.gzipSync(body), clip)
  const { result } = await hear(t, { audioUrl: await serveEncoded(t, Array(6).fill('gzip').join(', '), body) })
  assert.equal(result.code, 'ERR_FETCH_FAILED')
  assert.match(result.message, /at most 5 content codings/)
})

test('refuses a zstd window larger than 8 MiB', async (t) => {
  // RFC 8878 §3.1.1: magic number, a descriptor without sizes, a window of 2^(10 + 17) bytes, one raw block of 4 bytes, the last.
  const frame = (exponent) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3, 0x21, 0, 0, 1, 2, 3, 4])
  const { result } = await hear(t, { audioUrl: await serveEncoded(t, 'zstd', frame(27)) })
  assert.equal(result.code, 'ERR_DECODE')
  const small = await hear(t, { audioUrl: await serveEncoded(t, 'zstd', frame(23)) })
  assert.equal(small.result.code, 'ERR_UNSUPPORTED_FORMAT')
})
