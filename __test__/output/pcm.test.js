'use strict'

// The `pcm` output: frames for `onFrame`.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { level, tone } = require('../support/wav')

test('pcm delivers every frame at any rate', async (t) => {
  for (const [sampleRate, frameMs, format] of [[48000, 20, 's16'], [16000, 10, 's16'], [24000, 60, 'f32'], [8000, 100, 's16']]) {
    const frames = []
    const onFrame = (frame, { atMs }) => frames.push({ frame, atMs })
    const { session } = open(t, { output: { type: 'pcm', sampleRate, frameMs, format, onFrame } })
    session.playAudio({ audio: tone(440, 1007) })
    await finish(session)
    await session.close()
    const bytes = ((sampleRate * frameMs) / 1000) * (format === 's16' ? 2 : 4)
    assert.ok(frames.every(({ frame }) => frame.length === bytes))
    assert.deepEqual(frames.map(({ atMs }) => Math.round(atMs)), frames.map((_, index) => index * frameMs))
    const all = Buffer.concat(frames.map(({ frame }) => frame))
    const value = (n) => (format === 's16' ? all.readInt16LE(2 * n) / 32768 : all.readFloatLE(4 * n))
    const samples = Float32Array.from({ length: all.length / (format === 's16' ? 2 : 4) }, (_, n) => value(n))
    assert.ok(samples.length >= 1.007 * sampleRate && samples.length < 1.007 * sampleRate + 0.02 * sampleRate + bytes)
    const [from, to] = [0.25 * sampleRate, 0.75 * sampleRate]
    assert.ok(Math.abs(level(samples, from, to, 440, sampleRate) - 0.3) < 0.003, `${sampleRate} Hz`)
    const tail = [Math.round(0.95 * sampleRate), Math.round(1.0 * sampleRate)]
    assert.ok(Math.abs(level(samples, ...tail, 440, sampleRate) - 0.3) < 0.01, `the tail at ${sampleRate} Hz`)
  }
})

test('pcm sends no frames in silence', async (t) => {
  const times = []
  const { session } = open(t, { output: { type: 'pcm', onFrame: (_, { atMs }) => times.push(atMs) } })
  session.playAudio({ audio: tone(440, 40) })
  await session.advance(1000)
  assert.deepEqual(times, [0, 20])
  session.playAudio({ audio: tone(440, 40) })
  await session.advance(1000)
  assert.deepEqual(times, [0, 20, 1000, 1020])
})

test('manual: a slow onFrame loses no frame', async (t) => {
  let count = 0
  const onFrame = () => {
    const until = performance.now() + 2
    while (performance.now() < until) count += 0
    count += 1
  }
  const { session } = open(t, { output: { type: 'pcm', frameMs: 10, onFrame } })
  session.playAudio({ audio: tone(440, 3000) })
  await session.advance(3000)
  assert.equal(count, 300)
  assert.equal(session.stats().droppedFrames, 0)
})

test('realtime: drops and counts frames not taken in time', async (t) => {
  let count = 0
  const output = { type: 'pcm', clock: 'realtime', frameMs: 10, onFrame: () => (count += 1) }
  const { session } = open(t, { output })
  const playing = session.playAudio({ audio: tone(440, 1500) })
  await new Promise((resolve) => session.once('started', resolve))
  const until = performance.now() + 1200
  while (performance.now() < until); // JavaScript is blocked
  assert.equal((await playing).durationMs, 1500)
  await session.close()
  const { droppedFrames } = session.stats()
  assert.ok(droppedFrames > 0, 'nothing was dropped')
  assert.ok(count + droppedFrames >= 150, `${count} taken and ${droppedFrames} dropped`)
})
