'use strict'

// Roles and ducking, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { MS, flat } = require('../support/mix')
const { open, finish } = require('../support/session')

const HALF = 20 * Math.log10(0.5)
const duck = { db: HALF, attackMs: 10, releaseMs: 100 }

/** Returns the level of a constant clip at each of these times. */
const at = (samples, ...times) => times.map((ms) => Number(samples[ms * MS].toFixed(3)))

/** Plays a quiet clip of one role for 500 ms and a silent one of another from 100 to 300 ms, and returns the first one's levels. */
async function meet(t, role, other) {
  const { session, heard } = open(t, { duck })
  session.playAudio({ audio: flat(500, 0.25), role, trackId: 1, stopOther: false })
  await session.advance(100)
  session.playAudio({ audio: flat(200, 0.25), role: other, trackId: 2, volume: 0, stopOther: false })
  await finish(session)
  return at(heard(), 99, 100, 105, 110, 299, 300, 350, 400, 499)
}

test('higher roles duck lower ones, across tracks', async (t) => {
  const roles = ['system', 'voice', 'media', 'ambient']
  const ducked = [0.25, 0.25, 0.188, 0.125, 0.125, 0.125, 0.188, 0.25, 0.25]
  for (const [rank, role] of roles.entries()) {
    for (const [otherRank, other] of roles.entries()) {
      const expected = otherRank < rank ? ducked : new Array(9).fill(0.25)
      assert.deepEqual(await meet(t, role, other), expected, `${role} under ${other}`)
    }
  }
})

test('no ducking by default', async (t) => {
  const { session, heard } = open(t)
  session.playAudio({ audio: flat(100, 0.25), role: 'ambient', stopOther: false })
  session.playAudio({ audio: flat(50, 0.25), role: 'system', volume: 0, stopOther: false })
  await finish(session)
  assert.ok(heard().subarray(0, 100 * MS).every((sample) => Math.abs(sample - 0.25) < 1e-4))
})

test('ducking applies from the first sample', async (t) => {
  const { session, heard } = open(t, { duck })
  session.playAudio({ audio: flat(200, 0.25), role: 'voice', volume: 0 })
  await session.advance(57)
  session.playAudio({ audio: flat(400, 0.25), stopOther: false })
  await finish(session)
  assert.deepEqual(at(heard(), 56, 57, 100, 200, 250, 300), [0, 0.125, 0.125, 0.125, 0.188, 0.25])
})

test('two voices duck no deeper than one', async (t) => {
  const { session, heard } = open(t, { duck })
  session.playAudio({ audio: flat(500, 0.25), role: 'ambient' })
  session.playAudio({ audio: flat(100, 0.25), role: 'voice', volume: 0, stopOther: false })
  await session.advance(50)
  session.playAudio({ audio: flat(150, 0.25), role: 'media', volume: 0, stopOther: false })
  await finish(session)
  assert.deepEqual(at(heard(), 20, 60, 120, 199, 200, 250, 300), [0.125, 0.125, 0.125, 0.125, 0.125, 0.188, 0.25])
})

test('a short attack releases from its current level', async (t) => {
  const { session, heard } = open(t, { duck: { ...duck, attackMs: 100 } })
  session.playAudio({ audio: flat(500, 0.25) })
  session.playAudio({ audio: flat(50, 0.25), role: 'system', volume: 0, stopOther: false })
  await finish(session)
  assert.deepEqual(at(heard(), 0, 25, 50, 75, 100, 200), [0.25, 0.219, 0.188, 0.219, 0.25, 0.25])
})

test('no release between gapless voices', async (t) => {
  const { session, heard } = open(t, { duck, overlap: 'queue' })
  session.playAudio({ audio: flat(500, 0.25), trackId: 1 })
  for (let n = 0; n < 3; n++) {
    session.playAudio({ audio: flat(100, 0.25), role: 'voice', volume: 0, trackId: 2, stopOther: false })
  }
  await finish(session)
  assert.ok(heard().subarray(10 * MS, 300 * MS).every((sample) => Math.abs(sample - 0.125) < 1e-4))
  assert.deepEqual(at(heard(), 350, 400), [0.188, 0.25])
})

test('release goes on in silence', async (t) => {
  const { session, heard } = open(t, { duck })
  session.playAudio({ audio: flat(60, 0.25), role: 'voice', volume: 0 })
  await session.advance(560)
  session.playAudio({ audio: flat(100, 0.25), stopOther: false })
  await finish(session)
  assert.deepEqual(at(heard(), 560, 600), [0.25, 0.25])
})

test('a stopped voice ducks until silent', async (t) => {
  const { session, heard } = open(t, { duck })
  session.playAudio({ audio: flat(500, 0.25) })
  session.playAudio({ audio: flat(500, 0.25), role: 'voice', requestId: 'voice', volume: 0, stopOther: false })
  await session.advance(100)
  await session.stopAudio({ requestId: 'voice', fadeOutMs: 50 })
  await finish(session)
  assert.deepEqual(at(heard(), 149, 150, 200, 250), [0.125, 0.125, 0.188, 0.25])
})

test('ducking is equal on both channels', async (t) => {
  const { session, heard } = open(t, { duck, output: { channels: 2 } })
  session.playAudio({ audio: flat(200, 0.25) })
  await session.advance(50)
  session.playAudio({ audio: flat(100, 0.25), role: 'voice', volume: 0, stopOther: false })
  await finish(session)
  const samples = heard()
  for (let n = 0; n < samples.length; n += 2) assert.equal(samples[n], samples[n + 1])
  assert.equal(Number(samples[2 * 55 * MS].toFixed(3)), 0.188)
})

test('one system playback is accepted above maxConcurrent', async (t) => {
  const { session, of } = open(t, { maxConcurrent: 1 })
  const play = (requestId, role) => session.playAudio({ requestId, role, audio: flat(50, 0.25), stopOther: false })
  play('media')
  play('system', 'system')
  await assert.rejects(play('again', 'system'), { code: 'ERR_TOO_MANY_PLAYBACKS' })
  await assert.rejects(play('voice', 'voice'), { code: 'ERR_TOO_MANY_PLAYBACKS' })
  assert.deepEqual(session.playbacks().map(({ role }) => role), ['media', 'system'])
  await finish(session)
  assert.deepEqual([of('media'), of('system')], [['started@0', 'completed@50'], ['started@0', 'completed@50']])
})
