'use strict'

// `started` reports how long after its request a playback is heard, and when the first byte of its source arrived.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

test('on the manual clock latency is the time queued', async (t) => {
  const { session, told } = open(t, { overlap: 'queue' })
  await session.advance(300)
  const audio = tone(440, 250)
  for (const requestId of ['first', 'second']) session.playAudio({ requestId, audio, stopOther: false })
  await session.advance(600)
  const started = told.filter(({ type }) => type === 'started').map(({ requestId, latencyMs, firstByteMs }) => [requestId, latencyMs, firstByteMs])
  assert.deepEqual(started, [['first', 0, undefined], ['second', 250, undefined]])
})

test('realtime: the first byte comes before the first sample', async (t) => {
  const session = new SpeakerSession({ output: { type: 'memory' } })
  const file = tone(440, 200)
  const server = createServer(async (request, response) => {
    await sleep(100)
    response.writeHead(200, { 'content-type': 'audio/wav', 'content-length': file.length }).write(file.subarray(0, 20))
    await sleep(100)
    response.end(file.subarray(20))
  }).listen(0, '127.0.0.1')
  t.after(async () => {
    await session.close()
    server.close()
  })
  await once(server, 'listening')
  const request = performance.now()
  session.playAudio({ audioUrl: `http://127.0.0.1:${server.address().port}/` })
  const [{ latencyMs, firstByteMs }] = await once(session, 'started')
  const passed = performance.now() - request
  // Timers may be a millisecond early.
  assert.ok(firstByteMs >= 99 && firstByteMs <= latencyMs && latencyMs >= 198 && latencyMs <= passed, `${firstByteMs}, ${latencyMs} of ${passed} ms`)
})

test('realtime: streams and files report a first byte', async (t) => {
  const session = new SpeakerSession({ output: { type: 'memory' } })
  t.after(() => session.close())
  const clip = await SpeakerSession.clip({ audio: tone(440, 30) })
  t.after(() => clip.close())
  const started = []
  session.on('started', (event) => started.push(event))
  const stream = session.createStream({ requestId: 'stream', format: 'pcm16', sampleRate: 48000 })
  await sleep(50)
  stream.end(Buffer.alloc(9600, 1))
  await stream.finished
  await session.playAudio({ requestId: 'file', audio: tone(440, 30) })
  await session.playAudio({ requestId: 'clip', audio: clip })
  assert.deepEqual(started.map(({ requestId }) => requestId), ['stream', 'file', 'clip'])
  const [written, file, made] = started
  assert.ok(written.firstByteMs >= 49 && written.firstByteMs <= written.latencyMs, JSON.stringify(written))
  assert.ok(file.firstByteMs <= file.latencyMs)
  assert.equal('firstByteMs' in made, false)
})
