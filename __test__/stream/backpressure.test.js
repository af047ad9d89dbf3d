'use strict'

// How far a writer may be ahead, and what wakes a session that waits for one.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { RAW, steady, write } = require('../support/stream')

test('a minute written at once waits for room', async (t) => {
  const { session } = open(t)
  const stream = session.createStream(RAW)
  let taken = 0
  const writing = (async () => {
    for (let n = 0; n < 60; n++) {
      await write(stream, steady(1000))
      taken += 1
    }
    stream.end()
  })()
  await sleep(50)
  assert.equal(taken, 1, 'one second, and what is decoded ahead of it')
  assert.equal(stream.write(steady(1000)), false)
  for (let n = 1; n <= 60; n++) {
    await session.advance(1000)
    assert.ok(taken <= n + 2, `${taken} s taken after ${n} s`)
  }
  await finish(session)
  await writing
  assert.equal((await stream.finished).durationMs, 61_000)
})

test('realtime: paces the writer, silent in a stall', async (t) => {
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  const stream = session.createStream(RAW)
  stream.write(steady(40))
  await once(session, 'started')
  await once(session, 'stalled')
  const begun = performance.now()
  for (let n = 0; n < 20; n++) await write(stream, steady(100))
  // What is not accepted is at most a second, plus the ring buffer.
  assert.ok(performance.now() - begun >= 600, 'it was not paced')
  stream.end()
  const { durationMs } = await stream.finished
  assert.equal(durationMs, 2040)
  assert.equal(told.filter(({ type }) => type === 'stalled').length, 1)
})

test('a session of stalled streams sleeps until called', async (t) => {
  const { session, of } = open(t, { output: { clock: 'realtime' } })
  const rests = async () => {
    let last
    while (session.stats().timeMs !== last) {
      last = session.stats().timeMs
      await sleep(200)
    }
    return last
  }
  const streams = ['a', 'b'].map((requestId) => session.createStream({ ...RAW, requestId, stopOther: false }))
  for (const stream of streams) stream.write(steady(60))
  await once(session, 'started')
  assert.ok((await rests()) < 1000)
  streams[0].write(steady(100))
  assert.ok((await rests()) >= 300, 'the time that was skipped is there again')
  await streams[0].flush()
  await rests()
  const paused = once(session, 'paused')
  await session.pauseAudio({ requestId: 'a' })
  await paused
  await session.resumeAudio({ requestId: 'a' })
  streams[0].end(steady(40))
  assert.equal((await streams[0].finished).durationMs, 200)
  await rests()
  await session.stopAudio()
  assert.equal((await streams[1].finished).durationMs, 60)
  const what = (requestId) => of(requestId).map((text) => text.replace(/@.*/, ''))
  assert.deepEqual(what('a'), ['started', 'stalled', 'stalled', 'paused', 'resumed', 'completed'])
  assert.deepEqual(what('b'), ['started', 'stalled', 'stopped'])
})
