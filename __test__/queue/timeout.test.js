'use strict'

// `queueTimeoutMs`: how long a playback may wait for its turn.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { CLIP_MS, line, play } = require('../support/queue')
const { open, finish } = require('../support/session')

test('queueTimeoutMs ends at its exact sample', async (t) => {
  const { session, terminal, results, places } = line(t, {
    first: {}, hasty: { queueTimeoutMs: 33.5 }, patient: { queueTimeoutMs: 0 }, default: {}
  }, { queueTimeoutMs: 61 })
  await session.advance(1000)
  await assert.rejects(results[1], {
    code: 'ERR_QUEUE_TIMEOUT', message: 'Expected a turn within 33.5 ms (queueTimeoutMs) but received none', requestId: 'hasty', positionMs: 0
  })
  assert.deepEqual(
    ['first', 'hasty', 'patient', 'default'].map((name) => terminal(name).map(({ type, atMs }) => `${type}@${atMs}`)),
    [['completed@100'], ['failed@33.5'], ['completed@200'], ['failed@61']]
  )
  assert.equal(places('patient'), '2@0 1@33.5')
})

test('a turn at the last moment counts', async (t) => {
  const { session, of } = line(t, { first: {}, a: { queueTimeoutMs: CLIP_MS }, b: { queueTimeoutMs: 2 * CLIP_MS - 1 } })
  await finish(session)
  assert.deepEqual(of('a'), ['queued@0', 'started@100', 'completed@200'])
  assert.deepEqual(of('b'), ['queued@0', 'queued@100', 'failed@199'])
})

test('queueTimeoutMs counts from the request', async (t) => {
  const { session, of } = line(t, { first: {} })
  await session.advance(30)
  play(session, 'late', { queueTimeoutMs: 50 })
  await finish(session)
  assert.deepEqual(of('late'), ['queued@30', 'failed@80'])
})

test('realtime: queueTimeoutMs counts in silence', async (t) => {
  const server = createServer() // never answers
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, told } = open(t, { overlap: 'queue', output: { clock: 'realtime' } })
  const audioUrl = `http://127.0.0.1:${server.address().port}/`
  const first = play(session, 'first', { audio: undefined, audioUrl })
  const begun = performance.now()
  // Its own source loads ahead of its turn for just as long.
  const hasty = play(session, 'hasty', { audio: undefined, audioUrl, queueTimeoutMs: 120 })
  const later = play(session, 'later', { queueTimeoutMs: 240 })
  await assert.rejects(hasty, { code: 'ERR_QUEUE_TIMEOUT' })
  assert.ok(performance.now() - begun >= 119)
  await assert.rejects(later, { code: 'ERR_QUEUE_TIMEOUT' })
  assert.ok(performance.now() - begun >= 239)
  assert.deepEqual(session.playbacks().map(({ requestId, state }) => [requestId, state]), [['first', 'loading']])
  await session.stopAudio()
  assert.equal((await first).outcome, 'stopped')
  assert.deepEqual(
    told.filter(({ requestId }) => requestId === 'later').map(({ type, queuePosition }) => `${type} ${queuePosition ?? ''}`.trim()),
    ['queued 2', 'queued 1', 'failed']
  )
})

test('realtime: a moving queue times nobody out', async (t) => {
  const { session, order, results } = line(t, {
    a: {}, b: {}, c: {}, d: {}
  }, { queueTimeoutMs: 60000, output: { clock: 'realtime' } })
  await sleep(20)
  await session.moveAudio({ requestId: 'd', queuePosition: 1 })
  for (const { outcome } of await Promise.all(results)) assert.equal(outcome, 'completed')
  assert.equal(order(), 'a d b c')
})
