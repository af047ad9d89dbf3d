'use strict'

// `overlap` of a track and of a request, and how it combines with the session's.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { RAW, steady } = require('../support/stream')
const { tone } = require('../support/wav')

const clip = tone(440, 1000)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip, stopOther: false, ...options })
const events = (told, ...types) => told.filter(({ type }) => types.includes(type)).map(({ type, requestId, atMs }) => `${type} ${requestId}@${atMs}`)

test('effects mix while sentences queue', async (t) => {
  const { session, told } = open(t, { overlap: { default: 'mix', 2: 'queue' } })
  for (const [requestId, trackId] of [['say1', 2], ['say2', 2], ['ding1', 0], ['ding2', 0]]) play(session, requestId, { trackId })
  await session.advance(500)
  play(session, 'ding3', { trackId: 0 })
  play(session, 'say3', { trackId: 2 })
  await finish(session)
  assert.deepEqual(events(told, 'started'), [
    'started say1@0', 'started ding1@0', 'started ding2@0', 'started ding3@500', 'started say2@1000', 'started say3@2000'
  ])
  assert.ok(told.every(({ type, requestId }) => type !== 'queued' || requestId.startsWith('say')))
})

test('each track has its own overlap', async (t) => {
  const { session, told } = open(t, { overlap: { default: 'queue', 0: 'replace', 7: 'mix' } })
  for (const trackId of [0, 3, 7]) for (const name of ['a', 'b']) play(session, `${name}${trackId}`, { trackId })
  await finish(session)
  assert.deepEqual(events(told, 'queued', 'started', 'stopped'), [
    'stopped a0@0', 'queued b3@0', 'started b0@0', 'started a3@0', 'started a7@0', 'started b7@0', 'started b3@1000'
  ])
})

test('without a default the other tracks mix', async (t) => {
  const { session, told } = open(t, { overlap: { 1: 'queue' } })
  for (const [name, trackId] of [['a', 0], ['b', 0], ['c', 1], ['d', 1]]) play(session, name, { trackId })
  await finish(session)
  assert.deepEqual(events(told, 'started'), ['started a@0', 'started b@0', 'started c@0', 'started d@1000'])
})

test('a request can have its own overlap', async (t) => {
  const { session, told } = open(t, { overlap: { default: 'mix', 1: 'queue' } })
  play(session, 'a')
  play(session, 'waits', { overlap: 'queue' })
  await session.advance(200)
  play(session, 'mixes')
  play(session, 'b', { trackId: 1 })
  play(session, 'mixes too', { trackId: 1, overlap: 'mix' })
  await session.advance(200)
  const stream = session.createStream({ requestId: 'replaces', ...RAW, stopOther: false, trackId: 1, overlap: 'replace' })
  stream.end(steady(100))
  await session.advance(0)
  assert.deepEqual(session.playbacks().map(({ requestId, state }) => `${requestId} ${state}`), [
    'a playing', 'mixes playing', 'b stopping', 'mixes too stopping', 'replaces loading', 'waits queued'
  ])
  await finish(session)
  const started = Object.fromEntries(told.filter(({ type }) => type === 'started').map(({ requestId, atMs }) => [requestId, atMs]))
  assert.deepEqual(started, { a: 0, mixes: 200, b: 200, 'mixes too': 200, replaces: 400, waits: 1200 }, 'all on the track are waited for')
})

test('replace also ends playbacks waiting on its track', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  play(session, 'elsewhere', { trackId: 1 })
  await session.advance(100)
  play(session, 'now', { overlap: 'replace' })
  await finish(session)
  assert.deepEqual([of('a').at(-1), of('b').at(-1), of('c').at(-1)], ['stopped@105', 'stopped@100', 'stopped@100'])
  assert.deepEqual([of('now'), of('elsewhere')], [['started@100', 'completed@1100'], ['started@0', 'completed@1000']])
})

test('stopOther true overrides every overlap', async (t) => {
  for (const overlap of ['mix', 'queue', 'replace']) {
    const { session, of } = open(t, { overlap: { default: 'mix', 2: 'queue' } })
    play(session, 'a')
    play(session, 'b', { trackId: 2 })
    play(session, 'c', { trackId: 2 })
    await session.advance(100)
    play(session, 'alone', { trackId: 2, stopOther: true, overlap })
    await finish(session)
    assert.deepEqual([of('a').at(-1), of('b').at(-1), of('c').at(-1)], ['stopped@105', 'stopped@105', 'stopped@100'], overlap)
    assert.deepEqual(of('alone'), ['started@100', 'completed@1100'], overlap)
  }
})

test('a crossfade follows the overlap of its track', async (t) => {
  const { session, of } = open(t, { overlap: { default: 'mix', 2: 'queue' }, crossfadeMs: 100 })
  for (const [name, trackId] of [['a', 0], ['b', 0], ['c', 2], ['d', 2]]) play(session, name, { trackId })
  await finish(session)
  assert.deepEqual(['a', 'b', 'c', 'd'].map((name) => of(name).at(-2)), ['started@0', 'started@0', 'started@0', 'started@900'])
})
