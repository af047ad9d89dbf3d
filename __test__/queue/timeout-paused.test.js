'use strict'

// `queueTimeoutMs` measures waiting; while the playback at the head of the queue is paused, the time does not count.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { line, play } = require('../support/queue')
const { finish } = require('../support/session')
const { tone } = require('../support/wav')

test('a queue timeout stands still while all is paused', async (t) => {
  const { session, terminal, of } = line(t, { first: {}, a: { queueTimeoutMs: 50 } })
  await session.advance(20)
  await session.pauseAudio()
  await session.advance(3_600_000)
  assert.deepEqual(terminal('a'), [])
  const { timeMs } = session.stats()
  await session.resumeAudio()
  await finish(session)
  assert.equal(of('a').at(-1), `failed@${timeMs + 30}`)
})

test('a queue timeout stands still on a held track', async (t) => {
  const { session, terminal, of } = line(t, { first: {}, a: { queueTimeoutMs: 50 }, elsewhere: { trackId: 1, audio: tone(440, 5000) } })
  await session.advance(20)
  await session.pauseAudio({ requestId: 'first' })
  await session.advance(1000)
  play(session, 'late', { queueTimeoutMs: 20 }) // into a paused queue
  await session.advance(1000)
  assert.deepEqual([...terminal('a'), ...terminal('late')], [])
  await session.resumeAudio({ requestId: 'first' })
  await finish(session)
  assert.deepEqual([of('late').at(-1), of('a').at(-1)], ['failed@2040', 'failed@2050'])
})

test("only the paused playback's timeout stands still", async (t) => {
  const { session, of } = line(t, { first: { audio: tone(440, 1000) }, a: { queueTimeoutMs: 50 }, b: { queueTimeoutMs: 60 } })
  await session.advance(20)
  await session.pauseAudio({ requestId: 'a' })
  await session.advance(200)
  assert.deepEqual(of('b').at(-1), 'failed@60')
  await session.resumeAudio({ requestId: 'a' })
  await finish(session)
  assert.deepEqual(of('a').at(-1), 'failed@250')
})

for (const waits of [false, true]) {
  test(`realtime: the timeout stands still, paused ${waits ? 'while it sounds' : 'before it starts'}`, async (t) => {
    const long = { audio: tone(440, 10_000) }
    const { session, terminal, results } = line(t, { first: long }, { output: { clock: 'realtime' } })
    if (waits) await once(session, 'started')
    const waiting = play(session, 'a', { queueTimeoutMs: 1000 })
    await session.pauseAudio()
    await sleep(1500)
    assert.deepEqual(terminal('a'), [])
    assert.deepEqual(session.playbacks().map(({ requestId, state }) => [requestId, state]), [['first', 'paused'], ['a', 'paused']])
    await session.resumeAudio()
    await assert.rejects(waiting, { code: 'ERR_QUEUE_TIMEOUT' })
    await session.stopAudio()
    assert.equal((await results[0]).outcome, 'stopped')
  })
}
