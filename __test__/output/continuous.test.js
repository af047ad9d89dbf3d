'use strict'

// `continuous: true`: the `pcm` output delivers frames in silence too.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { open } = require('../support/session')
const { level, tone } = require('../support/wav')

/** Opens a session whose frames are kept. */
function line(t, output, options) {
  const frames = []
  const onFrame = (frame, { atMs }) => frames.push({ frame, atMs })
  return { ...open(t, { output: { type: 'pcm', continuous: true, onFrame, ...output }, ...options }), frames }
}

/** Asserts that the frames follow each other without a gap from `fromMs` to `toMs`. */
function assertWhole(frames, fromMs, toMs, frameMs = 20) {
  const expected = Array.from({ length: (toMs - fromMs) / frameMs }, (_, n) => fromMs + n * frameMs)
  assert.deepEqual(frames.map(({ atMs }) => atMs), expected)
}

test('frames come before, between and after sounds', async (t) => {
  const { session, frames } = line(t)
  await session.advance(100)
  session.playAudio({ audio: tone(440, 250) })
  await session.advance(900)
  session.playAudio({ audio: tone(440, 250) })
  await session.advance(1000)
  assertWhole(frames, 0, 2000)
  const samples = Buffer.concat(frames.map(({ frame }) => frame))
  const value = Float32Array.from({ length: samples.length / 2 }, (_, n) => samples.readInt16LE(2 * n) / 32768)
  assert.equal(level(value, 0, 4800, 440), 0)
  assert.ok(Math.abs(level(value, 4800, 9600, 440) - 0.3) < 0.001)
  assert.ok(value.subarray(350 * 48, 1000 * 48).every((sample) => sample === 0))
  assert.ok(Math.abs(level(value, 48000, 52800, 440) - 0.3) < 0.001)
})

test('a continuous line resamples as one that is not', async (t) => {
  for (const format of ['s16', 'mulaw']) {
    const told = []
    for (const continuous of [true, false]) {
      const { session, frames } = line(t, { sampleRate: 8000, format, continuous })
      for (const ms of [300, 7, 120.5]) {
        await session.advance(500)
        session.playAudio({ audio: tone(440, ms) })
      }
      await session.advance(500)
      await session.close()
      told.push(new Map(frames.map(({ frame, atMs }) => [atMs, frame.toString('hex')])))
    }
    const [whole, parts] = told
    assert.ok(parts.size > 20 && whole.size === 100)
    for (const [atMs, frame] of parts) {
      // The continuous filter rings into the silence, where the other one is flushed.
      if (atMs % 500 < 280 && (atMs < 980 || atMs > 1520)) assert.equal(whole.get(atMs), frame, `${format} at ${atMs} ms`)
    }
  }
})

test('frames come during a pause and until drained', async (t) => {
  const { session, frames, told } = line(t)
  session.playAudio({ requestId: 'a', audio: tone(440, 400) })
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(300)
  await session.resumeAudio()
  await session.close({ drain: true })
  const completed = told.find(({ type }) => type === 'completed')
  assertWhole(frames, 0, Math.ceil(completed.atMs / 20) * 20)
})

test('close ends frames and pads the last', async (t) => {
  const { session, frames } = line(t, { frameMs: 100 })
  await session.advance(230)
  await session.close()
  assertWhole(frames, 0, 300, 100)
})

test('adds no dither to silence', async (t) => {
  const { session, frames } = line(t, { dither: true })
  session.playAudio({ audio: tone(440, 40) })
  await session.advance(400)
  assert.ok(frames.slice(-10).every(({ frame }) => frame.every((byte) => byte === 0)))
})

test('realtime: frames come from connect on as time passes', async (t) => {
  const awake = setInterval(() => {}, 1000) // frames do not keep the process alive
  t.after(() => clearInterval(awake))
  let count = 0
  let next = () => {}
  const times = []
  const onFrame = (_, { atMs }) => {
    times.push(atMs)
    count += 1
    next()
  }
  const frames = (wanted) => new Promise((resolve) => (next = () => count >= wanted && resolve()))
  const { session } = open(t, { output: { type: 'pcm', clock: 'realtime', format: 'alaw', continuous: true, onFrame } })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(count, 0, 'nothing before it is connected')
  await session.connect()
  await frames(10)
  const playing = session.playAudio({ audio: tone(440, 100) })
  const [{ atMs }] = await once(session, 'started')
  assert.ok(atMs >= 180, `its time went on in silence: ${atMs}`)
  await playing
  const sofar = count
  await frames(sofar + 20)
  assert.ok(session.stats().timeMs >= times.at(-1))
  if (session.stats().lostFrames === 0) times.forEach((time, n) => assert.equal(time, n * 20))
  await session.close()
})

test('only the pcm output can be continuous', (t) => {
  const refused = (output, message) => assert.throws(() => open(t, { output }), { code: 'ERR_INVALID_ARGUMENT', message })
  refused({ type: 'memory', continuous: true }, /continuous/)
  refused({ type: 'wav', path: 'a.wav', continuous: true }, /continuous/)
  refused({ type: 'pcm', continuous: 1, onFrame() {} }, /a boolean for output.continuous/)
})
