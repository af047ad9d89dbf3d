'use strict'

// Queues play one after another, and in which order, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { MS, clips, play, sounds } = require('../support/tones')
const { tone } = require('../support/wav')

test('playbacks follow each other without a gap', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  assert.deepEqual(
    session.playbacks().map(({ requestId, state, queuePosition }) => [requestId, state, queuePosition]),
    [['a', 'loading', undefined], ['b', 'queued', 1], ['c', 'queued', 2]]
  )
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'started@500', 'completed@1000'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@500', 'started@1000', 'completed@1500'])
  const samples = heard()
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const clip = Float32Array.from({ length: 500 * MS }, (_, n) => clips[name].readInt16LE(44 + 2 * n) / 32768)
    assert.deepEqual(samples.slice(index * 500 * MS, (index + 1) * 500 * MS), clip, name)
  }
})

test('awaiting each playback keeps the same order', async (t) => {
  const { session, of } = open(t, { overlap: 'queue', output: { clock: 'realtime' } })
  const short = tone(440, 40)
  await play(session, 'one', { audio: short })
  await play(session, 'two', { audio: short })
  assert.equal(of('two')[0].split('@')[0], 'started', 'nothing to wait for')
})

test('stopOther true cancels the queue', async (t) => {
  const { session, heard, told } = open(t, { overlap: 'queue' })
  play(session, 'a')
  const waiting = play(session, 'b')
  await session.advance(100)
  play(session, 'c', { stopOther: true })
  await finish(session)
  assert.deepEqual(await waiting, {
    requestId: 'b', outcome: 'stopped', reason: 'replaced', durationMs: 0, positionMs: 0
  })
  assert.equal(sounds(heard(), 110, 590, 880), false, 'a cancelled playback came back')
  assert.equal(sounds(heard(), 110, 590, 1320), true)
  assert.equal(told.filter(({ requestId }) => requestId === 'b').length, 2, 'queued and stopped, nothing else')
})

test('tracks run in parallel', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2 })
  play(session, 'c', { trackId: 1 })
  await finish(session)
  assert.deepEqual([of('a')[0], of('b')[0]], ['started@0', 'started@0'])
  assert.deepEqual(of('c'), ['queued@0', 'started@500', 'completed@1000'])
})

test('a stop moves the queue up', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  await session.advance(107)
  await session.stopAudio({ requestId: 'a', reason: 'user' })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@112'])
  assert.deepEqual(of('b'), ['queued@0', 'started@107', 'completed@607'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@107', 'started@607', 'completed@1107'])
})

test('requests at the moment of an end play', async (t) => {
  const sessions = Array.from({ length: 8 }, () => open(t, { output: { clock: 'realtime' }, overlap: 'queue' }).session)
  const clip = tone(440, 3)
  const playing = []
  for (let n = 0; n < 80; n++) {
    for (const session of sessions) playing.push(session.playAudio({ audio: clip, stopOther: false }))
    await new Promise((resolve) => setTimeout(resolve, n % 4))
  }
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
})
