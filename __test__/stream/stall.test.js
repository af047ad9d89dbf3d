'use strict'

// A late writer: silence, `stalled`, and `stallTimeoutMs`.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { openStream, steady } = require('../support/stream')

const MS = 48

test('a late writer causes silence and stalled', async (t) => {
  const { session, stream: s, heard, told } = openStream(t)
  s.write(steady(100))
  await session.advance(150)
  s.write(steady(60))
  await session.advance(100)
  s.end()
  await session.advance(1)
  const stalls = told.filter(({ type }) => type === 'stalled').map(({ atMs, positionMs }) => [atMs, positionMs])
  assert.deepEqual(stalls, [[100, 100], [210, 160]])
  assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 160, positionMs: 160 })
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(94), at(97.5), at(100), at(149), at(150), at(152.5), at(156)], [0.5, 0.25, 0, 0, 0, 0.25, 0.5])
  assert.equal(session.stats().underruns, 2)
})

test('after a stall the stream restarts at 40 ms', async (t) => {
  const { session, stream: s, heard } = openStream(t)
  s.write(steady(50))
  await session.advance(60)
  s.write(steady(39))
  await session.advance(20)
  assert.ok(heard().subarray(50 * MS).every((sample) => sample === 0))
  s.end()
  await session.advance(40)
  assert.equal(heard()[90 * MS], 0.5)
  assert.equal((await s.finished).durationMs, 89)
})

test('stallTimeoutMs fails the stream', async (t) => {
  for (const [request, options] of [[{ stallTimeoutMs: 300 }, {}], [{}, { stallTimeoutMs: 300 }]]) {
    const { session, stream: s, of } = openStream(t, request, options)
    await session.advance(1000) // it has not started, so it is not a stall
    s.write(steady(50))
    await session.advance(200)
    s.write(steady(50))
    await session.advance(1000)
    await assert.rejects(s.finished, { code: 'ERR_STALLED', requestId: 's', positionMs: 100 })
    assert.deepEqual(of('s'), ['started@1000', 'stalled@1050', 'stalled@1250', 'failed@1550'])
  }
  const { session, stream: s } = openStream(t, { stallTimeoutMs: 0 }, { stallTimeoutMs: 300 })
  s.write(steady(50))
  await session.advance(5000)
  assert.equal(session.playbacks()[0].requestId, s.requestId)
})
