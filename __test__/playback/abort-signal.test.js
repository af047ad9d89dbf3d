'use strict'

// AbortSignal in every state of a playback, for streams, joined requests and `connect`; and that no listener is
// left behind.

const assert = require('node:assert/strict')
const { EventEmitter, getEventListeners, once } = require('node:events')
const { createServer } = require('node:http')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { MS, flat } = require('../support/mix')
const { abortable, finish, open } = require('../support/session')
const { RAW, steady } = require('../support/stream')
const { tone } = require('../support/wav')

const clip = tone(440, 1000)
const listeners = (signal) => getEventListeners(signal, 'abort').length

test('abort stops with the 5 ms fade', async (t) => {
  const { session, heard, of } = open(t)
  const controller = new AbortController()
  const playing = session.playAudio({ requestId: 'a', audio: flat(1000, 0.5), signal: controller.signal })
  await session.advance(300)
  controller.abort()
  await finish(session)
  assert.deepEqual(await playing, { requestId: 'a', outcome: 'stopped', reason: 'aborted', durationMs: 305, positionMs: 305 })
  assert.deepEqual(of('a'), ['started@0', 'stopped@305'])
  const samples = heard()
  for (const [n, level] of [[300 * MS - 1, 0.5], [302.5 * MS, 0.25], [305 * MS, 0]]) {
    assert.ok(Math.abs(samples[n] - level) < 0.01, `${samples[n]} at sample ${n}`)
  }
  assert.equal(listeners(controller.signal), 0)
})

test('an aborted signal refuses the request', async (t) => {
  const { session, told } = open(t)
  const signal = AbortSignal.abort()
  const audio = Readable.from([clip])
  const error = { name: 'SpeakerError', code: 'ERR_ABORTED', message: 'Expected a signal that is not aborted yet but it is' }
  await assert.rejects(session.playAudio({ requestId: 'a', audio: clip, signal }), error)
  await assert.rejects(session.playAudio({ requestId: 'b', audio, signal }), error)
  assert.throws(() => session.createStream({ ...RAW, requestId: 'c', signal }), error)
  await assert.rejects(session.connect({ signal }), error)
  assert.deepEqual([session.playbacks(), audio.readableDidRead, listeners(signal)], [[], false, 0])
  await session.advance(100)
  assert.deepEqual(told.map(({ type }) => type), ['connected'], 'by advance')
})

test('abort stops queued, paused and loading playbacks', async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1') // never answers
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  await once(server, 'listening')
  const { session, of } = open(t, { overlap: 'queue' })
  const controllers = Array.from({ length: 3 }, () => new AbortController())
  const [paused, queued, loading] = controllers.map(({ signal }) => signal)
  const common = { audio: clip, stopOther: false }
  session.playAudio({ ...common, requestId: 'paused', signal: paused }).catch(() => {})
  session.playAudio({ ...common, requestId: 'queued', signal: queued })
  await session.advance(100)
  await session.pauseAudio({ requestId: 'paused' })
  await session.advance(100)
  const audioUrl = `http://127.0.0.1:${server.address().port}/`
  session.playAudio({ requestId: 'loading', audioUrl, trackId: 1, stopOther: false, signal: loading })
  await once(server, 'request')
  assert.deepEqual(session.playbacks().map(({ state }) => state), ['paused', 'loading', 'queued'])
  for (const controller of controllers.reverse()) controller.abort()
  await session.advance(0)
  assert.deepEqual(session.playbacks(), [])
  assert.deepEqual(of('paused'), ['started@0', 'paused@105', 'stopped@200'])
  assert.deepEqual(of('queued'), ['queued@0', 'stopped@200'])
  assert.deepEqual(of('loading'), ['stopped@200'])
  assert.deepEqual([paused, queued, loading].map(listeners), [0, 0, 0])
})

test('abort after the end does nothing', async (t) => {
  const { session, of } = open(t)
  const controller = new AbortController()
  const first = session.playAudio({ requestId: 'a', audio: flat(100, 0.5), signal: controller.signal })
  await session.advance(200)
  await first
  assert.equal(listeners(controller.signal), 0)
  const second = session.playAudio({ requestId: 'a', audio: flat(100, 0.5) })
  controller.abort()
  await finish(session)
  assert.equal((await second).outcome, 'completed')
  assert.deepEqual(of('a'), ['started@0', 'completed@100', 'started@200', 'completed@300'])
})

test('one signal stops all its playbacks', async (t) => {
  const warnings = []
  const warn = (warning) => warnings.push(warning.message)
  process.on('warning', warn)
  t.after(() => process.off('warning', warn))
  const { session } = open(t, { maxConcurrent: 30 })
  const { signal, abort } = abortable()
  const many = Array.from({ length: 20 }, () => session.playAudio({ audio: clip, stopOther: false, signal }))
  const other = session.playAudio({ audio: clip, stopOther: false })
  await session.advance(50)
  assert.equal(listeners(signal), 1, 'ten are a leak to Node')
  abort()
  await finish(session)
  for (const { reason, durationMs } of await Promise.all(many)) assert.deepEqual([reason, durationMs], ['aborted', 55])
  assert.equal((await other).outcome, 'completed')
  await new Promise(setImmediate)
  assert.deepEqual([listeners(signal), warnings], [0, []])
})

test('abort of a joined request does not stop it', async (t) => {
  const { session } = open(t, { onDuplicate: 'join' })
  const { signal, abort } = abortable()
  const first = session.playAudio({ requestId: 'a', audio: clip })
  assert.equal(session.playAudio({ requestId: 'a', audio: clip, signal }), first)
  abort()
  await finish(session)
  assert.equal((await first).outcome, 'completed')
})

test('abort destroys streams and Readables', async (t) => {
  const { session } = open(t)
  const { signal, abort } = abortable()
  const stream = session.createStream({ ...RAW, stopOther: false, signal })
  stream.write(steady(500))
  const audio = new Readable({ read() {} })
  const piped = session.playAudio({ ...RAW, audio, stopOther: false, signal })
  audio.push(steady(500))
  await session.advance(200)
  abort()
  await finish(session)
  for (const { reason, durationMs } of await Promise.all([stream.finished, piped])) {
    assert.deepEqual([reason, durationMs], ['aborted', 205])
  }
  if (!audio.closed) await once(audio, 'close')
  assert.deepEqual([stream.destroyed, audio.destroyed, listeners(signal)], [true, true, 0])
})

test('a signal is validated', async (t) => {
  const { session } = open(t)
  const error = { code: 'ERR_INVALID_ARGUMENT', message: /^Expected an AbortSignal for signal but received 'now' of type string$/ }
  await assert.rejects(session.playAudio({ audio: clip, signal: 'now' }), error)
  await assert.rejects(session.connect({ signal: 'now' }), error)
  assert.throws(() => session.createStream({ ...RAW, signal: 'now' }), error)
})

/** Opens a session for a room whose join waits for its token; `asked` tells when one is requested. */
function joining(t) {
  const asked = new EventEmitter()
  const token = () => {
    asked.emit('token')
    return new Promise(() => {})
  }
  const output = { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:9', token, connectTimeoutMs: 60_000 }
  return { ...open(t, { output }), asked }
}

const aborted = { name: 'SpeakerError', code: 'ERR_ABORTED' }

test('abort of connect gives up the attempt', async (t) => {
  const { session, told, asked } = joining(t)
  const { signal, abort } = abortable()
  const connecting = session.connect({ signal })
  await once(asked, 'token')
  assert.equal(listeners(signal), 1)
  abort()
  await assert.rejects(connecting, aborted)
  assert.equal(listeners(signal), 0)
  session.connect().catch(() => {})
  await once(asked, 'token')
  assert.deepEqual(told, [])
})

test('abort of connect spares other callers', async (t) => {
  const { session, told, asked } = joining(t)
  const { signal, abort } = abortable()
  const [connecting, other] = [session.connect({ signal }), session.connect()]
  await once(asked, 'token')
  asked.on('token', () => assert.fail('it joins anew'))
  let isSettled = false
  other.catch(() => {}).finally(() => (isSettled = true))
  abort()
  await assert.rejects(connecting, aborted)
  const playing = session.playAudio({ audio: clip })
  const late = abortable()
  const third = session.connect({ signal: late.signal })
  late.abort()
  await assert.rejects(third, aborted)
  assert.deepEqual([isSettled, told], [false, []])
  const closed = assert.rejects(other, { code: 'ERR_CLOSED' })
  await session.close()
  await closed
  assert.equal((await playing).reason, 'closed')
})

test('abort after connect does nothing', async (t) => {
  const { session } = open(t)
  const { signal, abort } = abortable()
  await session.connect({ signal })
  assert.equal(listeners(signal), 0)
  abort()
  await session.connect()
  assert.equal((await session.playAudio({ audio: Buffer.alloc(0) }).catch((error) => error)).code, 'ERR_EMPTY_SOURCE')
})
