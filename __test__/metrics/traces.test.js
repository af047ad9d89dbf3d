'use strict'

// A span for each playback, seen by OpenTelemetry's own SDK.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { context, trace, SpanStatusCode } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')

const { SpeakerSession } = require('../..')
const { traceSession } = require('../../adapters/opentelemetry')
const { random } = require('../support/random')
const { finish } = require('../support/session')
const { tone } = require('../support/wav')

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())

const audio = tone(440, 100)

/** Opens a session on the manual clock whose playbacks are traced from now on. */
function open(t, options) {
  exporter.reset()
  const session = traceSession(new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, ...options }))
  t.after(() => session.close())
  return session
}

const ms = ([seconds, nanos]) => seconds * 1000 + nanos / 1e6

/** Returns the span of a request, in short form. */
function spanOf(requestId) {
  const spans = exporter.getFinishedSpans().filter(({ attributes }) => attributes['speaker_session.request_id'] === requestId)
  assert.equal(spans.length, 1, `spans of ${requestId}`)
  const [{ attributes, events, status, startTime, endTime, parentSpanContext, name }] = spans
  const short = Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key.replace('speaker_session.', ''), value]))
  const at = Object.fromEntries(events.map((event) => [event.name, ms(event.time) - ms(startTime)]))
  return { name, ...short, names: events.map((event) => event.name), at, status, lasts: ms(endTime) - ms(startTime), parent: parentSpanContext?.spanId }
}

test("a span's parent is the span active at the request", async (t) => {
  const session = open(t, { overlap: 'queue' })
  const tracer = trace.getTracer('test')
  const parents = {}
  for (const requestId of ['first', 'second']) {
    await tracer.startActiveSpan(`turn of ${requestId}`, async (span) => {
      parents[requestId] = span.spanContext().spanId
      await sleep(1)
      session.playAudio({ requestId, audio, stopOther: false, trackId: 2, group: 'turn', role: 'voice' })
      span.end()
    })
  }
  session.createStream({ requestId: 'stream', format: 'pcm16', sampleRate: 48000, stopOther: false }).end(Buffer.alloc(960))
  await finish(session)
  const { name, names, outcome, duration_ms, position_ms, track_id, source, group, role, parent } = spanOf('second')
  assert.deepEqual({ name, names, outcome, duration_ms, position_ms, track_id, source, group, role, parent }, {
    name: 'speaker-session playAudio', names: ['queued', 'first sample'], outcome: 'completed', duration_ms: 100, position_ms: 100, track_id: 2,
    source: 'buffer', group: 'turn', role: 'voice', parent: parents.second
  })
  assert.equal(spanOf('first').parent, parents.first)
  const stream = spanOf('stream')
  assert.deepEqual([stream.name, stream.source, stream.outcome, stream.parent], ['speaker-session createStream', 'stream', 'completed', undefined])
})

test('realtime: span events are in order', async (t) => {
  exporter.reset()
  const session = traceSession(new SpeakerSession({ output: { type: 'memory' }, network: 'any' }))
  const server = createServer(async (request, response) => {
    await sleep(50)
    response.end(audio)
  }).listen(0, '127.0.0.1')
  t.after(async () => {
    await session.close()
    server.close()
  })
  await once(server, 'listening')
  const host = `127.0.0.1:${server.address().port}`
  const long = 'x'.repeat(25)
  await session.playAudio({ requestId: 'url', audioUrl: `http://somebody:planted@${host}/a/${long}.mp3?key=planted#planted` })
  const { at, names, lasts, ...span } = spanOf('url')
  assert.deepEqual(names, ['first byte', 'first sample'])
  assert.ok(at['first byte'] >= 49 && at['first byte'] <= at['first sample'] && at['first sample'] <= lasts, JSON.stringify({ at, lasts }))
  assert.equal(span['url.full'], `http://${host}/a/<masked>`)
  assert.equal(span.source, 'url')
  assert.doesNotMatch(JSON.stringify(exporter.getFinishedSpans().map(({ attributes, events, status }) => [attributes, events, status])), /planted|somebody/)
})

test("a station's metadata appears in the span", async (t) => {
  exporter.reset()
  const said = Buffer.from("StreamTitle='A song';StreamUrl='http://host/?key=planted';".padEnd(64, '\0'))
  const body = Buffer.concat([audio.subarray(0, 1000), Buffer.from([4]), said, audio.subarray(1000)])
  const server = createServer((request, response) => response.writeHead(200, { 'icy-metaint': 1000, 'icy-name': 'A station' }).end(body))
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const session = traceSession(new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, network: 'any' }))
  t.after(() => session.close())
  const playing = session.playAudio({ requestId: 'radio', audioUrl: `http://127.0.0.1:${server.address().port}/` }).catch(() => {})
  await finish(session)
  await playing
  const told = exporter.getFinishedSpans()[0].events.filter(({ name }) => name === 'metadata').map(({ attributes }) => attributes)
  assert.deepEqual(told, [{ station: 'A station' }, { title: 'A song', station: 'A station' }])
})

test('distinguishes failures, refusals, stops and joins', async (t) => {
  const session = open(t, { onDuplicate: 'join' })
  session.playAudio({ requestId: 'missing', audioUrl: '/nowhere.wav' })
  await assert.rejects(session.playAudio({ audioUrl: 5 }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => session.createStream({ format: 'nothing' }), { code: 'ERR_INVALID_ARGUMENT' })
  await assert.rejects(session.playAudio(), { code: 'ERR_INVALID_ARGUMENT' })
  await session.advance(10)
  const once = session.playAudio({ requestId: 'twice', audio })
  assert.equal(session.playAudio({ requestId: 'twice', audio }), once)
  await session.advance(40)
  session.pauseAudio()
  await session.advance(40)
  session.resumeAudio()
  await session.stopAudio({ reason: 'enough' })
  await finish(session)
  const missing = spanOf('missing')
  assert.deepEqual([missing.outcome, missing['error.type'], missing.status.code, missing.source], ['failed', 'ERR_FILE', SpanStatusCode.ERROR, 'file'])
  const others = exporter.getFinishedSpans().map(({ attributes }) => attributes['speaker_session.outcome'])
  assert.deepEqual(others.sort(), ['failed', 'joined', 'refused', 'refused', 'refused', 'stopped'])
  const stopped = spanOf('twice')
  assert.deepEqual([stopped.outcome, stopped.reason, stopped.names], ['stopped', 'enough', ['joined', 'first sample', 'paused', 'resumed']])
})

test('playbacks with one requestId have their own spans', async (t) => {
  const below = random(7)
  const session = open(t)
  const outcomes = []
  for (let n = 0; n < 300; n++) {
    const stopOther = below(3) === 0
    const playing = session.playAudio({ requestId: `id ${below(2)}`, audio: tone(440, 20 + below(300)), stopOther, fadeOutMs: 50 })
    if (playing.requestId !== undefined) outcomes.push(playing.then(({ outcome, durationMs }) => [outcome, durationMs], ({ code }) => [code]))
    if (below(2) === 0) session.stopAudio({ requestId: `id ${below(2)}`, fadeOutMs: below(200) })
    if (below(2) === 0) await session.advance(below(60))
  }
  await finish(session)
  await Promise.all(outcomes)
  const spans = exporter.getFinishedSpans().filter(({ attributes }) => attributes['speaker_session.request_id'])
  assert.equal(spans.length, outcomes.length)
  for (const { attributes, events } of spans) {
    const begun = events.filter(({ name }) => name === 'first sample').length
    assert.equal(begun, attributes['speaker_session.duration_ms'] > 0 ? 1 : 0, JSON.stringify(attributes))
  }
})

test('tracing a session twice changes nothing', async (t) => {
  const session = open(t)
  assert.equal(traceSession(session), session)
  const playing = session.playAudio({ requestId: 'a', audioUrl: '/nowhere.wav' })
  assert.equal(playing.requestId, 'a')
  await session.advance(10)
  const error = await playing.catch((error) => error)
  // The stack begins at the caller.
  assert.match(error.stack.split('\n')[1], /traces\.test\.js/)
  assert.equal(exporter.getFinishedSpans().length, 1)
})
