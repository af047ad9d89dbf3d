'use strict'

// What `stopOther` and the overlap policies `mix` and `replace` do, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { clips, play, sounds } = require('../support/tones')
const { tone } = require('../support/wav')

test('stopOther false: two playbacks overlap', async (t) => {
  const { session, heard, of } = open(t)
  const a = play(session, 'a')
  await session.advance(200)
  const b = play(session, 'b')
  await finish(session)
  assert.deepEqual([of('a'), of('b')], [['started@0', 'completed@500'], ['started@200', 'completed@700']])
  assert.deepEqual(await a, { requestId: 'a', outcome: 'completed', durationMs: 500, positionMs: 500 })
  assert.equal((await b).durationMs, 500)
  const present = (from, to) => [440, 880].map((hz) => sounds(heard(), from, to, hz))
  assert.deepEqual(present(0, 200), [true, false])
  assert.deepEqual(present(200, 500), [true, true])
  assert.deepEqual(present(500, 700), [false, true])
})

test('stopOther true: interrupts and plays alone', async (t) => {
  const { session, heard, of } = open(t)
  const long = play(session, 'long')
  await session.advance(1000)
  play(session, 'b', { stopOther: true })
  await finish(session)
  assert.deepEqual(await long, {
    requestId: 'long', outcome: 'stopped', reason: 'replaced', durationMs: 1005, positionMs: 1005
  })
  assert.deepEqual(of('b'), ['started@1000', 'completed@1500'])
  assert.equal(sounds(heard(), 900, 1000, 300), true)
  assert.equal(sounds(heard(), 1010, 1490, 300), false)
  assert.equal(sounds(heard(), 1010, 1490, 880), true)
})

test('three at once are all heard', async (t) => {
  const { session, heard, of } = open(t)
  for (const name of ['a', 'b', 'c']) play(session, name)
  await finish(session)
  for (const name of ['a', 'b', 'c']) assert.deepEqual(of(name), ['started@0', 'completed@500'])
  for (const hz of [440, 880, 1320]) assert.equal(sounds(heard(), 0, 500, hz), true)
})

test('rapid stop and start leaves only the last', async (t) => {
  const { session, heard, of, told } = open(t)
  const first = [play(session, 'a'), play(session, 'b')]
  const stopped = session.stopAudio({ trackId: 0 })
  play(session, 'c')
  await finish(session)
  assert.deepEqual(await stopped, { stopped: ['a', 'b'] })
  for (const result of await Promise.all(first)) {
    assert.equal(result.outcome, 'stopped')
    assert.equal(result.positionMs, 0)
  }
  assert.deepEqual(of('c'), ['started@0', 'completed@500'])
  assert.deepEqual([440, 880, 1320].map((hz) => sounds(heard(), 0, 500, hz)), [false, false, true])
  assert.deepEqual(told.map(({ seq }) => seq), told.map((_, index) => index + 1))
})

test('a bad request fails alone', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a')
  const bad = play(session, 'bad', { audio: undefined, audioUrl: '/nowhere/audio.mp3' })
  const worse = play(session, 'worse', { audio: Buffer.from('this is not audio, however long it is read') })
  play(session, 'b')
  await assert.rejects(bad, { name: 'SpeakerError', code: 'ERR_FILE', requestId: 'bad', positionMs: 0 })
  await assert.rejects(worse, { code: 'ERR_UNSUPPORTED_FORMAT' })
  await finish(session)
  assert.deepEqual([of('a'), of('b')], [['started@0', 'completed@500'], ['started@0', 'completed@500']])
  assert.deepEqual([of('bad'), of('worse')], [['failed@0'], ['failed@0']])
  assert.deepEqual([440, 880].map((hz) => sounds(heard(), 0, 500, hz)), [true, true])
})

test('replace: replaces on its own track only', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'replace' })
  play(session, 'long', { trackId: 1 })
  play(session, 'a')
  await session.advance(100)
  play(session, 'b')
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@105'])
  assert.deepEqual(of('b'), ['started@100', 'completed@600'])
  assert.deepEqual([440, 880, 300].map((hz) => sounds(heard(), 110, 590, hz)), [false, true, true])
})

test('audio after the first playback works, ten times', async (t) => {
  const { session, heard } = open(t)
  for (let n = 0; n < 10; n++) {
    play(session, 'a')
    await session.advance(500)
    assert.equal(sounds(heard(), n * 600, n * 600 + 500, 440), true, `playback ${n}`)
    await session.advance(100)
  }
})

test('stops make no clicks', async (t) => {
  const { session, heard } = open(t)
  const step = 2 * Math.PI * 300 / 48000 * 0.3
  play(session, 'long')
  await session.advance(333)
  play(session, 'long2', { audio: clips.long, stopOther: true })
  await session.advance(333)
  await session.stopAudio()
  await session.advance(100)
  const samples = heard()
  // Two tones at once while one fades out, and the fade's own slope.
  const limit = 2 * step + 0.3 / 240
  for (let n = 1; n < samples.length; n++) assert.ok(Math.abs(samples[n] - samples[n - 1]) <= limit, `a click at ${n}`)
})

test('the same requests give the same samples under load', async (t) => {
  const run = async () => {
    const { session, heard, told } = open(t)
    for (let n = 0; n < 8; n++) {
      const rate = [44100, 22050, 48000, 8000][n % 4]
      play(session, `p${n}`, { gain: 0.3 + n / 7, audio: tone(200 + 100 * n, 900, { sampleRate: rate, amplitude: 0.6 }) })
      if (n % 3 === 2) await session.advance(53)
      if (n === 5) await session.stopAudio({ requestId: 'p2', fadeOutMs: 80 })
    }
    await finish(session)
    return { samples: heard(), told }
  }
  const first = await run()
  for (let n = 0; n < 10; n++) assert.deepEqual(await run(), first)
})
