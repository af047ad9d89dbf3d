'use strict'

// Crossfades: of equal power, in a queue and on replace, at exact samples.

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { test } = require('node:test')

const { open, finish } = require('./support/session')
const { wavFile } = require('./support/wav')

const MS = 48

/** A clip that is one value throughout, so that a sample says the level at which it was mixed. */
const flat = (ms, value) => wavFile(new Float64Array(Math.round(ms * MS)).fill(value), 48000)
const play = (session, requestId, ms, value, options) =>
  session.playAudio({ requestId, audio: flat(ms, value), stopOther: false, ...options })

/** A clip in a mix: `value` from ms to ms, with its crossfades at either end. */
const lane = (value, from, to, { rise = 0, fall = 0 } = {}) => ({ value, from, to, rise, fall })

function levelOf({ value, from, to, rise, fall }, n) {
  if (n < from * MS || n >= to * MS) return 0
  const risen = rise > 0 ? Math.min((n - from * MS) / (rise * MS), 1) : 1
  const left = fall > 0 ? Math.min((to * MS - n) / (fall * MS), 1) : 1
  return value * Math.sin((Math.PI / 2) * risen) * Math.sin((Math.PI / 2) * left)
}

/** Every sample is the sum of these lanes. */
function assertMix(samples, lanes, channels = 1) {
  for (let n = 0; n < samples.length; n++) {
    const expected = lanes.reduce((sum, each) => sum + levelOf(each, Math.floor(n / channels)), 0)
    if (Math.abs(samples[n] - expected) > 1e-4) {
      assert.fail(`${samples[n]} rather than ${expected} at ${n / channels / MS} ms`)
    }
  }
}

test('in a queue the next begins before the end of the one before, and both cross over', async (t) => {
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

test('the same in stereo, longer than a ring, at 44.1 kHz and whatever the steps of the clock', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 1500, output: { channels: 2 } })
  play(session, 'a', 4000, 0.25)
  play(session, 'b', 4000, 0.5)
  for (const ms of [7, 2490.5, 3, 100, 999]) await session.advance(ms)
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'started@2500', 'completed@6500'])
  assertMix(heard(), [lane(0.25, 0, 4000, { fall: 1500 }), lane(0.5, 2500, 6500, { rise: 1500 })], 2)
})

test('a crossfade takes at most half of the shorter one', async (t) => {
  for (const [a, b, length] of [[100, 1000, 50], [1000, 100, 50], [1000, 300, 150], [300, 100, 50], [1000, 1000, 200]]) {
    const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 200 })
    play(session, 'a', a, 0.25)
    play(session, 'b', b, 0.5)
    await finish(session)
    assert.equal(of('b')[1], `started@${a - length}`, `${a} ms, then ${b} ms`)
    assertMix(heard(), [lane(0.25, 0, a, { fall: length }), lane(0.5, a - length, a - length + b, { rise: length })])
  }
})

test('a chain of very short clips: each crosses over with its neighbours only', async (t) => {
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

test('who comes when the end is near begins at once, and crosses over with what is left', async (t) => {
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

test('with nobody behind it a clip ends as it is', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 300, 0.25)
  play(session, 'elsewhere', 300, 0.5, { trackId: 1 })
  await finish(session)
  assertMix(heard(), [lane(0.25, 0, 300), lane(0.5, 0, 300)])
})

test('if the next one fails, the one behind it crosses over', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  play(session, 'missing', 1, 0, { audio: undefined, audioUrl: '/nowhere.wav' })
  play(session, 'b', 400, 0.5)
  await finish(session)
  assert.deepEqual(of('b').at(-2), 'started@400')
  assertMix(heard(), [lane(0.25, 0, 500, { fall: 100 }), lane(0.5, 400, 800, { rise: 100 })])
})

test('a stop in the middle of it is a stop of both, in 5 ms', async (t) => {
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

test('stopOther true is an immediate stop, also of what is crossing over', async (t) => {
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

test('a fade-in of its own that is longer stands', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a', 500, 0)
  play(session, 'b', 400, 0.5, { fadeInMs: 200 })
  await finish(session)
  assert.ok(Math.abs(heard()[500 * MS] - 0.25) < 1e-4)
  assert.ok(Math.abs(heard()[600 * MS] - 0.5) < 1e-4)
})

test('replace: the old one crosses over to the new one', async (t) => {
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

test('replace: by a short one for half of it, and at its own end for what is left', async (t) => {
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

test('replace: if the new one fails first, the old one ends all the same', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs: 100 })
  play(session, 'a', 500, 0.25)
  await session.advance(200)
  const missing = play(session, 'missing', 1, 0, { audio: undefined, audioUrl: '/nowhere.wav' })
  await assert.rejects(missing, { code: 'ERR_FILE' })
  await session.advance(100)
  assert.deepEqual(of('a'), ['started@0', 'stopped@205'])
  assert.ok(heard().subarray(205 * MS).every((sample) => sample === 0))
})

test('replace in real time: the old one goes on for as long as the new one loads', async (t) => {
  let answer
  const server = createServer((request, response) => { answer = () => response.end(flat(300, 0.5)) })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, heard, told } = open(t, { overlap: 'replace', crossfadeMs: 60, output: { clock: 'realtime' } })
  const happened = (wanted, id) => new Promise((resolve) => {
    session.on(wanted, (event) => event.requestId === id && resolve(event))
  })
  const started = happened('started', 'a')
  const old = play(session, 'a', 60000, 0.25, { loop: true })
  await started
  const asked = new Promise((resolve) => server.once('request', resolve))
  const next = play(session, 'b', 1, 0, { audio: undefined, audioUrl: `http://127.0.0.1:${server.address().port}/` })
  await asked
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.deepEqual(session.playbacks().map(({ state }) => state), ['stopping', 'loading'])
  answer()
  assert.equal((await next).durationMs, 300)
  assert.equal((await old).reason, 'replaced')
  const [began, begun] = ['a', 'b'].map((id) => told.find((event) => event.type === 'started' && event.requestId === id).atMs)
  assert.ok(begun - began >= 180, 'it went on while the new one loaded')
  const around = heard().subarray(Math.round((begun - 60) * MS), Math.round((begun + 300) * MS))
  assertMix(around, [lane(0.25, -200, 120, { fall: 60 }), lane(0.5, 60, 360, { rise: 60 })])
})

test('in real time a next one that loads while the end is near crosses over with what is left', async (t) => {
  let answer
  const server = createServer((request, response) => { answer = () => response.end(flat(4000, 0.5)) })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, heard, told } = open(t, { overlap: 'queue', crossfadeMs: 4000, output: { clock: 'realtime' } })
  const first = play(session, 'a', 3000, 0.25)
  play(session, 'b', 1, 0, { audio: undefined, audioUrl: `http://127.0.0.1:${server.address().port}/` })
  while ((session.playbacks()[0].positionMs < 1600) || !answer) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(session.playbacks().map(({ state }) => state), ['playing', 'loading'], 'its turn came half way through')
  answer()
  assert.equal((await first).outcome, 'completed')
  const at = (wanted, id) => told.find(({ type, requestId }) => type === wanted && requestId === id).atMs
  const [begun, start, end] = [at('started', 'a'), at('started', 'b'), at('completed', 'a')]
  assert.ok(start >= begun + 1600 && start < end)
  const both = heard().subarray(Math.round(begun * MS), Math.round(end * MS))
  const [from, length] = [start - begun, end - start]
  assertMix(both, [lane(0.25, 0, 3000, { fall: length }), lane(0.5, from, from + 4000, { rise: length })])
})

test('in real time a next one that loads after the end follows', async (t) => {
  const answers = []
  const server = createServer((request, response) => answers.push(() => response.end(flat(300, 0.5))))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close(server.closeAllConnections()))
  const { session, told } = open(t, { overlap: 'queue', crossfadeMs: 100, output: { clock: 'realtime' } })
  const ended = play(session, 'a', 300, 0.25)
  const next = play(session, 'b', 1, 0, { audio: undefined, audioUrl: `http://127.0.0.1:${server.address().port}/` })
  assert.equal((await ended).outcome, 'completed')
  while (answers.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  answers[0]()
  assert.equal((await next).outcome, 'completed')
  const at = (wanted, id) => told.find(({ type, requestId }) => type === wanted && requestId === id).atMs
  assert.ok(at('started', 'b') >= at('completed', 'a'))
})

test('with overlap mix a crossfade changes nothing', async (t) => {
  const { session, heard } = open(t, { crossfadeMs: 1000 })
  play(session, 'a', 100, 0.25)
  play(session, 'b', 200, 0.5)
  await finish(session)
  assertMix(heard(), [lane(0.25, 0, 100), lane(0.5, 0, 200)])
})
