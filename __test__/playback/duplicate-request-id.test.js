'use strict'

// A `requestId` that is already live: refused, joined (`onDuplicate: 'join'`) or replaced.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clips = { a: tone(440, 500), b: tone(880, 500), c: tone(1320, 500), long: tone(300, 3000) }
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clips[requestId] ?? clips.a, stopOther: false, ...options })

test('refuses a live requestId until its end', async (t) => {
  const { session } = open(t)
  const first = play(session, 'a')
  await assert.rejects(play(session, 'a', { stopOther: true }), { code: 'ERR_DUPLICATE_REQUEST' })
  await finish(session)
  assert.equal((await first).outcome, 'completed')
  const again = play(session, 'a')
  await finish(session)
  assert.equal((await again).outcome, 'completed')
})

test('join: the second call settles as the first', async (t) => {
  const { session, of } = open(t, { onDuplicate: 'join' })
  const first = play(session, 'a')
  await session.advance(100)
  const second = play(session, 'a', { stopOther: true, trackId: 7 })
  assert.equal(session.playbacks().length, 1)
  await session.stopAudio({ requestId: 'a', reason: 'user' })
  await session.advance(20)
  assert.deepEqual(await second, { requestId: 'a', outcome: 'stopped', reason: 'user', durationMs: 105, positionMs: 105 })
  assert.deepEqual(await first, await second)
  assert.deepEqual(of('a'), ['started@0', 'stopped@105'])
  await assert.rejects(play(session, 'a', { volume: 2 }), { code: 'ERR_INVALID_ARGUMENT' })
  const later = play(session, 'a')
  await finish(session)
  assert.equal((await later).outcome, 'completed', 'after its end it is a request of its own')
})

test('a requestId is free once its stop was answered', async (t) => {
  for (const onDuplicate of ['fail', 'join', 'replace']) {
    const { session, told } = open(t, { onDuplicate })
    const first = play(session, 'a')
    await session.advance(100)
    await session.stopAudio({ requestId: 'a', fadeOutMs: 200 })
    const second = play(session, 'a')
    assert.equal(session.playbacks().length, 2, 'the first still fades')
    await session.advance(0)
    assert.deepEqual((await session.stopAudio({ requestId: 'a', reason: 'again' })).stopped, ['a'], 'the second')
    const third = play(session, 'a', { audio: tone(440, 50) })
    await finish(session)
    const outcomes = [first, second, third].map(async (playing) => {
      const { outcome, reason, durationMs } = await playing
      return [outcome, reason, durationMs]
    })
    assert.deepEqual(await Promise.all(outcomes), [
      ['stopped', 'stopped', 105], ['stopped', 'again', 0], ['completed', undefined, 50]
    ])
    assert.equal(told.filter(({ type }) => type === 'stopped').length, 2)
    assert.ok(told.every((event) => !('playback' in event)), 'no event bears the number inside')
  }
})

test('replace: the second call stops the first', async (t) => {
  const { session, of } = open(t, { onDuplicate: 'replace' })
  const first = play(session, 'a')
  await session.advance(100)
  const second = play(session, 'a')
  await finish(session)
  assert.deepEqual(await first, { requestId: 'a', outcome: 'stopped', reason: 'replaced', durationMs: 105, positionMs: 105 })
  assert.equal((await second).outcome, 'completed')
  assert.deepEqual(of('a'), ['started@0', 'started@100', 'stopped@105', 'completed@600'])
})

test('join: a failure rejects both calls', async (t) => {
  const { session, terminal } = open(t, { onDuplicate: 'join' })
  // A stream, for it can't fail before the second call.
  const stream = session.createStream({ requestId: 'a', format: 'mp3' })
  const both = [stream.finished, play(session, 'a')]
  stream.end(Buffer.from('this is not audio, however long it is read'))
  await session.advance(20)
  for (const promise of both) await assert.rejects(promise, { code: 'ERR_UNSUPPORTED_FORMAT', requestId: 'a' })
  assert.equal(terminal('a').length, 1)
})

test('join: an ended requestId is free at once', async (t) => {
  const { session } = open(t, { onDuplicate: 'join', overlap: 'queue' })
  play(session, 'first')
  const waiting = play(session, 'a')
  session.stopAudio({ requestId: 'a', reason: 'user' }) // ends it at once; the event is emitted later
  const again = play(session, 'a')
  const joined = play(session, 'a')
  await finish(session)
  assert.equal((await waiting).reason, 'user')
  assert.deepEqual([(await again).outcome, (await joined).outcome], ['completed', 'completed'])
})

test('replace: a refusal by a limit stops nobody', async (t) => {
  const { session, of } = open(t, { onDuplicate: 'replace', overlap: 'queue', maxConcurrent: 2 })
  play(session, 'first')
  play(session, 'elsewhere', { trackId: 1 })
  const waiting = play(session, 'a')
  await session.advance(20)
  // It would not take the first one's place in the queue, but be a third that sounds.
  await assert.rejects(play(session, 'a', { overlap: 'mix' }), { code: 'ERR_TOO_MANY_PLAYBACKS' })
  await finish(session)
  assert.equal((await waiting).outcome, 'completed')
  assert.deepEqual(of('a'), ['queued@0', 'failed@20', 'started@500', 'completed@1000'])
})
