'use strict'

// Radio stations: titles between the bytes of their sound, connections that break, and no end.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { serve, serveBytes } = require('../support/server')
const { open, finish } = require('../support/session')

const mp3 = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))

/** Returns a title as a station sends it. */
function block(text) {
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text)
  const units = Math.ceil(bytes.length / 16)
  return Buffer.concat([Buffer.from([units]), bytes, Buffer.alloc(units * 16 - bytes.length)])
}

/** Returns sound with titles every `interval` bytes; empty ones when there are no more. */
function station(sound, interval, titles) {
  const parts = []
  for (let at = 0; at < sound.length; at += interval) {
    const part = sound.subarray(at, at + interval)
    parts.push(part)
    if (part.length === interval) parts.push(titles.length > 0 ? block(titles.shift()) : Buffer.from([0]))
  }
  return Buffer.concat(parts)
}

async function hear(t, request) {
  const { session, heard } = open(t)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard() }
}

test('titles are stripped from the sound', async (t) => {
  const body = station(mp3, 1000, ["StreamTitle='One';", "StreamTitle='Two';"])
  const seen = []
  const url = await serve(t, ({ headers }, response) => {
    seen.push(headers['icy-metadata'])
    // With a length it is a file, and completed.
    response.writeHead(200, { 'icy-metaint': '1000', 'content-type': 'audio/mpeg', 'content-length': body.length })
    for (let at = 0; at < body.length; at += 333) response.write(body.subarray(at, at + 333))
    response.end()
  })
  const { result, samples } = await hear(t, { audioUrl: url })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(samples, (await hear(t, { audio: mp3 })).samples)
  assert.deepEqual(seen, ['1'])
})

test('metadata events come where their sound is heard', async (t) => {
  const latin1 = Buffer.from("StreamTitle='Caf\xe9 - D\xe9j\xe0 vu';StreamUrl='http://example.com/cover.png';", 'latin1')
  const said = ["StreamTitle='One; it's';", '', '', 'StreamTitle=\'日本 - 曲\';', latin1, "StreamTitle='';", 'nonsense']
  const body = station(mp3, 1000, [...said])
  const expected = [
    { station: 'Rádio' },
    { station: 'Rádio', title: "One; it's" },
    { station: 'Rádio', title: '日本 - 曲' },
    { station: 'Rádio', title: 'Café - Déjà vu', url: 'http://example.com/cover.png' },
    { station: 'Rádio' }
  ]
  const times = []
  for (const size of [1, 7, 1000, 1 << 20]) {
    const url = await serveBytes(t, (socket) => {
      socket.write(Buffer.from('ICY 200 OK\r\nicy-metaint:1000\r\nicy-name: R\xe1dio\r\ncontent-type: audio/mpeg\r\n\r\n', 'latin1'))
      for (let at = 0; at < body.length; at += size) socket.write(body.subarray(at, at + size))
    })
    const { session, told } = open(t)
    const playing = session.playAudio({ requestId: 'it', audioUrl: url, durationMs: 900 })
    await finish(session)
    assert.equal((await playing).outcome, 'completed')
    const events = told.filter(({ type }) => type === 'metadata')
    assert.deepEqual(events.map(({ title, url, station }) => ({ ...(station && { station }), ...(title && { title }), ...(url && { url }) })), expected)
    for (const { requestId, trackId } of events) assert.deepEqual([requestId, trackId], ['it', 0])
    assert.equal(told.findIndex(({ type }) => type === 'started') + 1, told.findIndex(({ type }) => type === 'metadata'))
    times.push(events.map(({ atMs }) => atMs))
  }
  for (const each of times) assert.deepEqual(each, times[0])
  // MP3 of 64 kbit/s: 8 bytes a millisecond.
  const bytes = [0, 1000, 4000, 5000, 6000]
  for (const [index, atMs] of times[0].entries()) {
    const heardMs = bytes[index] / 8
    assert.ok(Math.abs(atMs - heardMs) <= 80, `${index}: at ${atMs}, and ${heardMs} is in the file`)
  }
})

test('a station cut off within a title resumes', async (t) => {
  let count = 0
  const url = await serveBytes(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nicy-metaint: 4000\r\ntransfer-encoding: chunked\r\n\r\n')
    const body = count++ === 0 ? station(mp3.subarray(0, 8_000), 4000, []).subarray(0, -1) : station(mp3, 4000, ["StreamTitle='Again';"])
    const part = count === 1 ? Buffer.concat([body, Buffer.from([2]), Buffer.from('StreamTitle=')]) : body
    socket.write(`${part.length.toString(16)}\r\n`)
    socket.write(part)
    socket.end(count === 1 ? '' : '\r\n0\r\n\r\n')
  })
  const { session, told, heard } = open(t)
  const playing = session.playAudio({ audioUrl: url })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
  assert.deepEqual(told.filter(({ type }) => type === 'metadata').map(({ title }) => title), ['Again'])
  assert.ok(heard().length > 1.9 * 48_000)
})

test('a broken station reconnects, an ended one ends', async (t) => {
  for (const ends of [true, false]) {
    let count = 0
    const url = await serveBytes(t, (socket) => {
      const isLast = ++count === 3
      socket.write(`HTTP/1.1 200 OK\r\nicy-br: 128\r\n${isLast ? 'transfer-encoding: chunked\r\n' : ''}\r\n`)
      if (!isLast) return socket.end(mp3)
      socket.write(`${mp3.length.toString(16)}\r\n`)
      socket.write(mp3)
      socket.end(ends ? '\r\n0\r\n\r\n' : '\r\n')
      if (!ends) count = -100
    })
    const { result, samples } = await hear(t, { audioUrl: url, durationMs: ends ? undefined : 3500 })
    assert.equal(result.outcome, 'completed', result.message)
    const one = (await hear(t, { audio: mp3 })).samples.length
    if (ends) assert.ok(samples.length > 2.5 * one, `${samples.length / one}`)
    else assert.equal(samples.length, 3.5 * 48_000)
  }
})

test('a station that does not come back is truncated', async (t) => {
  let count = 0
  const url = await serveBytes(t, (socket) => {
    if (count++ > 0) return socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
    socket.write('ICY 200 OK\r\n\r\n')
    socket.end(mp3)
  })
  const { result } = await hear(t, { audioUrl: `${url}/;?token=plantedplantedplanted` })
  assert.equal(result.code, 'ERR_TRUNCATED')
  assert.match(result.message, /404/)
  assert.ok(!result.message.includes('planted'))
  assert.equal(count, 2)
})

test('a station can neither seek nor loop', async (t) => {
  const url = await serveBytes(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nicy-br: 128\r\ntransfer-encoding: chunked\r\n\r\n')
    for (let times = 0; times < 100; times++) {
      socket.write(`${mp3.length.toString(16)}\r\n`)
      socket.write(mp3)
      socket.write('\r\n')
    }
    socket.end('0\r\n\r\n')
  })
  const { session } = open(t, { output: { type: 'none' } })
  const playing = session.playAudio({ requestId: 'it', audioUrl: url, loop: 2 }).catch((error) => error)
  await session.advance(2000)
  await assert.rejects(session.seekAudio({ requestId: 'it', positionMs: 0 }), { code: 'ERR_NOT_SEEKABLE' })
  await finish(session)
  const { code, durationMs } = await playing
  assert.equal(code, 'ERR_NOT_SEEKABLE')
  assert.ok(durationMs > 99_000, `${durationMs}`)
})

test('an endless source plays in bounded memory', async (t) => {
  // PCM of 192 kHz in 8 channels is 3 MB a second: 300 MiB are under two minutes.
  const head = Buffer.alloc(44)
  const [rate, channels] = [192_000, 8]
  head.write('RIFF', 0)
  head.writeUInt32LE(0xffffffff, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(channels, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * channels * 2, 28)
  head.writeUInt16LE(channels * 2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(0xffffffff, 40)
  const silence = Buffer.alloc(1 << 20)
  for (const icy of [true, false]) {
    const url = await serve(t, async (request, response) => {
      response.writeHead(200, icy ? { 'icy-br': '1' } : {}).write(head)
      for (let mebibytes = 0; mebibytes < 300 && !response.destroyed; mebibytes++) {
        if (!response.write(silence)) await Promise.race([once(response, 'drain'), once(response, 'close')])
      }
      response.end()
    })
    const { session } = open(t, { output: { type: 'none' }, maxDurationMs: 86_400_000 })
    const playing = session.playAudio({ audioUrl: url })
    await finish(session)
    const { outcome, durationMs } = await playing
    assert.equal(outcome, 'completed')
    assert.equal(durationMs, Math.round((300 * (1 << 20) * 1000) / (rate * channels * 2)))
  }
})
