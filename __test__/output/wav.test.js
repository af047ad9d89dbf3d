'use strict'

// The `wav` output: its samples, its validity at any time, and its failures.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, readFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { level, readWav, tone } = require('../support/wav')

function folder(t) {
  const name = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(name, { recursive: true }))
  return name
}

async function mix(session) {
  session.playAudio({ audio: tone(440, 300), stopOther: false })
  await session.advance(100)
  session.playAudio({ audio: tone(880, 300, { sampleRate: 44100 }), stopOther: false })
  await finish(session)
  await session.advance(60)
  session.playAudio({ audio: tone(1320, 33), stopOther: false })
  await finish(session)
}

test('a WAV file holds the same samples as memory', async (t) => {
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

test('a WAV file is valid before close', async (t) => {
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

test('an unwritable path fails the request', async (t) => {
  const { session, told } = open(t, { output: { type: 'wav', path: '/nowhere/at/all.wav' } })
  await assert.rejects(session.connect(), { name: 'SpeakerError', code: 'ERR_OUTPUT' })
  await assert.rejects(session.playAudio({ requestId: 'a', audio: tone(440, 20) }), { code: 'ERR_OUTPUT' })
  assert.deepEqual(told.map(({ type }) => type), ['failed'])
  await assert.rejects(session.advance(20), { code: 'ERR_OUTPUT' })
  await session.close()
})

test('a write error fails each live playback once', async (t) => {
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

test('realtime: the file contains the silence', async (t) => {
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
  // The first one was done at 80 ms, when its last frame was handed over.
  assert.ok(started >= 225, `started at ${started}`)
  const from = Math.round(started * 48)
  assert.equal(samples.slice(from - 4800, from).every((sample) => sample === 0), true)
  assert.ok(Math.abs(level(samples, from, from + 4800, 440) - 0.3) < 0.003)
})

test('realtime: playing takes as long as the sound', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const begun = performance.now()
  await session.playAudio({ audio: tone(440, 500) })
  // All but the last 20 ms, which are handed over when they are due to begin, and the shift to the next frame's due time.
  assert.ok(performance.now() - begun >= 465)
})
