'use strict'

// `progress`: how often it is emitted, and in which order.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

test('every 5 ms gives 200 a second', async (t) => {
  const { session, told } = open(t, { progressIntervalMs: 5 })
  session.playAudio({ audio: tone(440, 1000) })
  await finish(session)
  const progress = told.filter(({ type }) => type === 'progress').map(({ atMs, positionMs }) => [atMs, positionMs])
  assert.deepEqual(progress, Array.from({ length: 200 }, (_, n) => [5 * (n + 1), 5 * (n + 1)]))
})

test('progress of many voices never goes back', async (t) => {
  for (const overlap of ['mix', 'queue']) {
    const { session, told } = open(t, { progressIntervalMs: 7, overlap, crossfadeMs: overlap === 'queue' ? 50 : 0 })
    for (let n = 0; n < 8; n++) {
      session.playAudio({ requestId: `${n}`, audio: tone(300 + n, 180 + 13 * n), stopOther: false, trackId: n % 3, startMs: n / 3 })
      await session.advance(11 / 3)
    }
    await session.pauseAudio({ requestId: '1' })
    await session.advance(31)
    await session.resumeAudio()
    await session.seekAudio({ requestId: '2', positionMs: 20 })
    await finish(session)
    assert.ok(told.filter(({ type }) => type === 'progress').length > 100)
    for (let n = 1; n < told.length; n++) {
      const [before, event] = [told[n - 1], told[n]]
      assert.ok(event.atMs >= before.atMs, `${event.type}@${event.atMs} after ${before.type}@${before.atMs}, overlap ${overlap}`)
    }
  }
})
