'use strict'

// Lines: who waits where, and for how long, at exact samples.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('./support/session')
const { tone } = require('./support/wav')

const CLIP_MS = 100
const clip = tone(440, CLIP_MS)
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clip, stopOther: false, ...options })

/** A queue in which these were asked for at time 0, in this order; the first plays. */
function line(t, requests, options) {
  const room = open(t, { overlap: 'queue', ...options })
  const results = Object.entries(requests).map(([name, request]) => play(room.session, name, request))
  const order = () => room.told.filter(({ type }) => type === 'started').map(({ requestId }) => requestId).join(' ')
  const places = (requestId) =>
    room.told.filter((event) => event.type === 'queued' && event.requestId === requestId)
      .map(({ position, atMs }) => `${position}@${atMs}`).join(' ')
  return { ...room, results, order, places }
}

test('the higher priority waits in front, of equals the earlier one, and what plays is not overtaken', async (t) => {
  const { session, order, places, of } = line(t, {
    first: {}, a: {}, b: { priority: 5 }, c: { priority: -1 }, d: { priority: 5 }, e: { priority: 1000 }
  })
  assert.deepEqual(
    session.playbacks().map(({ requestId, place }) => [requestId, place]),
    [['first', undefined], ['e', 1], ['b', 2], ['d', 3], ['a', 4], ['c', 5]]
  )
  await finish(session)
  assert.equal(order(), 'first e b d a c')
  assert.equal(places('a'), '1@0 2@0 3@0 4@0 3@100 2@200 1@300')
  assert.equal(places('e'), '1@0')
  assert.deepEqual(of('e').slice(1), ['started@100', 'completed@200'], 'without a gap, though it came last')
})

test('a move to the front, to the end, and of what does not wait', async (t) => {
  const { session, order, places, told } = line(t, { first: {}, a: {}, b: {}, c: {} })
  await session.advance(50)
  assert.deepEqual(await session.moveAudio({ requestId: 'c', position: 1 }), { moved: true })
  assert.deepEqual(await session.moveAudio({ requestId: 'a', position: 99 }), { moved: true })
  await session.advance(0)
  const before = told.length
  assert.deepEqual(await session.moveAudio({ requestId: 'first', position: 2 }), { moved: false })
  assert.deepEqual(await session.moveAudio({ requestId: 'nobody', position: 1 }), { moved: false })
  assert.deepEqual(await session.moveAudio({ requestId: 'c', position: 1 }), { moved: true })
  await session.advance(0)
  assert.equal(told.length, before, 'nobody has a new place')
  await finish(session)
  assert.equal(order(), 'first c b a')
  assert.deepEqual(['a', 'b', 'c'].map(places), ['1@0 2@50 3@50 2@100 1@200', '2@0 3@50 2@50 1@100', '3@0 1@50'])
})

test('a stop closes the line behind it, and everyone is told', async (t) => {
  const { session, order, places } = line(t, { first: {}, a: {}, b: {}, c: {} })
  await session.advance(10)
  await session.stopAudio({ requestId: 'a' })
  await finish(session)
  assert.equal(order(), 'first b c')
  assert.deepEqual(['b', 'c'].map(places), ['2@0 1@10', '3@0 2@10 1@100'])
})

test('patience ends at its sample, whatever the frame', async (t) => {
  const { session, terminal, results, places } = line(t, {
    first: {}, hasty: { queueTimeoutMs: 33.5 }, patient: { queueTimeoutMs: 0 }, default: {}
  }, { queueTimeoutMs: 61 })
  await session.advance(1000)
  await assert.rejects(results[1], {
    code: 'ERR_QUEUE_TIMEOUT', message: 'waited for its turn longer than 33.5 ms', requestId: 'hasty', positionMs: 0
  })
  assert.deepEqual(
    ['first', 'hasty', 'patient', 'default'].map((name) => terminal(name).map(({ type, atMs }) => `${type}@${atMs}`)),
    [['completed@100'], ['failed@33.5'], ['completed@200'], ['failed@61']]
  )
  assert.equal(places('patient'), '2@0 1@33.5')
})

test('whose turn comes at its last moment has its turn', async (t) => {
  const { session, of } = line(t, { first: {}, a: { queueTimeoutMs: CLIP_MS }, b: { queueTimeoutMs: 2 * CLIP_MS - 1 } })
  await finish(session)
  assert.deepEqual(of('a'), ['queued@0', 'started@100', 'completed@200'])
  assert.deepEqual(of('b'), ['queued@0', 'queued@100', 'failed@199'])
})

test('patience is counted from the request on', async (t) => {
  const { session, of } = line(t, { first: {} })
  await session.advance(30)
  play(session, 'late', { queueTimeoutMs: 50 })
  await finish(session)
  assert.deepEqual(of('late'), ['queued@30', 'failed@80'])
})

test('in real time patience ends also while nothing sounds: the first one still loads', async (t) => {
  const server = createServer() // answers nothing
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, told } = open(t, { overlap: 'queue', output: { clock: 'realtime' } })
  const audioUrl = `http://127.0.0.1:${server.address().port}/`
  const first = play(session, 'first', { audio: undefined, audioUrl })
  const begun = performance.now()
  // Its own source loads ahead of its turn just as long.
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
    told.filter(({ requestId }) => requestId === 'later').map(({ type, position }) => `${type} ${position ?? ''}`.trim()),
    ['queued 2', 'queued 1', 'failed']
  )
})

test('in real time a line that keeps moving fails nobody', async (t) => {
  const { session, order, results } = line(t, {
    a: {}, b: {}, c: {}, d: {}
  }, { queueTimeoutMs: 60000, output: { clock: 'realtime' } })
  await sleep(20)
  await session.moveAudio({ requestId: 'd', position: 1 })
  for (const { outcome } of await Promise.all(results)) assert.equal(outcome, 'completed')
  assert.equal(order(), 'a d b c')
})

test('clips shorter than a frame follow each other without a gap', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (let n = 0; n < 10; n++) play(session, `clip${n}`, { audio: tone(440, 3) })
  await finish(session)
  for (let n = 0; n < 10; n++) assert.equal(of(`clip${n}`).at(-2), `started@${3 * n}`)
})

test('a full line refuses, and a place that is given up is free', async (t) => {
  const { session, of } = line(t, { first: {}, a: { queueTimeoutMs: 10 } }, { maxQueued: 1 })
  await assert.rejects(play(session, 'b'), { code: 'ERR_QUEUE_FULL' })
  await session.advance(10)
  play(session, 'c')
  await finish(session)
  assert.deepEqual(of('c'), ['queued@10', 'started@100', 'completed@200'])
})
