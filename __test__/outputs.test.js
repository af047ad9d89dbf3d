'use strict'

// The same mix through each output.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, readFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('./support/session')
const { level, readWav, tone } = require('./support/wav')

function folder(t) {
  const name = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(name, { recursive: true }))
  return name
}

async function mix(session) {
  session.playAudio({ audio: tone(440, 300), stopOther: false })
  await session.advance(100)
  session.playAudio({ audio: tone(880, 300, { rate: 44100 }), stopOther: false })
  await finish(session)
  await session.advance(60)
  session.playAudio({ audio: tone(1320, 33), stopOther: false })
  await finish(session)
}

test('a WAV file holds the samples that memory does', async (t) => {
  for (const channels of [1, 2]) {
    const memory = open(t, { output: { channels } })
    await mix(memory.session)
    const file = path.join(folder(t), 'mix.wav')
    const wav = open(t, { output: { type: 'wav', path: file, format: 'f32', channels } })
    await mix(wav.session)
    await wav.session.close()
    assert.deepEqual(readWav(file), { sampleRate: 48000, channels, samples: memory.heard() })
  }
})

test('a WAV file is valid at any time, not only after close', async (t) => {
  const file = path.join(folder(t), 'mix.wav')
  const { session } = open(t, { output: { type: 'wav', path: file } })
  await session.connect()
  assert.equal(readWav(file).samples.length, 0)
  session.playAudio({ audio: tone(440, 3000) })
  await session.advance(1700)
  const header = readFileSync(file)
  const announced = header.readUInt32LE(header.indexOf('data') + 4)
  assert.ok(announced >= 1000 * 96 && announced <= header.length - 44, `${announced} of ${header.length}`)
  await session.close()
  assert.equal(readWav(file).samples.length, 1700 * 48)
})

test('an output that can not be opened fails the request, not the process', async (t) => {
  const { session, told } = open(t, { output: { type: 'wav', path: '/nowhere/at/all.wav' } })
  await assert.rejects(session.connect(), { name: 'SpeakerError', code: 'ERR_OUTPUT' })
  await assert.rejects(session.playAudio({ requestId: 'a', audio: tone(440, 20) }), { code: 'ERR_OUTPUT' })
  assert.deepEqual(told.map(({ type }) => type), ['failed'])
  await assert.rejects(session.advance(20), { code: 'ERR_OUTPUT' })
  await session.close()
})

test('an output that fails while writing ends everything live, once, and tells', async (t) => {
  const { session, told, terminal } = open(t, { output: { type: 'wav', path: '/dev/full' }, overlap: 'queue' })
  const playing = ['a', 'b', 'c'].map((requestId) =>
    session.playAudio({ requestId, audio: tone(440, 2000), stopOther: false })
  )
  await session.advance(4000).catch(() => {})
  for (const promise of playing) await assert.rejects(promise, { code: 'ERR_OUTPUT' })
  for (const requestId of ['a', 'b', 'c']) assert.equal(terminal(requestId).length, 1, requestId)
  if (told.some(({ type }) => type === 'connected')) assert.ok(told.some(({ type }) => type === 'error'))
  await session.close().catch(({ code }) => assert.equal(code, 'ERR_OUTPUT'))
})

test('pcm hands over every frame in order, at the rate and length asked for, and loses no tail', async (t) => {
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

test('pcm says nothing in silence, and the time of the next frame tells how long it was', async (t) => {
  const times = []
  const { session } = open(t, { output: { type: 'pcm', onFrame: (_, { atMs }) => times.push(atMs) } })
  session.playAudio({ audio: tone(440, 40) })
  await session.advance(1000)
  assert.deepEqual(times, [0, 20])
  session.playAudio({ audio: tone(440, 40) })
  await session.advance(1000)
  assert.deepEqual(times, [0, 20, 1000, 1020])
})

test('a slow onFrame loses no frame on a manual clock', async (t) => {
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

test('in real time frames that nobody takes are dropped and counted, and the mix goes on', async (t) => {
  let count = 0
  const output = { type: 'pcm', clock: 'realtime', frameMs: 10, onFrame: () => (count += 1) }
  const { session } = open(t, { output })
  const playing = session.playAudio({ audio: tone(440, 1500) })
  await new Promise((resolve) => session.once('started', resolve))
  const until = performance.now() + 1200
  while (performance.now() < until); // JavaScript hangs
  assert.equal((await playing).durationMs, 1500)
  await session.close()
  const { droppedFrames } = session.stats()
  assert.ok(droppedFrames > 0, 'nothing was dropped')
  assert.ok(count + droppedFrames >= 150, `${count} taken and ${droppedFrames} dropped`)
})

test('in real time silence between playbacks is in the file, and costs no ticks', async (t) => {
  const file = path.join(folder(t), 'mix.wav')
  const { session, told } = open(t, { output: { type: 'wav', path: file, clock: 'realtime' } })
  await session.playAudio({ requestId: 'a', audio: tone(440, 100) })
  const idle = session.stats().timeMs
  await sleep(150)
  assert.equal(session.stats().timeMs, idle, 'it ticked in silence')
  await session.playAudio({ requestId: 'b', audio: tone(440, 100) })
  await session.close()
  const { samples } = readWav(file)
  const started = told.find(({ type, requestId }) => type === 'started' && requestId === 'b').atMs
  // The first one's last frame was handed over, and so it was done, at 80 ms.
  assert.ok(started >= 225, `started at ${started}`)
  const from = Math.round(started * 48)
  assert.equal(samples.slice(from - 4800, from).every((sample) => sample === 0), true)
  assert.ok(Math.abs(level(samples, from, from + 4800, 440) - 0.3) < 0.003)
})
