'use strict'

// Each event of a playback carries what its request carried: its track, its group, and the caller's own context.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { ramp } = require('../support/samples')
const { open, finish } = require('../support/session')

const clip = ramp(200 * 48)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

test('every event carries track and context', async (t) => {
  const { session, told } = open(t, { overlap: 'queue', progressIntervalMs: 50 })
  const circular = { turn: 1, say: () => 'hello' }
  circular.self = circular
  play(session, 'a', { trackId: 2, context: circular })
  play(session, 'b', { trackId: 2, context: null })
  play(session, 'c', { trackId: 2 })
  await session.advance(60)
  await session.pauseAudio({ requestId: 'a' })
  await session.advance(20)
  await session.resumeAudio()
  await session.seekAudio({ requestId: 'a', positionMs: 10 })
  await session.advance(20)
  await session.stopAudio({ requestId: 'b' })
  await finish(session)
  const about = (requestId) => told.filter((event) => event.requestId === requestId)
  const types = new Set(about('a').map(({ type }) => type))
  assert.deepEqual([...types].sort(), ['completed', 'paused', 'progress', 'resumed', 'sought', 'started'])
  for (const event of about('a')) {
    assert.equal(event.trackId, 2, event.type)
    assert.equal(event.context, circular, event.type)
  }
  assert.deepEqual(about('b').map(({ type, trackId, context }) => [type, trackId, context]), [
    ['queued', 2, null], ['stopped', 2, null]
  ])
  assert.ok(about('c').every((event) => event.trackId === 2 && !('context' in event)))
  assert.ok(!('trackId' in told[0]) && !('context' in told[0]), 'connected is about no playback')
})

test('failures, streams and limit refusals carry it too', async (t) => {
  const { session, told } = open(t, { maxConcurrent: 1 })
  const stream = session.createStream({ requestId: 's', format: 'f32', sampleRate: 48000, trackId: 1, context: 's', stopOther: false })
  await assert.rejects(play(session, 'over', { context: 'o', trackId: 3 }), { code: 'ERR_TOO_MANY_PLAYBACKS' })
  stream.end(Buffer.alloc(4800 * 4))
  await finish(session)
  await assert.rejects(session.playAudio({ requestId: 'junk', audio: Buffer.from('no audio'), context: 'j' }))
  const ends = told.filter(({ requestId }) => requestId).map(({ type, requestId, trackId, context }) => [type, requestId, trackId, context])
  assert.deepEqual(ends, [
    ['failed', 'over', 3, 'o'], ['started', 's', 1, 's'], ['completed', 's', 1, 's'], ['failed', 'junk', 0, 'j']
  ])
})

test('playbacks sharing a requestId keep their own context', async (t) => {
  const { session, told } = open(t)
  play(session, 'a', { context: 1 })
  await session.advance(50)
  await session.stopAudio({ requestId: 'a', fadeOutMs: 100 })
  play(session, 'a', { context: 2 })
  await finish(session)
  const events = told.filter(({ requestId }) => requestId === 'a').map(({ type, context }) => [type, context])
  assert.deepEqual(events, [['started', 1], ['started', 2], ['stopped', 1], ['completed', 2]])
})

test('the `event` event carries every event, including errors', async (t) => {
  const { session, told } = open(t)
  const all = []
  session.on('event', (event) => all.push(event))
  play(session, 'a', { context: 'mine' })
  await finish(session)
  await session.track(1).setMuted(true)
  await session.advance(20)
  await session.close()
  assert.deepEqual(all, told)
  assert.deepEqual(all.map(({ seq }) => seq), all.map((_, index) => index + 1))
})

test('stopping a group stops all tracks and states', async (t) => {
  const { session, of, told } = open(t, { overlap: 'queue' })
  play(session, 'first', { group: 'item_1', trackId: 2 })
  play(session, 'second', { group: 'item_1', trackId: 2 })
  play(session, 'effect', { group: 'item_1', trackId: 0 })
  play(session, 'next turn', { group: 'item_2', trackId: 2 })
  play(session, 'music', { trackId: 1 })
  const stream = session.createStream({ requestId: 'stream', group: 'item_1', format: 'f32', sampleRate: 48000, trackId: 3, stopOther: false })
  await session.advance(50)
  const groups = Object.fromEntries(session.playbacks().map(({ requestId, group }) => [requestId, group]))
  assert.deepEqual(groups, {
    first: 'item_1', second: 'item_1', effect: 'item_1', 'next turn': 'item_2', music: undefined, stream: 'item_1'
  })
  const { stopped } = await session.stopAudio({ group: 'item_1' })
  assert.deepEqual(stopped.sort(), ['effect', 'first', 'second', 'stream'])
  assert.deepEqual(await session.stopAudio({ group: 'item_1' }), { stopped: [] })
  assert.deepEqual(await session.pauseAudio({ group: 'item_2' }), { paused: ['next turn'] })
  assert.deepEqual(await session.resumeAudio({ group: 'item_2' }), { resumed: ['next turn'] })
  assert.deepEqual(await session.setVolume({ group: 'item_2', volume: 1 }), { changed: ['next turn'] })
  await finish(session)
  assert.equal((await stream.finished).outcome, 'stopped')
  assert.deepEqual(of('second').at(-1), 'stopped@50')
  assert.deepEqual(of('next turn').at(-1), 'completed@250')
  assert.ok(told.filter(({ requestId }) => requestId === 'second').every(({ group }) => group === 'item_1'))
  assert.ok(told.filter(({ requestId }) => requestId === 'music').every((event) => !('group' in event)))
})

test('an interruption reports the group of each playback', async (t) => {
  const { session } = open(t)
  play(session, 'a', { group: 'item_1', trackId: 2, role: 'voice' })
  play(session, 'b')
  await session.advance(50)
  const { interrupted } = await session.interrupt()
  assert.deepEqual(interrupted, [
    { requestId: 'a', group: 'item_1', trackId: 2, role: 'voice', positionMs: 50 },
    { requestId: 'b', trackId: 0, role: 'media', positionMs: 50 }
  ])
})

test('a group is a string and excludes other targets', async (t) => {
  const { session } = open(t)
  for (const group of ['', 1, null, {}, '\ud800']) {
    await assert.rejects(play(session, 'a', { group }), { code: 'ERR_INVALID_ARGUMENT', message: /for group/ })
    await assert.rejects(session.stopAudio({ group }), { code: 'ERR_INVALID_ARGUMENT', message: /for group/ })
  }
  for (const target of [{ group: 'a', trackId: 1 }, { group: 'a', requestId: 'b' }]) {
    await assert.rejects(session.stopAudio(target), { message: /only one of requestId, trackId and group for stopAudio/ })
  }
  await assert.rejects(session.stopAudio({ group: 'a', ahead: true }), { message: /a requestId beside it for ahead/ })
})
