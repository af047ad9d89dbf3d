'use strict'

// Interruptions, stops that overtake their requests, and requests that come twice.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('./support/session')
const { level, tone } = require('./support/wav')

const MS = 48
const clip = tone(440, 500)
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clip, stopOther: false, ...options })

test('interrupt stops what is said, clears what waits, keeps the music, and says how far each came', async (t) => {
  const { session, heard, of, told } = open(t, { overlap: 'queue' })
  const music = { audio: tone(880, 500), role: 'media', trackId: 1 }
  play(session, 'music', music)
  play(session, 'speech', { role: 'voice', trackId: 2 })
  play(session, 'next', { role: 'voice', trackId: 2 })
  await session.advance(123)
  assert.deepEqual(await session.interrupt({ keep: ['media', 'ambient'], reason: 'barge-in' }), {
    interrupted: [
      { requestId: 'speech', trackId: 2, role: 'voice', positionMs: 123 },
      { requestId: 'next', trackId: 2, role: 'voice', positionMs: 0 }
    ]
  })
  play(session, 'answer', { role: 'voice', trackId: 2, audio: tone(1320, 100) })
  await finish(session)
  assert.deepEqual(of('speech'), ['started@0', 'stopped@128'], 'the 5 ms fade')
  assert.deepEqual(of('next'), ['queued@0', 'stopped@123'])
  assert.deepEqual(of('answer'), ['started@123', 'completed@223'], 'the turn is free at once')
  assert.deepEqual(of('music'), ['started@0', 'completed@500'])
  const stopped = told.filter(({ type }) => type === 'stopped')
  assert.deepEqual(stopped.map(({ reason, positionMs }) => [reason, positionMs]), [['barge-in', 0], ['barge-in', 128]])
  assert.ok(level(heard(), 128 * MS, 228 * MS, 440) < 0.003, 'what was interrupted is heard on')
})

test('interrupt without anything: everything, whatever its role, with its own reason', async (t) => {
  const { session } = open(t)
  const results = ['system', 'voice', 'media', 'ambient'].map((role) => play(session, role, { role }))
  await session.advance(20)
  const { interrupted } = await session.interrupt()
  assert.deepEqual(interrupted.map(({ requestId, positionMs }) => `${requestId}@${positionMs}`), [
    'system@20', 'voice@20', 'media@20', 'ambient@20'
  ])
  await session.advance(20)
  for (const { outcome, reason, positionMs } of await Promise.all(results)) {
    assert.deepEqual([outcome, reason, positionMs], ['stopped', 'interrupted', 25])
  }
})

test('interrupt with nothing to interrupt, twice over one fade, and when the session is closed', async (t) => {
  const { session, terminal } = open(t)
  assert.deepEqual(await session.interrupt(), { interrupted: [] })
  play(session, 'a')
  await session.advance(20)
  assert.equal((await session.interrupt({ reason: 'first' })).interrupted.length, 1)
  assert.deepEqual(await session.interrupt({ reason: 'second' }), { interrupted: [] }, 'it fades already')
  await session.advance(20)
  assert.deepEqual(terminal('a').map(({ reason }) => reason), ['first'])
  await session.close()
  assert.deepEqual(await session.interrupt(), { interrupted: [] })
})

test('interrupt while it loads: it was never heard, and its connection is given up', async (t) => {
  let closed
  const gone = new Promise((resolve) => { closed = resolve })
  const server = createServer((request, response) => response.on('close', closed)) // answers nothing
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  const asked = new Promise((resolve) => server.once('request', resolve))
  const loading = session.playAudio({ requestId: 'a', audioUrl: `http://127.0.0.1:${server.address().port}/`, role: 'voice' })
  await asked
  const { interrupted } = await session.interrupt({ keep: ['media'] })
  assert.deepEqual(interrupted, [{ requestId: 'a', trackId: 0, role: 'voice', positionMs: 0 }])
  assert.deepEqual(await loading, {
    requestId: 'a', outcome: 'stopped', reason: 'interrupted', durationMs: 0, positionMs: 0
  })
  await gone
  assert.deepEqual(told.map(({ type }) => type), ['connected', 'stopped'])
})

test('a stop that overtakes its request ends it as it comes, and nobody else', async (t) => {
  const { session, of, told } = open(t)
  play(session, 'a')
  await session.advance(100)
  assert.deepEqual(await session.stopAudio({ requestId: 'late', reason: 'user' }), { stopped: [] })
  await session.advance(100)
  assert.deepEqual(await play(session, 'late', { stopOther: true, audio: undefined, audioUrl: '/nowhere.wav' }), {
    requestId: 'late', outcome: 'stopped', reason: 'user', durationMs: 0, positionMs: 0
  })
  const again = play(session, 'late')
  await finish(session)
  assert.equal((await again).outcome, 'completed', 'a stop stops once')
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
  assert.deepEqual(of('late'), ['stopped@200', 'started@200', 'completed@700'])
  assert.deepEqual(told.map(({ seq }) => seq), told.map((_, index) => index + 1))
})

test('it waits for five seconds of the session\'s time', async (t) => {
  for (const [ms, outcome] of [[5000, 'stopped'], [5001, 'completed']]) {
    const { session } = open(t)
    await session.stopAudio({ requestId: 'a' })
    await session.advance(ms)
    const playing = play(session, 'a')
    await finish(session)
    assert.equal((await playing).outcome, outcome, `after ${ms} ms`)
  }
})

test('a stop after the end stops nobody who comes later', async (t) => {
  const { session } = open(t)
  play(session, 'a')
  await session.advance(600)
  await session.stopAudio({ requestId: 'a' })
  const again = play(session, 'a')
  await finish(session)
  assert.equal((await again).outcome, 'completed')
})

test('in real time a stop waits while nothing sounds, and not for ever', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const audio = tone(440, 20)
  for (const requestId of ['soon', 'late']) await session.stopAudio({ requestId, reason: 'user' })
  await sleep(50)
  assert.equal((await session.playAudio({ requestId: 'soon', audio })).reason, 'user')
  await sleep(5100)
  assert.equal((await session.playAudio({ requestId: 'late', audio })).outcome, 'completed')
})

test('onDuplicate join: the second call settles as the first, and changes nothing', async (t) => {
  const { session, of } = open(t, { onDuplicate: 'join' })
  const first = play(session, 'a')
  await session.advance(100)
  const second = play(session, 'a', { stopOther: true, trackId: 7 })
  assert.equal(session.playbacks().length, 1)
  await session.stopAudio({ requestId: 'a', reason: 'user' })
  const third = play(session, 'a')
  await session.advance(20)
  assert.deepEqual(await second, { requestId: 'a', outcome: 'stopped', reason: 'user', durationMs: 105, positionMs: 105 })
  assert.deepEqual([await first, await third], [await second, await second])
  assert.deepEqual(of('a'), ['started@0', 'stopped@105'])
  await assert.rejects(play(session, 'a', { volume: 2 }), { code: 'ERR_INVALID_ARGUMENT' })
  const later = play(session, 'a')
  await finish(session)
  assert.equal((await later).outcome, 'completed', 'after its end it is a request of its own')
})

test('onDuplicate join: a failure fails both, once', async (t) => {
  const { session, terminal } = open(t, { onDuplicate: 'join' })
  // A stream, for it can't fail before the second call.
  const stream = session.createStream({ requestId: 'a', format: 'mp3' })
  const both = [stream.finished, play(session, 'a')]
  stream.end('this is not audio, however long it is read')
  await session.advance(20)
  for (const promise of both) await assert.rejects(promise, { code: 'ERR_UNSUPPORTED_FORMAT', requestId: 'a' })
  assert.equal(terminal('a').length, 1)
})

test('onDuplicate join: while the first end is still on its way, the id is a request of its own', async (t) => {
  const { session } = open(t, { onDuplicate: 'join', overlap: 'queue' })
  play(session, 'first')
  const waiting = play(session, 'a')
  session.stopAudio({ requestId: 'a', reason: 'user' }) // ends it at once; the event is told later
  const again = play(session, 'a')
  const joined = play(session, 'a')
  await finish(session)
  assert.equal((await waiting).reason, 'user')
  assert.deepEqual([(await again).outcome, (await joined).outcome], ['completed', 'completed'])
})
