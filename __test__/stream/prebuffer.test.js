'use strict'

// `prebufferMs`: how much of a stream is buffered before it plays, and how that adapts to a writer that sends bursts.

const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { RAW, openStream, pieces, saw, pcm16, steady } = require('../support/stream')

test('plays nothing until the prebuffer is full', async (t) => {
  const { session, stream: s, of } = openStream(t, { prebufferMs: 200 })
  assert.deepEqual(s.stats(), { bufferedMs: 0, prebufferMs: 200, underruns: 0 })
  s.write(steady(199))
  await session.advance(50)
  assert.deepEqual(s.stats(), { bufferedMs: 199, prebufferMs: 200, underruns: 0 })
  assert.equal(session.playbacks()[0].state, 'loading')
  s.write(steady(1))
  await session.advance(250)
  assert.deepEqual(of('s'), ['started@50', 'stalled@250'])
  s.write(steady(199))
  await session.advance(20)
  s.write(steady(101))
  await session.advance(250)
  assert.deepEqual(s.stats(), { bufferedMs: 50, prebufferMs: 200, underruns: 1 })
  s.end()
  await finish(session)
  assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 500, positionMs: 500 })
  assert.equal(s.stats(), undefined)
})

test('the end of a stream plays what is buffered', async (t) => {
  const { session, stream: s, of } = openStream(t, { prebufferMs: 1000 })
  s.end(steady(100))
  await session.advance(200)
  assert.deepEqual(of('s'), ['started@0', 'completed@100'])
})

test("the prebuffer grows by the writer's lateness", async (t) => {
  const { session, stream: s, heard, of } = openStream(t, { prebufferMs: { minMs: 40, maxMs: 300 } })
  s.write(steady(100))
  await session.advance(160) // silent for 60 ms
  s.write(steady(99))
  await session.advance(20)
  assert.deepEqual(s.stats(), { bufferedMs: 99, prebufferMs: 100, underruns: 1 })
  s.write(steady(21))
  await session.advance(120)
  assert.equal(heard()[190 * 48], 0.5, 'from 180 ms on')
  await session.advance(200) // silent for 200 ms
  s.write(steady(300))
  await session.advance(100)
  assert.equal(s.stats().prebufferMs, 300)
  await session.advance(1200) // silent for 1,000 ms: that is not jitter
  s.write(steady(300))
  await session.advance(20)
  assert.deepEqual(s.stats(), { bufferedMs: 280, prebufferMs: 300, underruns: 3 })
  s.end()
  await finish(session)
  assert.equal((await s.finished).durationMs, 820)
  assert.deepEqual(of('s'), ['started@0', 'stalled@100', 'stalled@300', 'stalled@800', 'completed@2100'])
})

test('the prebuffer forgets lateness after half a minute', async (t) => {
  const { session, stream: s } = openStream(t, { prebufferMs: { minMs: 40 } })
  /** Writes a little ahead for so many seconds, then is late. */
  const speak = async (seconds, lateMs) => {
    s.write(steady(500))
    for (let n = 0; n < seconds; n++) {
      s.write(steady(1000))
      await session.advance(1000)
    }
    await session.advance(500 + lateMs)
    return s.stats()
  }
  assert.deepEqual(await speak(1, 200), { bufferedMs: 0, prebufferMs: 240, underruns: 1 })
  assert.deepEqual(await speak(28, 100), { bufferedMs: 0, prebufferMs: 340, underruns: 2 })
  assert.deepEqual(await speak(30, 100), { bufferedMs: 0, prebufferMs: 140, underruns: 3 })
})

test('a flush leaves the prebuffer unchanged', async (t) => {
  const { session, stream: s } = openStream(t, { prebufferMs: { minMs: 40, maxMs: 400 } })
  s.write(steady(100))
  await session.advance(200)
  s.write(steady(200))
  await session.advance(20)
  assert.equal(s.stats().prebufferMs, 140)
  const flushed = s.flush()
  await session.advance(300)
  await flushed
  s.write(steady(139))
  await session.advance(20)
  assert.deepEqual(s.stats(), { bufferedMs: 139, prebufferMs: 140, underruns: 1 })
  s.write(steady(1))
  await session.advance(20)
  assert.deepEqual(s.stats(), { bufferedMs: 120, prebufferMs: 140, underruns: 1 })
})

test("a large prebuffer raises the writer's limit", async (t) => {
  for (const clock of ['manual', 'realtime']) {
    const { session, heard } = open(t, { output: { clock } })
    const samples = saw(6000)
    const audio = Readable.from(pieces(pcm16(samples), 9600, 100))
    const playing = session.playAudio({ ...RAW, audio, prebufferMs: 5000 })
    if (clock === 'realtime') {
      assert.equal(await playing.started, true)
      assert.ok(session.track(0).stats().bufferedMs > 4900)
      continue
    }
    await session.advance(6000)
    assert.equal((await playing).durationMs, 6000)
    assert.deepEqual(heard().subarray(0, samples.length), samples)
  }
})

test('the result does not depend on time steps', async (t) => {
  const late = async (step) => {
    const { session, stream: s, heard, told } = openStream(t, { prebufferMs: { minMs: 50, maxMs: 400 } })
    const pass = async (ms) => {
      for (let left = ms; left > 0; left -= step) await session.advance(Math.min(step, left))
    }
    for (const [written, waited] of [[70, 123], [30, 9], [200, 230], [60, 40], [90, 500], [130, 200]]) {
      s.write(steady(written))
      await pass(waited)
    }
    s.end()
    await pass(500)
    return { heard: Buffer.from(heard().buffer), told: told.map(({ type, atMs }) => `${type}@${atMs}`) }
  }
  const whole = await late(1000)
  assert.ok(whole.told.includes('completed@1102'), whole.told.join(' '))
  for (const step of [1, 7, 20]) assert.deepEqual(await late(step), whole, `in steps of ${step} ms`)
})

test('validates prebufferMs', async (t) => {
  const { session } = open(t)
  const refused = [39, 5001, NaN, '100', null, { minMs: 20 }, { minMs: 300, maxMs: 200 }, { maxMs: 5001 }, { ms: 100 }]
  for (const prebufferMs of refused) {
    assert.throws(() => session.createStream({ ...RAW, prebufferMs }), { code: 'ERR_INVALID_ARGUMENT', message: /prebufferMs/ })
  }
  await assert.rejects(session.playAudio({ audio: steady(10), prebufferMs: 100 }), { code: 'ERR_INVALID_ARGUMENT' })
})
