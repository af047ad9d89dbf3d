'use strict'

// Twenty thousand requests in one queue: which events each gets, and that there are no others.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open } = require('../support/session')
const { tone } = require('../support/wav')

const COUNT = 20_000
const CLIP_MS = 10
const clip = tone(440, CLIP_MS)

test('20,000 queued requests learn their positions', async (t) => {
  const { session, told } = open(t, { overlap: 'queue', maxQueued: 100_000 })
  const ends = []
  const play = (requestId) => ends.push(session.playAudio({ requestId, audio: clip, stopOther: false }))
  const begun = performance.now()
  for (let n = 0; n <= COUNT; n++) play(`${n}`)
  t.diagnostic(`${COUNT} calls held the thread for ${Math.round(performance.now() - begun)} ms`)
  assert.equal(session.stats().queued, COUNT)

  const PLAYED = 30
  await session.advance(PLAYED * CLIP_MS)
  // Each gets its position when it is queued, and once more when that becomes 1.
  const places = Array.from({ length: COUNT }, (_, n) => [[n + 1, 0]])
  for (let n = 1; n <= PLAYED; n++) places[n].push([1, n * CLIP_MS])
  const queued = Array.from({ length: COUNT }, () => [])
  for (const { type, requestId, queuePosition, atMs } of told) if (type === 'queued') queued[requestId - 1].push([queuePosition, atMs])
  assert.deepEqual(queued, places)

  const stopping = performance.now()
  const { stopped } = await session.stopAudio()
  t.diagnostic(`stopAudio() of ${stopped.length} took ${Math.round(performance.now() - stopping)} ms`)
  assert.deepEqual(stopped, Array.from({ length: COUNT + 1 - PLAYED }, (_, n) => `${n + PLAYED}`))
  await session.advance(20)
  const outcomes = (await Promise.all(ends)).map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, Array.from({ length: COUNT + 1 }, (_, n) => (n < PLAYED ? 'completed' : 'stopped')))
  const { completed, queued: waiting } = session.stats()
  assert.deepEqual([completed, waiting, session.playbacks().length], [PLAYED, 0, 0])
  assert.equal(told.filter(({ type }) => type === 'queued').length, COUNT + PLAYED, 'a position was told while all stopped')
})

test('rising priorities are reported once each', async (t) => {
  const { session, told } = open(t, { overlap: 'queue', maxQueued: 100_000 })
  const ends = ['first', ...Array.from({ length: 2000 }, (_, n) => `${n}`)].map((requestId, n) => {
    return session.playAudio({ requestId, audio: clip, stopOther: false, priority: n - 1000 })
  })
  await session.advance(0)
  const queued = told.filter(({ type }) => type === 'queued')
  assert.equal(queued.length, 2000)
  assert.ok(queued.every(({ queuePosition }) => queuePosition === 1), 'each comes to the front')
  await session.stopAudio()
  await session.advance(20)
  assert.equal((await Promise.all(ends)).filter(({ outcome }) => outcome === 'stopped').length, 2001)
})
