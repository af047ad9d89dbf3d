'use strict'

// The output that keeps nothing.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open } = require('../support/session')
const { listen, timeline } = require('../support/tap')
const { tone } = require('../support/wav')

const DAY = 24 * 3600 * 1000
const NONE = { output: { type: 'none' } }

/** Plays a queue of three clips, one of them stopped, and returns the events. */
async function played(t, output) {
  const { session, told } = open(t, { output, overlap: 'queue' })
  for (const requestId of ['a', 'b', 'c']) session.playAudio({ requestId, audio: tone(440, 500), stopOther: false })
  await session.advance(700)
  await session.stopAudio({ requestId: 'b', fadeOutMs: 30 })
  await session.close({ drain: true })
  return told
}

test('emits the same events as the memory output', async (t) => {
  const told = await played(t, { type: 'none' })
  assert.deepEqual(told, await played(t, { type: 'memory' }))
  assert.deepEqual(told.filter(({ type }) => type === 'completed').map(({ atMs }) => atMs), [500, 1200])
})

test('has no limit and is exact after days', async (t) => {
  const { session, of } = open(t, NONE)
  for (let day = 0; day < 30; day++) await session.advance(DAY)
  assert.equal(session.stats().timeMs, 30 * DAY)
  session.playAudio({ requestId: 'late', audio: tone(440, 500) })
  await session.advance(DAY)
  assert.deepEqual(of('late'), [`started@${30 * DAY}`, `completed@${30 * DAY + 500}`])
})

test('a tap hears what is not kept', async (t) => {
  const { session } = open(t, NONE)
  const { session: remembers, heard } = open(t)
  const frames = listen(session.tap({ format: 'f32' }))
  for (const each of [session, remembers]) {
    each.playAudio({ audio: tone(440, 500) })
    await each.advance(1000)
  }
  await session.close()
  const samples = timeline(frames, { format: 'f32' })
  assert.equal(samples.length, 500 * 48)
  assert.deepEqual(samples, heard().subarray(0, samples.length))
})

test('has no recording and no other options', async (t) => {
  const { session } = open(t, NONE)
  const unsupported = { code: 'ERR_UNSUPPORTED_OPERATION', message: "Expected output.type 'memory' for recording but received 'none'" }
  assert.throws(() => session.recording(), unsupported)
  assert.throws(() => open(t, { output: { type: 'none', path: 'x.wav' } }), { code: 'ERR_INVALID_ARGUMENT', message: /only type, clock, channels/ })
})

test('realtime: takes real time', async (t) => {
  const { session, of } = open(t, { output: { type: 'none', clock: 'realtime' } })
  const begun = performance.now()
  await session.playAudio({ requestId: 'a', audio: tone(440, 300) })
  assert.ok(performance.now() - begun >= 200, 'no sooner than it is heard')
  assert.deepEqual(of('a').map((event) => event.replace(/@.*/, '')), ['started', 'completed'])
})
