'use strict'

// A `stopAudio` that arrives before its request.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clip = tone(440, 500)
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clip, stopOther: false, ...options })

test('stop before its request ends it on arrival', async (t) => {
  const { session, of, told } = open(t)
  play(session, 'a')
  await session.advance(100)
  assert.deepEqual(await session.stopAudio({ requestId: 'late', reason: 'user', ahead: true }), { stopped: [] })
  await session.advance(100)
  assert.deepEqual(await play(session, 'late', { stopOther: true, audio: undefined, audioUrl: '/nowhere.wav' }), {
    requestId: 'late', outcome: 'stopped', reason: 'user', durationMs: 0, positionMs: 0
  })
  const again = play(session, 'late')
  await finish(session)
  assert.equal((await again).outcome, 'completed', 'a stop stops once')
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
  assert.deepEqual(of('late'), ['stopped@200', 'started@200', 'completed@700'])
  assert.deepEqual(told.map(({ seq }) => seq), told.map((_, index) => index + 1))
})

test('stop ahead is forgotten after 5 s', async (t) => {
  for (const [ms, outcome] of [[5000, 'stopped'], [5001, 'completed']]) {
    const { session } = open(t)
    await session.stopAudio({ requestId: 'a', ahead: true })
    await session.advance(ms)
    const playing = play(session, 'a')
    await finish(session)
    assert.equal((await playing).outcome, outcome, `after ${ms} ms`)
  }
})

test('stop after the end affects no later request', async (t) => {
  const { session } = open(t)
  play(session, 'a')
  await session.advance(600)
  await session.stopAudio({ requestId: 'a', ahead: true })
  const again = play(session, 'a')
  await finish(session)
  assert.equal((await again).outcome, 'completed')
})

test('without ahead a stop is not remembered', async (t) => {
  const { session } = open(t)
  await session.stopAudio({ requestId: 'a' })
  const playing = play(session, 'a')
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})

test('realtime: stop ahead expires in silence', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const audio = tone(440, 20)
  for (const requestId of ['soon', 'late']) await session.stopAudio({ requestId, reason: 'user', ahead: true })
  await sleep(50)
  assert.equal((await session.playAudio({ requestId: 'soon', audio })).reason, 'user')
  await sleep(5100)
  assert.equal((await session.playAudio({ requestId: 'late', audio })).outcome, 'completed')
})
