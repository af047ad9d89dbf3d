'use strict'

// Which section of a source is played, how often, and how it ends, at exact samples.

const assert = require('node:assert/strict')
const { readFileSync, readdirSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { close, ramp } = require('../support/samples')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const MS = 48
const EDGE = 5 * MS

/** Plays one request to its end and returns the result, what was heard of it, and its events. */
async function play(t, request, options) {
  const { session, heard, told } = open(t, options)
  const playing = session.playAudio({ requestId: 'it', ...request })
  playing.catch(() => {})
  await finish(session)
  const result = await playing.catch((error) => error)
  return { result, samples: heard().slice(0, Math.round(result.durationMs * MS)), told, heard }
}

test('startMs and durationMs cut at exact samples', async (t) => {
  const { audio, samples } = ramp(500 * MS)
  const { result, samples: heard } = await play(t, { audio, startMs: 100, durationMs: 50 })
  assert.deepEqual(result, { requestId: 'it', outcome: 'completed', durationMs: 50, positionMs: 150 })
  const from = 100 * MS
  for (let n = 0; n < 50 * MS; n++) {
    const level = Math.min(1, n / EDGE, (50 * MS - n) / EDGE)
    close(heard[n], samples[from + n] * level, `sample ${n}`)
  }
})

test('a section up to the end has no fade', async (t) => {
  const { audio, samples } = ramp(500 * MS)
  for (const durationMs of [undefined, 100, 101, 86_400_000]) {
    const { result, samples: heard } = await play(t, { audio, startMs: 400, durationMs })
    assert.deepEqual([result.durationMs, result.positionMs], [100, 500])
    assert.deepEqual(heard.slice(EDGE), samples.slice(400 * MS + EDGE), `durationMs ${durationMs}`)
  }
})

test('a whole section changes no sample', async (t) => {
  const { audio, samples } = ramp(3000)
  const { samples: heard } = await play(t, { audio, startMs: 0, durationMs: 3000 / MS })
  assert.deepEqual(heard, samples)
})

test('sections are exact in every format', async (t) => {
  const folder = path.join(__dirname, '..', 'fixtures')
  for (const name of readdirSync(folder).filter((name) => /^tone-?.*\.(wav|mp3|flac|ogg|m4a|aac|aiff)$/.test(name))) {
    const audio = readFileSync(path.join(folder, name))
    const whole = await play(t, { audio })
    const start = 100
    if (whole.result.durationMs < 2 * start) continue
    const section = await play(t, { audio, startMs: start, durationMs: 80 })
    assert.equal(section.result.durationMs, 80, name)
    const middle = [start * MS + EDGE, (start + 80) * MS - EDGE]
    assert.deepEqual(section.samples.slice(EDGE, 80 * MS - EDGE), whole.samples.slice(...middle), name)
  }
})

test('startMs beyond the end completes', async (t) => {
  const { result } = await play(t, { audio: tone(440, 100), startMs: 5000 })
  assert.deepEqual(result, { requestId: 'it', outcome: 'completed', durationMs: 0, positionMs: 100 })
  const { result: nothing } = await play(t, { audio: tone(440, 100), startMs: 20, durationMs: 0 })
  assert.deepEqual(nothing, { requestId: 'it', outcome: 'completed', durationMs: 0, positionMs: 20 })
})

test('loop repeats without a gap', async (t) => {
  const { audio, samples } = ramp(1234)
  const { result, samples: heard } = await play(t, { audio, loop: 3 })
  assert.deepEqual([result.outcome, result.durationMs, result.positionMs], ['completed', 3 * 1234 / MS, 1234 / MS])
  assert.deepEqual(heard, Float32Array.from([...samples, ...samples, ...samples]))

  const long = ramp(900 * MS) // longer than the decoder keeps of a short one
  const section = await play(t, { audio: long.audio, startMs: 100, durationMs: 400, loop: 2 })
  assert.deepEqual([section.result.durationMs, section.result.positionMs], [800, 500])
  const part = long.samples.slice(100 * MS, 500 * MS)
  const expected = Float32Array.from([...part, ...part])
  assert.deepEqual(section.samples.slice(EDGE, 800 * MS - EDGE), expected.slice(EDGE, 800 * MS - EDGE), 'the seam has no edge')
  close(section.samples[800 * MS - 1], expected[800 * MS - 1] / EDGE, 'the cut end has one')

  const one = ramp(1)
  const { samples: constant } = await play(t, { audio: one.audio, loop: 5000 })
  assert.deepEqual(constant, new Float32Array(5000).fill(one.samples[0]))
})

test('every format loops whole', async (t) => {
  for (const name of ['tone-cbr.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone.aac']) {
    const audio = readFileSync(path.join(__dirname, '..', 'fixtures', name))
    const once = await play(t, { audio })
    const twice = await play(t, { audio, loop: 2 })
    const length = once.samples.length
    assert.equal(twice.samples.length, 2 * length, name)
    // At the seam a resampler's filter spans two passes.
    const seam = name.includes('opus') ? 0 : 10 * MS
    assert.deepEqual(twice.samples.slice(0, length - seam), once.samples.slice(0, length - seam), name)
    assert.deepEqual(twice.samples.slice(length + seam), once.samples.slice(seam), name)
  }
})

test('loop true plays until stopped', async (t) => {
  const { session, heard, told } = open(t, { progressIntervalMs: 40 })
  const { audio, samples } = ramp(100 * MS)
  const playing = session.playAudio({ requestId: 'it', audio, loop: true })
  await session.advance(350)
  assert.equal(session.playbacks()[0].positionMs, 50)
  await session.stopAudio()
  await session.advance(20)
  assert.deepEqual(await playing, {
    requestId: 'it', outcome: 'stopped', reason: 'stopped', durationMs: 355, positionMs: 55
  })
  assert.deepEqual(heard().slice(300 * MS, 350 * MS), samples.slice(0, 50 * MS))
  const progress = told.filter(({ type }) => type === 'progress')
  assert.deepEqual(progress.map(({ atMs }) => atMs), [40, 80, 120, 160, 200, 240, 280, 320], 'counted by what sounded')
  assert.deepEqual(progress.map(({ positionMs }) => positionMs), [40, 80, 20, 60, 0, 40, 80, 20], 'places in the source')

  const { result } = await play(t, { audio, loop: true }, { maxDurationMs: 250 })
  assert.deepEqual([result.code, result.durationMs, result.positionMs], ['ERR_MAX_DURATION', 250, 50])
})

test('an empty loop fails', async (t) => {
  const empty = ramp(0).audio
  for (const request of [
    { audio: empty, loop: true },
    { audio: empty, loop: 2 },
    { audio: tone(440, 50), startMs: 50, loop: true },
    { audio: tone(440, 50), durationMs: 0, loop: true }
  ]) {
    const { result, told } = await play(t, request)
    assert.equal(result.code, 'ERR_EMPTY_SOURCE')
    assert.equal(told.filter(({ type }) => type === 'failed').length, 1)
  }
  for (const loop of [false, 1]) assert.equal((await play(t, { audio: empty, loop })).result.outcome, 'completed')
})

test('fadeOutMs fades the last pass only', async (t) => {
  const { audio, samples } = ramp(100 * MS)
  const once = await play(t, { audio, fadeOutMs: 40 })
  assert.equal(once.result.durationMs, 100)
  assert.deepEqual(once.samples.slice(0, 60 * MS + 1), samples.slice(0, 60 * MS + 1))
  for (let n = 60 * MS; n < 100 * MS; n++) close(once.samples[n], (samples[n] * (100 * MS - n)) / (40 * MS), `sample ${n}`)
  const twice = await play(t, { audio, fadeOutMs: 40, loop: 2 })
  assert.deepEqual(twice.samples, Float32Array.from([...samples, ...once.samples]))
  const cut = await play(t, { audio, durationMs: 80, fadeOutMs: 40 })
  close(cut.samples[60 * MS], samples[60 * MS] / 2, 'before a cut end too')
  const longer = await play(t, { audio, fadeOutMs: 10_000 })
  close(longer.samples[50 * MS], samples[50 * MS] / 2, 'over no more than there is')
})

test('sections and loops queue without a gap', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  const audio = tone(440, 100)
  session.playAudio({ requestId: 'a', audio, startMs: 30, durationMs: 30, stopOther: false })
  session.playAudio({ requestId: 'b', audio, loop: 2, stopOther: false })
  session.playAudio({ requestId: 'c', audio, stopOther: false })
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'started@30', 'completed@230'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@30', 'started@230', 'completed@330'])
})

test('playbacks() shows startMs while queued', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  const audio = tone(440, 100)
  session.playAudio({ audio, stopOther: false })
  const waiting = session.playAudio({ requestId: 'b', audio, startMs: 30, stopOther: false })
  assert.deepEqual(session.playbacks().map(({ positionMs }) => positionMs), [0, 30])
  await session.stopAudio({ requestId: 'b' })
  assert.deepEqual(await waiting, {
    requestId: 'b', outcome: 'stopped', reason: 'stopped', durationMs: 0, positionMs: 30
  })
})

test('section and loop options are validated', async (t) => {
  const { session } = open(t)
  const audio = tone(440, 20)
  for (const [request, message] of [
    [{ startMs: -1 }, /from 0 to 86400000 for startMs but received -1/],
    [{ durationMs: '5' }, /for durationMs but received '5'/],
    [{ loop: 0 }, /^Expected a boolean or an integer from 1 to 1000000 for loop but received 0/],
    [{ loop: 1.5 }, /for loop but received 1.5/],
    [{ loop: 'forever' }, /for loop but received 'forever'/],
    [{ fadeOutMs: 10_001 }, /from 0 to 10000 for fadeOutMs/]
  ]) {
    await assert.rejects(session.playAudio({ audio, ...request }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})
