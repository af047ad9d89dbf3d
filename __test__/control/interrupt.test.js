'use strict'

// `interrupt`, the barge-in.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { level, tone } = require('../support/wav')

const MS = 48
const clip = tone(440, 500)
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clip, stopOther: false, ...options })

test('interrupt keeps a role and reports positions', async (t) => {
  const { session, heard, of, told } = open(t, { overlap: 'queue' })
  const music = { audio: tone(880, 500), role: 'media', trackId: 1 }
  play(session, 'music', music)
  play(session, 'speech', { role: 'voice', trackId: 2 })
  play(session, 'next', { role: 'voice', trackId: 2 })
  await session.advance(123)
  assert.deepEqual(await session.interrupt({ keep: ['media', 'ambient'], reason: 'barge-in' }), {
    atMs: 123,
    interrupted: [
      { requestId: 'speech', trackId: 2, role: 'voice', positionMs: 123 },
      { requestId: 'next', trackId: 2, role: 'voice', positionMs: 0 }
    ],
    groups: []
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

test('interrupt without arguments stops every role', async (t) => {
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

test('interrupt with nothing to do resolves empty', async (t) => {
  const { session, terminal } = open(t)
  assert.deepEqual(await session.interrupt(), { atMs: session.stats().timeMs, interrupted: [], groups: [] })
  play(session, 'a')
  await session.advance(20)
  assert.equal((await session.interrupt({ reason: 'first' })).interrupted.length, 1)
  assert.deepEqual(await session.interrupt({ reason: 'second' }), { atMs: session.stats().timeMs, interrupted: [], groups: [] }, 'it fades already')
  await session.advance(20)
  assert.deepEqual(terminal('a').map(({ reason }) => reason), ['first'])
  await session.close()
  assert.deepEqual(await session.interrupt(), { atMs: session.stats().timeMs, interrupted: [], groups: [] })
})

test('interrupt sums what was heard of a turn', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  const says = (requestId, group, options) => play(session, requestId, { group, role: 'voice', trackId: 2, audio: tone(440, 200), ...options })
  says('hello', 'turn 1')
  says('how', 'turn 1', { startMs: 50 })
  says('are you', 'turn 1')
  says('ahead', 'turn 2')
  play(session, 'apart', { trackId: 1 })
  await session.advance(300)
  const { interrupted, groups } = await session.interrupt({ keep: ['media'] })
  assert.deepEqual(interrupted.map(({ requestId, group, positionMs }) => [requestId, group, positionMs]), [
    ['how', 'turn 1', 150], ['are you', 'turn 1', 0], ['ahead', 'turn 2', 0]
  ])
  assert.deepEqual(groups, [{ group: 'turn 1', heardMs: 300 }, { group: 'turn 2', heardMs: 0 }], 'not from where it began')
  says('again', 'turn 1')
  await session.advance(100)
  assert.deepEqual((await session.interrupt()).groups, [{ group: 'turn 1', heardMs: 405 }], 'the fade was heard, too')
  await finish(session)
  assert.deepEqual(of('how'), ['queued@0', 'started@200', 'stopped@305'])
})

test('a muted track does not count as heard', async (t) => {
  const { session } = open(t)
  play(session, 'a', { group: 'g' })
  await session.advance(100)
  await session.track(0).setMuted(true)
  await session.advance(100)
  await session.track(0).setMuted(false)
  await session.advance(100)
  assert.deepEqual((await session.interrupt()).groups, [{ group: 'g', heardMs: 200 }])
})

test('an interruption can let a word end', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue' })
  play(session, 'short', { audio: tone(880, 150) })
  play(session, 'long', { trackId: 1 })
  play(session, 'waits', { trackId: 1 })
  await session.advance(100)
  const { interrupted } = await session.interrupt({ afterMs: 100, fadeOutMs: 200 })
  assert.deepEqual(interrupted.map(({ requestId, positionMs }) => [requestId, positionMs]), [['short', 100], ['long', 100], ['waits', 0]])
  await session.advance(50)
  assert.deepEqual(session.playbacks().map(({ requestId, state }) => [requestId, state]), [['long', 'stopping']])
  await finish(session)
  assert.deepEqual(of('short'), ['started@0', 'completed@150'], 'heard to its end')
  assert.deepEqual(of('long'), ['started@0', 'stopped@400'])
  assert.deepEqual(of('waits'), ['queued@0', 'stopped@100'])
  const at = (ms) => level(heard(), ms * MS, (ms + 25) * MS, 440) // 11 periods
  assert.ok(Math.abs(at(170) - at(50)) < 0.01, 'it goes on')
  assert.ok(Math.abs(at(287.5) - at(50) / 2) < 0.01, 'half of the fade')
})

test('stop ends a deferred interruption at once', async (t) => {
  const { session, of } = open(t)
  play(session, 'a')
  await session.advance(20)
  await session.interrupt({ afterMs: 400 })
  await session.advance(20)
  assert.deepEqual(await session.stopAudio({ requestId: 'a' }), { stopped: [] }, 'it is stopped already')
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@45'])
})

test('interrupt while loading cancels the download', async (t) => {
  let closed
  const gone = new Promise((resolve) => { closed = resolve })
  const server = createServer((request, response) => response.on('close', closed)) // never answers
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
