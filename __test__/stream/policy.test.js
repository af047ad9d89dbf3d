'use strict'

// A stream is a playback like any other: limits, stops, queues, seeks and pauses.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { RAW, steady, write } = require('../support/stream')

const MS = 48

test('limits fail the stream, refusals throw', async (t) => {
  const { session } = open(t, { maxConcurrent: 1 })
  const first = session.createStream({ ...RAW, requestId: 'same' })
  const second = session.createStream({ ...RAW, stopOther: false })
  assert.equal((await write(second, steady(1))).code, 'ERR_TOO_MANY_PLAYBACKS')
  await assert.rejects(second.finished, { code: 'ERR_TOO_MANY_PLAYBACKS' })
  assert.ok(second.destroyed)
  await second.flush()
  assert.throws(() => session.createStream({ ...RAW, requestId: 'same' }), { code: 'ERR_DUPLICATE_REQUEST' })
  await session.close()
  assert.equal((await first.finished).reason, 'closed')
  assert.throws(() => session.createStream(RAW), { code: 'ERR_CLOSED' })
})

test('ten streams end at the same sample', async (t) => {
  const { session, heard, told } = open(t, { output: { channels: 1 } })
  const streams = Array.from({ length: 10 }, () => session.createStream({ ...RAW, stopOther: false, volume: 0.1 }))
  for (const stream of streams) stream.end(steady(200, 0.5))
  await session.advance(300)
  for (const { outcome } of await Promise.all(streams.map(({ finished }) => finished))) assert.equal(outcome, 'completed')
  assert.deepEqual(told.filter(({ type }) => type === 'completed').map(({ atMs }) => atMs), Array(10).fill(200))
  assert.ok(Math.abs(heard()[100 * MS] - 0.5) < 1e-6)

  const others = Array.from({ length: 3 }, () => session.createStream({ ...RAW, stopOther: false }))
  others[0].write(steady(100))
  session.createStream(RAW).end(steady(20))
  await finish(session)
  for (const { reason } of await Promise.all(others.map(({ finished }) => finished))) assert.equal(reason, 'replaced')
})

test('a queued stream buffers and follows without a gap', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue' })
  const [first, second] = [1, 2].map((n) => session.createStream({ ...RAW, requestId: `${n}`, stopOther: false }))
  const written = []
  for (let n = 0; n < 5; n++) second.write(steady(500, 0.25), () => written.push(n))
  second.end()
  first.end(steady(250))
  await session.advance(100)
  assert.deepEqual(written, [0, 1], 'a second, and what is decoded ahead')
  assert.equal(session.playbacks()[1].state, 'queued')
  await finish(session)
  assert.deepEqual(written, [0, 1, 2, 3, 4])
  assert.deepEqual([heard()[250 * MS - 1], heard()[250 * MS], heard()[2750 * MS - 1]], [0.5, 0.25, 0.25])
})

test('seeking a stream gives ERR_NOT_SEEKABLE', async (t) => {
  const { session } = open(t)
  const stream = session.createStream({ ...RAW, requestId: 's' })
  stream.end(steady(100))
  await session.advance(50)
  await assert.rejects(session.seekAudio({ requestId: 's', positionMs: 0 }), { code: 'ERR_NOT_SEEKABLE' })
  await session.advance(50)
  assert.equal((await stream.finished).durationMs, 100)
})

test('pause keeps what is written, flush drops it', async (t) => {
  const { session, heard } = open(t)
  const stream = session.createStream({ ...RAW, requestId: 's' })
  stream.write(steady(500))
  await session.advance(100)
  await session.pauseAudio({ requestId: 's' })
  await session.advance(100)
  await stream.flush()
  stream.end(steady(50, 0.25))
  await session.advance(100)
  await session.resumeAudio({ requestId: 's' })
  await session.advance(100)
  assert.deepEqual(await stream.finished, { requestId: 's', outcome: 'completed', durationMs: 155, positionMs: 155 })
  assert.ok(heard().subarray(105 * MS, 300 * MS).every((sample) => sample === 0))
  assert.deepEqual([heard()[310 * MS], heard()[350 * MS - 1]], [0.25, 0.25])
})
