'use strict'

// `priority`, `moveAudio` and queue positions, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { line, play } = require('../support/queue')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

test('higher priority waits in front', async (t) => {
  const { session, order, places, of } = line(t, {
    first: {}, a: {}, b: { priority: 5 }, c: { priority: -1 }, d: { priority: 5 }, e: { priority: 1000 }
  })
  assert.deepEqual(
    session.playbacks().map(({ requestId, queuePosition }) => [requestId, queuePosition]),
    [['first', undefined], ['e', 1], ['b', 2], ['d', 3], ['a', 4], ['c', 5]]
  )
  await finish(session)
  assert.equal(order(), 'first e b d a c')
  assert.equal(places('a'), '1@0 1@300', 'on arrival, and when it is the next')
  assert.equal(places('e'), '1@0')
  assert.deepEqual(of('e').slice(1), ['started@100', 'completed@200'], 'without a gap, though it came last')
})

test('moveAudio to the front and the end', async (t) => {
  const { session, order, places, told } = line(t, { first: {}, a: {}, b: {}, c: {} })
  await session.advance(50)
  assert.deepEqual(await session.moveAudio({ requestId: 'c', queuePosition: 1 }), { moved: true })
  assert.deepEqual(await session.moveAudio({ requestId: 'a', queuePosition: 99 }), { moved: true })
  await session.advance(0)
  const before = told.length
  assert.deepEqual(await session.moveAudio({ requestId: 'first', queuePosition: 2 }), { moved: false })
  assert.deepEqual(await session.moveAudio({ requestId: 'nobody', queuePosition: 1 }), { moved: false })
  assert.deepEqual(await session.moveAudio({ requestId: 'c', queuePosition: 1 }), { moved: true })
  await session.advance(0)
  assert.equal(told.length, before, 'nobody has a new position')
  await finish(session)
  assert.equal(order(), 'first c b a')
  assert.deepEqual(['a', 'b', 'c'].map(places), ['1@0 3@50 1@200', '2@0 1@100', '3@0 1@50'])
})

test('a stop moves the next one up', async (t) => {
  const { session, order, places } = line(t, { first: {}, a: {}, b: {}, c: {} })
  await session.advance(10)
  await session.stopAudio({ requestId: 'a' })
  await finish(session)
  assert.equal(order(), 'first b c')
  assert.deepEqual(['b', 'c'].map(places), ['2@0 1@10', '3@0 1@100'])
})

test('clips shorter than a frame leave no gap', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (let n = 0; n < 10; n++) play(session, `clip${n}`, { audio: tone(440, 3) })
  await finish(session)
  for (let n = 0; n < 10; n++) assert.equal(of(`clip${n}`).at(-2), `started@${3 * n}`)
})

test('maxQueued refuses until a place is free', async (t) => {
  const { session, of } = line(t, { first: {}, a: { queueTimeoutMs: 10 } }, { maxQueued: 1 })
  await assert.rejects(play(session, 'b'), { code: 'ERR_QUEUE_FULL' })
  await session.advance(10)
  play(session, 'c')
  await finish(session)
  assert.deepEqual(of('c'), ['queued@10', 'started@100', 'completed@200'])
})
