'use strict'

// Fading playbacks do not count for `maxConcurrent`, so their number is limited separately.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const MAX = 2

test('long fades do not escape maxConcurrent', async (t) => {
  const { session, terminal } = open(t, { maxConcurrent: MAX })
  const audio = tone(440, 20_000, { amplitude: 0.01 })
  const ends = []
  let most = 0
  for (let n = 0; n < 50; n++) {
    ends.push(session.playAudio({ requestId: `${n}`, audio, stopOther: false }))
    await session.advance(20)
    const states = session.playbacks().map(({ state }) => state)
    const [playing, stopping] = ['playing', 'stopping'].map((wanted) => states.filter((state) => state === wanted).length)
    assert.equal(playing + stopping, states.length, `${states}`)
    assert.ok(playing <= MAX && stopping <= MAX, `${playing} play and ${stopping} fade`)
    most = Math.max(most, states.length)
    // One at a time or both, so that the places are full at times.
    if (n % 3) await session.stopAudio({ ...(n % 2 ? {} : { requestId: `${n}` }), fadeOutMs: 5000 })
  }
  assert.equal(most, 2 * MAX, 'long fades are allowed')
  await session.stopAudio({ fadeOutMs: 5000 })
  await finish(session)
  const refused = (await Promise.allSettled(ends)).filter(({ reason }) => reason?.code === 'ERR_TOO_MANY_PLAYBACKS').length
  assert.equal(refused, 0)
  for (let n = 0; n < 50; n++) assert.deepEqual(terminal(`${n}`).map(({ type, reason }) => [type, reason]), [['stopped', 'stopped']])
})

test('cuts the oldest of too many fades short', async (t) => {
  const { session, of } = open(t, { maxConcurrent: 1 })
  for (const name of ['a', 'b', 'c']) {
    session.playAudio({ requestId: name, audio: tone(440, 20_000, { amplitude: 0.1 }), stopOther: false })
    await session.advance(100)
    await session.stopAudio({ requestId: name, fadeOutMs: 5000 })
  }
  await finish(session)
  assert.deepEqual([of('a'), of('b'), of('c')], [
    ['started@0', 'stopped@205'], ['started@100', 'stopped@305'], ['started@200', 'stopped@5300']
  ])
})
