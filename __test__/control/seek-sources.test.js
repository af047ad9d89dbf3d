'use strict'

// Seeking in files, downloads and streams, which have to be read again.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const path = require('node:path')
const { test } = require('node:test')

const { ramp, slice } = require('../support/samples')
const { open, finish } = require('../support/session')

const MS = 48
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

test('seeking in a deleted file fails', async (t) => {
  const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
  const folder = mkdtempSync(path.join(require('node:os').tmpdir(), 'speaker-session-'))
  const file = path.join(folder, 'clip.wav')
  writeFileSync(file, clip.audio)
  const { session } = open(t)
  const playing = session.playAudio({ audioUrl: file })
  await session.advance(100)
  rmSync(folder, { recursive: true })
  await session.seekAudio({ positionMs: 0 })
  await Promise.all([assert.rejects(playing, { code: 'ERR_FILE', durationMs: 105 }), finish(session)])
})

/** Starts a server for one test and returns its address. */
async function serve(t, answer) {
  const server = http.createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}/clip.wav`
}

test('seeking in a download does not fetch again', async (t) => {
  let requests = 0
  let more
  const url = await serve(t, (request, response) => {
    requests += 1
    response.setHeader('content-length', clip.audio.length)
    response.write(clip.audio.subarray(0, 44 + 200 * MS * 2))
    more = () => response.end(clip.audio.subarray(44 + 200 * MS * 2))
  })
  const { session, heard } = open(t)
  const playing = session.playAudio({ audioUrl: url })
  await session.advance(100)
  await session.seekAudio({ positionMs: 20 })
  await session.advance(50)
  await session.seekAudio({ positionMs: 400 })
  const advancing = session.advance(200)
  more()
  await advancing
  assert.equal((await playing).durationMs, 255)
  assert.deepEqual(slice(heard(), 110, 150), slice(clip.samples, 25, 65))
  assert.deepEqual(slice(heard(), 160, 255), slice(clip.samples, 405, 500))
  assert.equal(requests, 1)
})

test('a download of unknown length is not seekable', async (t) => {
  let more
  const url = await serve(t, (request, response) => {
    response.write(clip.audio.subarray(0, 44 + 300 * MS * 2))
    more = () => response.end(clip.audio.subarray(44 + 300 * MS * 2))
  })
  const { session, heard, of } = open(t)
  session.playAudio({ requestId: 'live', audioUrl: url, volume: 0.5 })
  play(session, 'other', { volume: 0.5 })
  await session.advance(100)
  for (const target of [{ requestId: 'live' }, {}]) {
    await assert.rejects(session.seekAudio({ ...target, positionMs: 0 }), {
      code: 'ERR_NOT_SEEKABLE', message: /for seekAudio but that of "live" has none yet/
    })
  }
  assert.deepEqual(await session.seekAudio({ requestId: 'other', positionMs: 400 }), { sought: ['other'] })
  more()
  await session.advance(250)
  assert.deepEqual(slice(heard(), 205, 350), slice(clip.samples, 205, 350).map((sample) => sample / 2), 'it goes on as it was')
  while (session.playbacks().length > 0) {
    const sought = await session.seekAudio({ requestId: 'live', positionMs: 450 }).catch(({ code }) => code)
    await session.advance(10)
    if (sought !== 'ERR_NOT_SEEKABLE') break
  }
  await finish(session)
  assert.ok(of('live').some((event) => event.startsWith('sought')), 'it is whole now')
})

test('a stream is not seekable and plays on', async (t) => {
  const { session } = open(t)
  const stream = session.createStream({ requestId: 'said', format: 'f32', sampleRate: 48000, channels: 1 })
  stream.end(Buffer.alloc(4 * 100 * MS))
  await assert.rejects(session.seekAudio({ positionMs: 0 }), { code: 'ERR_NOT_SEEKABLE' })
  await session.advance(200)
  assert.equal((await stream.finished).durationMs, 100)
})
