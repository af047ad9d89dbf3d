'use strict'

// Pause and resume, in every state a playback can be in, at exact samples.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { close, crossed, ramp, slice } = require('../support/samples')
const { tone } = require('../support/wav')

const MS = 48
const EDGE = 5 * MS
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

test('pause fades out and resume continues there', async (t) => {
  const { session, heard, of, told } = open(t)
  const playing = play(session, 'a')
  await session.advance(100)
  assert.deepEqual(await session.pauseAudio(), { paused: ['a'] })
  await session.advance(200)
  const [{ state, positionMs }] = session.playbacks()
  assert.deepEqual([state, positionMs], ['paused', 105])
  assert.equal(session.stats().paused, 1)
  assert.deepEqual(await session.resumeAudio({ requestId: 'a' }), { resumed: ['a'] })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'paused@105', 'resumed@300', 'completed@695'])
  assert.deepEqual(told.filter(({ type }) => /pau|resu/.test(type)).map(({ positionMs }) => positionMs), [105, 105])
  assert.deepEqual(await playing, { requestId: 'a', outcome: 'completed', durationMs: 500, positionMs: 500 })
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 100), slice(clip.samples, 0, 100))
  crossed(samples, clip.samples, [100, 100], [300, 105])
  assert.ok(slice(samples, 105, 300).every((sample) => sample === 0))
  assert.deepEqual(slice(samples, 305, 695), slice(clip.samples, 110, 500))
})

test('pause and resume are idempotent', async (t) => {
  const { session, of } = open(t)
  assert.deepEqual(await session.pauseAudio(), { paused: [] })
  play(session, 'a')
  assert.deepEqual(await session.resumeAudio(), { resumed: [] })
  await session.advance(20)
  await session.pauseAudio()
  assert.deepEqual(await session.pauseAudio({ trackId: 0 }), { paused: [] })
  await session.advance(20)
  assert.deepEqual(await session.pauseAudio({ requestId: 'a' }), { paused: [] })
  assert.deepEqual(await session.resumeAudio({ trackId: 1 }), { resumed: [] })
  assert.deepEqual(await session.resumeAudio(), { resumed: ['a'] })
  assert.deepEqual(await session.resumeAudio(), { resumed: [] })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'paused@25', 'resumed@40', 'completed@515'])
})

test('resume during the fade emits no events', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(2.5)
  await session.resumeAudio()
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
  const samples = heard()
  close(samples[100 * MS + EDGE / 2], clip.samples[100 * MS + EDGE / 2] / 2, 'the lowest')
  close(samples[105 * MS], (clip.samples[105 * MS] * 3) / 4, 'half of the way up again')
  assert.deepEqual(slice(samples, 107.5, 500), slice(clip.samples, 107.5, 500))
})

test('pausing one track leaves the others playing', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2, volume: 0.25 })
  await session.advance(100)
  assert.deepEqual(await session.pauseAudio({ trackId: 1 }), { paused: ['a'] })
  await session.advance(500)
  assert.deepEqual(of('b'), ['started@0', 'completed@500'])
  assert.deepEqual(slice(heard(), 105, 500), slice(clip.samples.map((sample) => sample / 4), 105, 500))
})

test('stop while paused ends at once', async (t) => {
  const { session, heard, of } = open(t)
  const first = play(session, 'a')
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(100)
  assert.deepEqual(await session.stopAudio({ fadeOutMs: 1000, reason: 'user' }), { stopped: ['a'] })
  assert.deepEqual(await first, { requestId: 'a', outcome: 'stopped', reason: 'user', durationMs: 105, positionMs: 105 })
  assert.deepEqual(of('a'), ['started@0', 'paused@105', 'stopped@200'])

  const second = play(session, 'b')
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(2)
  await session.stopAudio({ fadeOutMs: 1000 })
  await session.advance(20)
  assert.equal((await second).durationMs, 105)
  assert.deepEqual(of('b'), ['started@200', 'stopped@305'], 'it was never silent before')
  assert.ok(slice(heard(), 305, 322).every((sample) => sample === 0))
})

test('a stopping playback cannot be paused', async (t) => {
  const { session, of } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.stopAudio({ fadeOutMs: 50 })
  await session.advance(10)
  assert.deepEqual(await session.pauseAudio(), { paused: [] })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@150'])
})

test('pause while loading delays the start', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a', { startMs: 100 })
  assert.deepEqual(await session.pauseAudio(), { paused: ['a'] })
  assert.deepEqual(session.playbacks().map(({ state, positionMs }) => [state, positionMs]), [['paused', 100]])
  await session.advance(200)
  assert.deepEqual(await session.resumeAudio(), { resumed: ['a'] })
  await finish(session)
  assert.deepEqual(of('a'), ['paused@0', 'resumed@200', 'started@200', 'completed@600'])
  assert.deepEqual(slice(heard(), 205, 600), slice(clip.samples, 105, 500))
})

test('pause while queued keeps the queue position', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c', 'd']) play(session, name)
  await session.pauseAudio({ requestId: 'b' })
  assert.deepEqual(
    session.playbacks().map(({ requestId, state, queuePosition }) => [requestId, state, queuePosition]),
    [['a', 'loading', undefined], ['b', 'paused', 1], ['c', 'queued', 2], ['d', 'queued', 3]]
  )
  await session.advance(700)
  assert.deepEqual(
    session.playbacks().map(({ requestId, state, queuePosition }) => [requestId, state, queuePosition]),
    [['b', 'paused', undefined], ['c', 'queued', 1], ['d', 'queued', 2]]
  )
  await session.pauseAudio({ requestId: 'c' })
  await session.resumeAudio({ requestId: 'c' })
  await session.resumeAudio({ requestId: 'b' })
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'paused@0', 'resumed@700', 'started@700', 'completed@1200'])
  assert.deepEqual(of('c').at(-2), 'started@1200')
})

test('a paused playback counts and holds its track', async (t) => {
  const { session, of } = open(t, { overlap: 'queue', maxConcurrent: 1 })
  const a = play(session, 'a')
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(100)
  play(session, 'b')
  await assert.rejects(play(session, 'c', { trackId: 1 }), { code: 'ERR_TOO_MANY_PLAYBACKS' })
  await session.advance(100)
  assert.deepEqual(of('b'), ['queued@200'])
  play(session, 'd', { stopOther: true })
  assert.equal((await a).reason, 'replaced')
  await finish(session)
  assert.deepEqual(of('d'), ['started@300', 'completed@800'])
})

test('time stops while everything is paused', async (t) => {
  const { session, of } = open(t, { progressIntervalMs: 10 })
  const playing = play(session, 'a')
  await session.advance(50)
  await session.pauseAudio()
  await session.advance(3_600_000)
  assert.deepEqual(of('a').slice(-2), ['progress@50', 'paused@55'])
  await session.close()
  assert.deepEqual(await playing, { requestId: 'a', outcome: 'stopped', reason: 'closed', durationMs: 55, positionMs: 55 })
})

test('progress does not count the pause', async (t) => {
  const { session, told } = open(t, { progressIntervalMs: 100 })
  play(session, 'a')
  await session.advance(50)
  await session.pauseAudio()
  await session.advance(100)
  await session.resumeAudio()
  await session.advance(200)
  const progress = told.filter(({ type }) => type === 'progress')
  assert.deepEqual(progress.map(({ atMs, positionMs }) => [atMs, positionMs]), [[195, 100], [295, 200]])
})

test('a pause in the last 5 ms is ignored', async (t) => {
  const { session, of } = open(t)
  play(session, 'a')
  await session.advance(497)
  assert.deepEqual(await session.pauseAudio(), { paused: ['a'] })
  await session.advance(20)
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
})

test('realtime: no frames while everything is paused', async (t) => {
  let frames = 0
  const { session } = open(t, { output: { type: 'pcm', clock: 'realtime', onFrame: () => (frames += 1) } })
  const playing = play(session, 'a')
  await once(session, 'started')
  await session.pauseAudio()
  await once(session, 'paused')
  await sleep(100) // the frame with the fade out is on its way
  const before = frames
  await sleep(300)
  assert.equal(frames, before, 'the clock was not parked')
  await session.resumeAudio()
  assert.equal((await playing).durationMs, 500)
  assert.ok(frames > before)
})

test('realtime: random pauses lose no sample', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const playing = Array.from({ length: 5 }, (_, n) => session.playAudio({ audio: tone(300 + n, 300), stopOther: false }))
  let over = false
  Promise.all(playing).then(() => (over = true))
  for (let n = 0; !over; n++) {
    await session[n % 2 === 0 ? 'pauseAudio' : 'resumeAudio']()
    await sleep((n * 7) % 11)
    if (n % 5 === 4) await session.resumeAudio().then(() => sleep(30))
  }
  for (const { durationMs } of await Promise.all(playing)) assert.equal(durationMs, 300)
})

test('refuses invalid targets', async (t) => {
  const { session } = open(t)
  for (const call of ['pauseAudio', 'resumeAudio']) {
    await assert.rejects(session[call]({ requestId: 'a', trackId: 1 }), {
      code: 'ERR_INVALID_ARGUMENT', message: new RegExp(`only one of requestId, trackId and group for ${call}`)
    })
    await assert.rejects(session[call]({ requestid: 'a' }), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(session[call]('a'), { code: 'ERR_INVALID_ARGUMENT' })
  }
})

test('pause before a crossfade holds the next one', async (t) => {
  const { session, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a')
  await session.advance(450)
  await session.pauseAudio()
  await session.advance(50)
  play(session, 'b')
  await session.advance(100)
  assert.deepEqual(of('b'), ['queued@500'])
  await session.resumeAudio()
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'paused@455', 'resumed@600', 'completed@645'])
  assert.deepEqual(of('b').slice(-2), ['started@600', 'completed@1100'])
})
