'use strict'

// Playback from the middle of a source: from a server with range support, no more is requested than needed; from any source it
// sounds as it would in one go.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')
const { wavFile } = require('../support/wav')

const long = (name) => readFileSync(path.join(__dirname, '..', 'fixtures', 'long', name))
const MINUTE = 60_000

/** Returns a rising tone of this length, of which every position sounds different. */
function sweep(seconds, rate = 48_000) {
  const samples = Float32Array.from({ length: seconds * rate }, (_, n) => 0.5 * Math.sin(2 * Math.PI * (100 * (n / rate) + 5 * (n / rate) ** 2)))
  return wavFile(samples, rate)
}

/** Returns an empty MP4 box of this many bytes. */
function free(length) {
  const box = Buffer.alloc(length)
  box.writeUInt32BE(length)
  box.write('free', 4)
  return box
}

/** Returns an MP4 whose boxes are far from each other. */
function farApart(file, length) {
  const parts = []
  for (let at = 0, size; at < file.length; at += size) {
    size = file.readUInt32BE(at)
    parts.push(file.subarray(at, at + size), ...(file.toString('latin1', at + 4, at + 8) === 'mdat' ? [free(length)] : []))
  }
  return Buffer.concat(parts)
}

/** Returns a FLAC file with much padding before its first frame. */
function padded(file, length) {
  const block = Buffer.alloc(4 + length)
  block.writeUInt32BE(length)
  block[0] = 1
  // After STREAMINFO, which is the first block.
  const first = Buffer.from(file.subarray(0, 42))
  const isLast = first[4] & 0x80
  first[4] &= 0x7f
  block[0] |= isLast
  return Buffer.concat([first, block, file.subarray(42)])
}

/**
 * A server with range support. Of the whole it sends only the first `head` bytes, so that a client that waits for it waits in vain.
 * Returns its address and the requests.
 */
async function serveParts(t, body, { head = 64 << 10, accepts = 'accept-ranges: bytes\r\n', answer } = {}) {
  const asked = []
  const url = await serveBytes(t, (socket, { headers }) => {
    const [, first] = /^bytes=(\d+)-$/.exec(headers.range ?? '') ?? []
    asked.push(first === undefined ? 'all' : Number(first))
    if (answer?.(socket, { first, count: asked.length, ifRange: headers['if-range'] })) return
    const from = Number(first ?? 0)
    const range = first === undefined ? '200 OK\r\n' : `206 Partial Content\r\ncontent-range: bytes ${from}-${body.length - 1}/${body.length}\r\n`
    socket.write(`HTTP/1.1 ${range}content-length: ${body.length - from}\r\n${accepts}etag: "one"\r\n\r\n`)
    socket.write(first === undefined ? body.subarray(0, head) : body.subarray(from))
  })
  return { url, asked }
}

async function hear(t, request) {
  const { session, heard } = open(t, { fetchTimeoutMs: 2_000 })
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

const isSame = (one, other) => one.length === other.length && one.every((sample, n) => Math.abs(sample - other[n]) < 1e-6)

for (const [name, body, startMs, most] of [
  ['WAV', sweep(60), 50_000, 1],
  ['WAV at 44.1 kHz', sweep(60, 44_100), 50_000, 1],
  ['MP3 of one bitrate', Buffer.concat(Array(60).fill(long('cbr-untold.mp3'))), 19.5 * MINUTE + 3, 1],
  ['MP4 whose index comes last', farApart(long('last.m4a'), 2 << 20), 0, 2],
  ['MP4 whose index comes last, from its middle', farApart(long('last.m4a'), 2 << 20), 15_000, 2],
  ['FLAC behind much padding', padded(long('table.flac'), 2 << 20), 6_500, 2]
]) {
  test(`${name}: requests no more than needed`, async (t) => {
    const { url, asked } = await serveParts(t, body)
    const { result, samples } = await hear(t, { audioUrl: url, startMs })
    assert.equal(result.outcome, 'completed', JSON.stringify(result))
    assert.ok(asked.length <= 1 + most && asked[0] === 'all', `it was asked for ${asked}`)
    const { samples: expected } = await hear(t, { audio: body, startMs })
    assert.ok(expected.length > 48_000 && isSame(samples, expected), `${samples.length} of ${expected.length} samples`)
  })
}

test('seeks far ahead and back sound at once', async (t) => {
  const body = sweep(60)
  const { url, asked } = await serveParts(t, body)
  const play = async (source) => {
    const { session, heard } = open(t)
    const playing = session.playAudio({ requestId: 'a', ...source })
    await session.advance(200)
    await session.seekAudio({ requestId: 'a', positionMs: 50_000 })
    await session.advance(1_000)
    await session.seekAudio({ requestId: 'a', positionMs: 100 })
    await session.advance(200)
    await session.seekAudio({ requestId: 'a', positionMs: 58_000 })
    await finish(session)
    assert.equal((await playing).outcome, 'completed')
    return heard()
  }
  const heard = await play({ audioUrl: url })
  assert.equal(asked[0], 'all')
  assert.equal(asked.length, 3)
  assert.ok(isSame(heard, await play({ audio: body })))
})

test('a broken range resumes from that byte', async (t) => {
  const body = sweep(60)
  const at = []
  const { url, asked } = await serveParts(t, body, {
    answer(socket, { first, count }) {
      if (count !== 2) return false
      const from = Number(first)
      at.push(from + 100_000)
      socket.write(`HTTP/1.1 206 Partial Content\r\ncontent-range: bytes ${from}-${body.length - 1}/${body.length}\r\ncontent-length: ${body.length - from}\r\netag: "one"\r\n\r\n`)
      socket.end(body.subarray(from, from + 100_000))
      return true
    }
  })
  const { result, samples } = await hear(t, { audioUrl: url, startMs: 50_000 })
  assert.equal(result.outcome, 'completed')
  assert.deepEqual(asked.slice(2), at)
  assert.ok(isSame(samples, (await hear(t, { audio: body, startMs: 50_000 })).samples))
})

for (const [what, accepts, part] of [
  ['that does not say it sends parts', '', undefined],
  ['that sends the whole instead', 'accept-ranges: bytes\r\n', (body) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\netag: "one"\r\n\r\n`],
  ['whose sound has changed', 'accept-ranges: bytes\r\n', (body) => `HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4800044-${body.length - 1}/${body.length}\r\netag: "two"\r\n\r\n`],
  ['that sends another part', 'accept-ranges: bytes\r\n', (body) => `HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 7-${body.length - 1}/${body.length}\r\netag: "one"\r\n\r\n`],
  ['that refuses', 'accept-ranges: bytes\r\n', () => 'HTTP/1.1 416 Range Not Satisfiable\r\ncontent-length: 0\r\n\r\n'],
  ['that fails', 'accept-ranges: bytes\r\n', () => 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n']
]) {
  test(`downloads everything from a server ${what}`, async (t) => {
    const body = sweep(60)
    const { url, asked } = await serveParts(t, body, {
      head: Infinity,
      accepts,
      answer(socket, { first }) {
        if (first === undefined) return false
        socket.end(part(body))
        return true
      }
    })
    const { result, samples } = await hear(t, { audioUrl: url, startMs: 50_000 })
    assert.equal(result.outcome, 'completed', JSON.stringify(result))
    assert.ok(asked.length <= 2, `it was asked for ${asked}`)
    assert.ok(isSame(samples, (await hear(t, { audio: body, startMs: 50_000 })).samples))
  })
}

test('a seek beyond the end requests nothing and ends', async (t) => {
  const body = sweep(20)
  const { url, asked } = await serveParts(t, body, { head: Infinity })
  const { result } = await hear(t, { audioUrl: url, startMs: 10 * MINUTE })
  const { result: expected } = await hear(t, { audio: body, startMs: 10 * MINUTE })
  assert.equal(result.outcome, expected.outcome)
  assert.deepEqual(asked, ['all'])
})

for (const [name, body, most] of [
  ['WAV at 44.1 kHz', sweep(20, 44_100)],
  ['WAV at 11,025 Hz', sweep(20, 11_025)],
  ['WAV at 44,101 Hz', sweep(20, 44_101)],
  ...['cbr.mp3', 'cbr-padded.mp3', 'cbr-untold.mp3', 'vbr.mp3', 'vbr-untold.mp3', 'table.flac', 'frames.flac', 'first.m4a', 'last.m4a', 'mp3.mp4', 'adts.aac'].map((file) => [file, long(file)]),
  ['opus.mp4', long('opus.mp4'), 0.05],
  ['opus.caf', long('opus.caf'), 0.05]
]) {
  test(`${name}: after startMs it sounds as in one go`, async (t) => {
    const { samples: all, result: whole } = await hear(t, { audio: body })
    for (const startMs of [6_003, 7_500]) {
      const { samples, result } = await hear(t, { audio: body, startMs })
      const from = startMs * 48
      assert.equal(result.durationMs, whole.durationMs - startMs)
      // It fades in over 5 ms, and the recording ends with a whole frame.
      const worst = samples.subarray(480, all.length - from).reduce((worst, sample, n) => Math.max(worst, Math.abs(sample - all[from + 480 + n])), 0)
      assert.ok(worst < (most ?? 1e-4), `from ${startMs} ms on it is ${worst} off`)
    }
  })
}
