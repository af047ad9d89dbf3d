'use strict'

// The five cases of the overlap plan, and those of the StopOther document, at exact samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('./support/session')
const { level, tone } = require('./support/wav')

const MS = 48
const clips = { a: tone(440, 500), b: tone(880, 500), c: tone(1320, 500), long: tone(300, 3000) }
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clips[requestId] ?? clips.a, stopOther: false, ...options })

/** Whether `hz` sounds from ms to ms, at the level of a tone that plays alone. */
function sounds(samples, fromMs, toMs, hz) {
  const amplitude = level(samples, fromMs * MS, toMs * MS, hz)
  assert.ok(amplitude < 0.003 || Math.abs(amplitude - 0.3) < 0.01, `${hz} Hz at a strange level: ${amplitude}`)
  return amplitude > 0.003
}

test('case 1: with stopOther false two playbacks overlap', async (t) => {
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

test('case 2: stopOther true interrupts at once and plays alone', async (t) => {
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

test('case 3: three at once are all heard', async (t) => {
  const { session, heard, of } = open(t)
  for (const name of ['a', 'b', 'c']) play(session, name)
  await finish(session)
  for (const name of ['a', 'b', 'c']) assert.deepEqual(of(name), ['started@0', 'completed@500'])
  for (const hz of [440, 880, 1320]) assert.equal(sounds(heard(), 0, 500, hz), true)
})

test('case 4: rapid stop and start', async (t) => {
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

test('case 5: a bad one among good ones fails alone', async (t) => {
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

test('queue: one after the other without a gap, sample by sample', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  assert.deepEqual(
    session.playbacks().map(({ requestId, state, place }) => [requestId, state, place]),
    [['a', 'loading', undefined], ['b', 'queued', 1], ['c', 'queued', 2]]
  )
  await finish(session)
  assert.deepEqual(of('b'), ['queued@0', 'started@500', 'completed@1000'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@500', 'started@1000', 'completed@1500'])
  const samples = heard()
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const clip = Float32Array.from({ length: 500 * MS }, (_, n) => clips[name].readInt16LE(44 + 2 * n) / 32768)
    assert.deepEqual(samples.slice(index * 500 * MS, (index + 1) * 500 * MS), clip, name)
  }
})

test('queue: awaiting each gives the same order as firing all at once', async (t) => {
  const { session, of } = open(t, { overlap: 'queue', output: { clock: 'realtime' } })
  const short = tone(440, 40)
  await play(session, 'one', { audio: short })
  await play(session, 'two', { audio: short })
  assert.equal(of('two')[0].split('@')[0], 'started', 'nothing to wait for')
})

test('queue: a later stopOther true cancels the waiting ones too', async (t) => {
  const { session, heard, told } = open(t, { overlap: 'queue' })
  play(session, 'a')
  const waiting = play(session, 'b')
  await session.advance(100)
  play(session, 'c', { stopOther: true })
  await finish(session)
  assert.deepEqual(await waiting, {
    requestId: 'b', outcome: 'stopped', reason: 'replaced', durationMs: 0, positionMs: 0
  })
  assert.equal(sounds(heard(), 110, 590, 880), false, 'a cancelled playback came back')
  assert.equal(sounds(heard(), 110, 590, 1320), true)
  assert.equal(told.filter(({ requestId }) => requestId === 'b').length, 2, 'queued and stopped, nothing else')
})

test('queue: tracks run in parallel', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2 })
  play(session, 'c', { trackId: 1 })
  await finish(session)
  assert.deepEqual([of('a')[0], of('b')[0]], ['started@0', 'started@0'])
  assert.deepEqual(of('c'), ['queued@0', 'started@500', 'completed@1000'])
})

test('queue: stopping one lets the next one in at once; the one behind it stays in line', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  await session.advance(107)
  await session.stopAudio({ requestId: 'a', reason: 'user' })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@112'])
  assert.deepEqual(of('b'), ['queued@0', 'started@107', 'completed@607'])
  assert.deepEqual(of('c'), ['queued@0', 'queued@107', 'started@607', 'completed@1107'])
})

test('queue: requests that come just as one ends are never forgotten', async (t) => {
  const sessions = Array.from({ length: 8 }, () => open(t, { output: { clock: 'realtime' }, overlap: 'queue' }).session)
  const clip = tone(440, 3)
  const playing = []
  for (let n = 0; n < 80; n++) {
    for (const session of sessions) playing.push(session.playAudio({ audio: clip, stopOther: false }))
    await new Promise((resolve) => setTimeout(resolve, n % 4))
  }
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
})

test('replace: takes the place on its track only', async (t) => {
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

test('the eleventh fails with its own message, as a rejection and as its one event', async (t) => {
  const { session, terminal } = open(t)
  for (let n = 0; n < 10; n++) play(session, `p${n}`)
  await assert.rejects(play(session, 'eleventh'), {
    code: 'ERR_TOO_MANY_PLAYBACKS', message: 'too many concurrent playbacks (max 10)'
  })
  await finish(session)
  assert.equal(terminal('eleventh').length, 1)
  for (let n = 0; n < 10; n++) assert.equal(terminal(`p${n}`)[0].type, 'completed')
})

test('a live requestId is refused, and free again after its terminal event', async (t) => {
  const { session } = open(t)
  const first = play(session, 'a')
  await assert.rejects(play(session, 'a', { stopOther: true }), { code: 'ERR_DUPLICATE_REQUEST' })
  await finish(session)
  assert.equal((await first).outcome, 'completed')
  const again = play(session, 'a')
  await finish(session)
  assert.equal((await again).outcome, 'completed')
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

test('the longest a playback may take', async (t) => {
  const { session } = open(t, { maxDurationMs: 250 })
  const long = play(session, 'long')
  await finish(session)
  await assert.rejects(long, { code: 'ERR_MAX_DURATION', positionMs: 250 })
})

test('every stop is free of clicks: no step larger than the tone itself makes', async (t) => {
  const { session, heard } = open(t)
  const step = 2 * Math.PI * 300 / 48000 * 0.3
  play(session, 'long')
  await session.advance(333)
  play(session, 'long2', { audio: clips.long, stopOther: true })
  await session.advance(333)
  await session.stopAudio()
  await session.advance(100)
  const samples = heard()
  // Two tones at once while one fades, and the fade's own slope.
  const limit = 2 * step + 0.3 / 240
  for (let n = 1; n < samples.length; n++) assert.ok(Math.abs(samples[n] - samples[n - 1]) <= limit, `a click at ${n}`)
})

test('the same requests give the same samples, whatever the machine does meanwhile', async (t) => {
  const run = async () => {
    const { session, heard, told } = open(t)
    for (let n = 0; n < 8; n++) {
      const rate = [44100, 22050, 48000, 8000][n % 4]
      play(session, `p${n}`, { gain: 0.3 + n / 7, audio: tone(200 + 100 * n, 900, { rate, amplitude: 0.6 }) })
      if (n % 3 === 2) await session.advance(53)
      if (n === 5) await session.stopAudio({ requestId: 'p2', fadeOutMs: 80 })
    }
    await finish(session)
    return { samples: heard(), told }
  }
  const first = await run()
  for (let n = 0; n < 10; n++) assert.deepEqual(await run(), first)
})
