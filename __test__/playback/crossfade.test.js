'use strict'

// Crossfades of equal power, in a queue and on replace, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { MS, assertMix, flat, lane } = require('../support/mix')
const { open, finish } = require('../support/session')

const play = (session, requestId, ms, value, options) =>
  session.playAudio({ requestId, audio: flat(ms, value), stopOther: false, ...options })

test('queue: the next one crossfades before the end', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  const results = [play(session, 'a', 500, 0.25), play(session, 'b', 400, 0.5), play(session, 'c', 333, 0.125)]
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'completed@500'])
  assert.deepEqual(of('b'), ['queued@0', 'started@400', 'completed@800'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@400', 'started@700', 'completed@1033'])
  assert.deepEqual((await Promise.all(results)).map(({ durationMs }) => durationMs), [500, 400, 333])
  assertMix(heard(), [
    lane(0.25, 0, 500, { fall: 100 }),
    lane(0.5, 400, 800, { rise: 100, fall: 100 }),
    lane(0.125, 700, 1033, { rise: 100 })
  ])
})

test('crossfade in stereo, at 44.1 kHz, in any steps', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 1500, output: { channels: 2 } })
  play(session, 'a', 4000, 0.25)
  play(session, 'b', 4000, 0.5)
  for (const ms of [7, 2490.5, 3, 100, 999]) await session.advance(ms)
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'started@2500', 'completed@6500'])
  assertMix(heard(), [lane(0.25, 0, 4000, { fall: 1500 }), lane(0.5, 2500, 6500, { rise: 1500 })], 2)
})

test('a crossfade takes half the shorter clip at most', async (t) => {
  for (const [a, b, length] of [[100, 1000, 50], [1000, 100, 50], [1000, 300, 150], [300, 100, 50], [1000, 1000, 200]]) {
    const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 200 })
    play(session, 'a', a, 0.25)
    play(session, 'b', b, 0.5)
    await finish(session)
    assert.equal(of('b')[1], `started@${a - length}`, `${a} ms, then ${b} ms`)
    assertMix(heard(), [lane(0.25, 0, a, { fall: length }), lane(0.5, a - length, a - length + b, { rise: length })])
  }
})

test('short clips crossfade with their neighbours only', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 5000 })
  play(session, 'long', 1000, 0.25)
  for (let n = 0; n < 5; n++) play(session, `short${n}`, 20, 0.5)
  play(session, 'empty-ish', 1 / MS, 0.5)
  play(session, 'last', 1000, 0.25)
  await finish(session)
  const starts = [0, 1, 2, 3, 4].map((n) => 990 + 10 * n)
  starts.forEach((ms, n) => assert.equal(of(`short${n}`).at(-2), `started@${ms}`))
  assert.equal(of('empty-ish').at(-2), 'started@1050', 'half of one sample is none')
  assert.equal(of('last').at(-2), `started@${1050 + 1 / MS}`)
  assertMix(heard(), [
    lane(0.25, 0, 1000, { fall: 10 }),
    ...starts.map((ms, n) => lane(0.5, ms, ms + 20, { rise: 10, fall: n < 4 ? 10 : 0 })),
    lane(0.5, 1050, 1050 + 1 / MS),
    lane(0.25, 1050 + 1 / MS, 2050 + 1 / MS)
  ])
})

test('a request near the end crossfades at once', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100, maxConcurrent: 1 })
  play(session, 'a', 500, 0.25)
  await session.advance(470)
  play(session, 'b', 400, 0.5)
  play(session, 'c', 400, 0.125)
  await finish(session)
  assert.deepEqual(of('b'), ['started@470', 'completed@870'])
  assert.deepEqual(of('c'), ['queued@470', 'started@770', 'completed@1170'])
  assertMix(heard(), [
    lane(0.25, 0, 500, { fall: 30 }),
    lane(0.5, 470, 870, { rise: 30, fall: 100 }),
    lane(0.125, 770, 1170, { rise: 100 })
  ])
})

test('no crossfade at the end of a queue', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 300, 0.25)
  play(session, 'elsewhere', 300, 0.5, { trackId: 1 })
  await finish(session)
  assertMix(heard(), [lane(0.25, 0, 300), lane(0.5, 0, 300)])
})

test('skips a failed next one', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  play(session, 'missing', 1, 0, { audio: undefined, audioUrl: '/nowhere.wav' })
  play(session, 'b', 400, 0.5)
  await finish(session)
  assert.deepEqual(of('b').at(-2), 'started@400')
  assertMix(heard(), [lane(0.25, 0, 500, { fall: 100 }), lane(0.5, 400, 800, { rise: 100 })])
})

test('crossfade into a stream, but not out of it', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 300, 0.25)
  const stream = session.createStream({ requestId: 'stream', format: 'pcm16', sampleRate: 48000, channels: 1, stopOther: false })
  play(session, 'b', 300, 0.25)
  stream.end(flat(400, 0.5).subarray(44))
  await finish(session)
  assert.deepEqual([of('stream').at(-2), of('b').at(-2)], ['started@200', 'started@600'])
  assertMix(heard(), [lane(0.25, 0, 300, { fall: 100 }), lane(0.5, 200, 600, { rise: 100 }), lane(0.25, 600, 900)])
})

test('stop during a crossfade stops both', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  play(session, 'b', 400, 0.5)
  await session.advance(450)
  assert.deepEqual(await session.stopAudio({ trackId: 0 }), { stopped: ['a', 'b'] })
  await session.advance(100)
  assert.deepEqual([of('a').at(-1), of('b').at(-1)], ['stopped@455', 'stopped@455'])
  assertMix(heard().subarray(0, 450 * MS), [lane(0.25, 0, 500, { fall: 100 }), lane(0.5, 400, 800, { rise: 100 })])
  assert.ok(heard().subarray(455 * MS).every((sample) => sample === 0))
})

test('stopOther during a crossfade is immediate', async (t) => {
  for (const overlap of ['queue', 'replace']) {
    const { session, heard, of } = open(t, { overlap, crossfadeMs: 100 })
    play(session, 'a', 500, 0.25)
    play(session, 'b', 400, 0.25)
    await session.advance(450)
    play(session, 'c', 100, 0.5, { stopOther: true })
    await finish(session)
    assert.deepEqual(of('c'), ['started@450', 'completed@550'], overlap)
    assertMix(heard().subarray(455 * MS), [lane(0.5, -5, 95)])
  }
})

test('a longer fadeInMs wins', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0)
  play(session, 'b', 400, 0.5, { fadeInMs: 200 })
  await finish(session)
  assert.ok(Math.abs(heard()[500 * MS] - 0.25) < 1e-4)
  assert.ok(Math.abs(heard()[600 * MS] - 0.5) < 1e-4)
})

test('replace: the old one crossfades into the new one', async (t) => {
  const { session, heard, of, told } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  const old = play(session, 'a', 500, 0.25)
  play(session, 'elsewhere', 500, 0.125, { trackId: 1 })
  await session.advance(200)
  play(session, 'b', 400, 0.5)
  assert.deepEqual(session.playbacks().map(({ state }) => state), ['stopping', 'playing', 'loading'])
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@300'])
  assert.deepEqual(of('b'), ['started@200', 'completed@600'])
  assert.deepEqual(await old, { requestId: 'a', outcome: 'stopped', reason: 'replaced', durationMs: 300, positionMs: 300 })
  assertMix(heard(), [lane(0.25, 0, 300, { fall: 100 }), lane(0.5, 200, 600, { rise: 100 }), lane(0.125, 0, 500)])
  assert.ok(told.every(({ type }) => type !== 'queued'))
})

test('replace: limited by a short clip or the end', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  await session.advance(200)
  play(session, 'short', 40, 0.5)
  await session.advance(300)
  play(session, 'b', 500, 0.25)
  await session.advance(480)
  play(session, 'c', 500, 0.5)
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@220'])
  assert.equal(of('b').at(-1), 'stopped@1000')
  assertMix(heard(), [
    lane(0.25, 0, 220, { fall: 20 }), lane(0.5, 200, 240, { rise: 20 }),
    lane(0.25, 500, 1000, { fall: 20 }), lane(0.5, 980, 1480, { rise: 20 })
  ])
})

test('replace: a paused one ends at once', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  await session.advance(200)
  await session.pauseAudio({ requestId: 'a' })
  await session.advance(100)
  play(session, 'b', 300, 0.5)
  await finish(session)
  assert.deepEqual(of('a').at(-1), 'stopped@300')
  assertMix(heard().subarray(300 * MS), [lane(0.5, 0, 300)])
})

test('pause during a crossfade holds both', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  play(session, 'b', 400, 0.5)
  await session.advance(450)
  await session.pauseAudio()
  await session.advance(1000)
  await session.resumeAudio()
  await finish(session)
  assert.deepEqual([of('a').at(-1), of('b').at(-1)], ['completed@1495', 'completed@1795'])
  // They fade out for 5 ms, stand still for 995, and fade in again for 5.
  assertMix(heard().subarray(1460 * MS), [lane(0.25, -465, 35, { fall: 100 }), lane(0.5, -65, 335, { rise: 100 })])
})

test('replace: a failed new one still ends the old', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  await session.advance(200)
  const missing = play(session, 'missing', 1, 0, { audio: undefined, audioUrl: '/nowhere.wav' })
  await assert.rejects(missing, { code: 'ERR_FILE' })
  await session.advance(100)
  assert.deepEqual(of('a'), ['started@0', 'stopped@205'])
  assert.ok(heard().subarray(205 * MS).every((sample) => sample === 0))
})

test('replace: a new one without a sample ends the old', async (t) => {
  const { session, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25, { loop: true })
  await session.advance(200)
  const empty = play(session, 'empty', 0, 0)
  await session.advance(300)
  assert.equal((await empty).durationMs, 0)
  assert.equal(of('a').at(-1), 'stopped@205')
  assert.deepEqual(session.playbacks(), [])
})

test('replace: the old one ends despite other playbacks', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25, { loop: true })
  await session.advance(200)
  const missing = play(session, 'missing', 1, 0, { audio: undefined, audioUrl: '/nowhere.wav' })
  play(session, 'beside', 100, 0.125, { overlap: 'mix' })
  await assert.rejects(missing, { code: 'ERR_FILE' })
  await session.advance(300)
  assert.deepEqual(of('beside'), ['started@200', 'completed@300'])
  assert.equal(of('a').at(-1), 'stopped@205')
  assert.deepEqual(session.playbacks(), [])
  assert.ok(heard().subarray(300 * MS).every((sample) => sample === 0))
})

test('with overlap mix a crossfade changes nothing', async (t) => {
  const { session, heard } = open(t, { crossfadeMs: 1000 })
  play(session, 'a', 100, 0.25)
  play(session, 'b', 200, 0.5)
  await finish(session)
  assertMix(heard(), [lane(0.25, 0, 100), lane(0.5, 0, 200)])
})
