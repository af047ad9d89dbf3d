'use strict'

// `close({ drain: true })` accepts nothing more and lets accepted playbacks play to their end.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')

const { workspace } = require('../support/cli')
const { lines, recording, replayed } = require('../support/recording')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const CLOSED = { code: 'ERR_CLOSED' }

test('drain plays accepted requests and refuses new ones', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue' })
  const results = ['a', 'b'].map((requestId) => session.playAudio({ requestId, audio: tone(440, 105), stopOther: false }))
  const loading = session.playAudio({ requestId: 'c', audio: tone(440, 30), stopOther: false, trackId: 1 })
  const closed = session.close({ drain: true })
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), CLOSED)
  assert.throws(() => session.createStream({ format: 'pcm16', sampleRate: 8000 }), CLOSED)
  assert.throws(() => session.tap(), CLOSED)
  await assert.rejects(session.connect(), CLOSED)
  await assert.rejects(session.advance(20), CLOSED)
  for (const result of await Promise.all([...results, loading])) {
    assert.equal(result.outcome, 'completed')
    assert.equal('unheardMs' in result, false)
  }
  await closed
  assert.deepEqual(of('b').slice(-2), ['started@105', 'completed@210'])
  assert.equal(heard().length, 210 * 48, 'it ends with the last sample')
  assert.equal(session.connection, 'closed')
})

test('drain with nothing playing closes at once', async (t) => {
  const { session, told } = open(t)
  await Promise.all([session.close({ drain: true }), session.close({ drain: true, withinMs: 1 })])
  assert.deepEqual(told, [], 'it was never connected')
  await session.close({ drain: true })
})

test('withinMs stops playbacks without an end', async (t) => {
  const { session, heard } = open(t)
  await session.advance(100)
  const looped = session.playAudio({ audio: tone(440, 50), loop: true })
  const stream = session.createStream({ format: 'pcm16', sampleRate: 48000, stopOther: false })
  stream.write(Buffer.alloc(4800))
  const paused = session.playAudio({ requestId: 'paused', audio: tone(440, 50), stopOther: false })
  await session.pauseAudio({ requestId: 'paused' })
  const began = Date.now()
  await session.close({ drain: true, withinMs: 60 * 1000 })
  assert.ok(Date.now() - began < 60 * 1000, 'nothing sleeps')
  const ends = await Promise.all([looped, stream.finished, paused])
  assert.deepEqual(ends.map(({ outcome, reason }) => `${outcome} ${reason}`), Array(3).fill('stopped closed'))
  assert.deepEqual(ends.map(({ durationMs }) => durationMs).slice(1), [50, 0])
  assert.equal(heard().length, (100 + 60 * 1000) * 48)
})

test('drain finishes a running advance first', async (t) => {
  const { session, heard } = open(t)
  const played = session.playAudio({ audio: tone(440, 50) })
  const advanced = session.advance(300)
  await Promise.all([session.close({ drain: true }), advanced])
  assert.equal((await played).outcome, 'completed')
  assert.equal(heard().length, 300 * 48)
})

test('the earlier of two drains wins, close overrides both', async (t) => {
  const first = open(t)
  const looped = first.session.playAudio({ audio: tone(440, 50), loop: true })
  await Promise.all([first.session.close({ drain: true, withinMs: 60000 }), first.session.close({ drain: true, withinMs: 70 })])
  assert.ok((await looped).durationMs < 60000)

  const { session, terminal } = open(t, { output: { clock: 'realtime' } })
  const playing = session.playAudio({ requestId: 'a', audio: tone(440, 60000) })
  await once(session, 'started')
  const drained = session.close({ drain: true, withinMs: 24 * 3600 * 1000 })
  assert.deepEqual([session.connection, session.playbacks().length], ['connected', 1])
  await Promise.all([session.close(), drained])
  assert.equal((await playing).reason, 'closed')
  assert.equal(terminal('a').length, 1)
})

test('realtime: live playbacks stay controllable while draining', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const stream = session.createStream({ format: 'pcm16', sampleRate: 48000 })
  const long = session.playAudio({ requestId: 'long', audio: tone(440, 60000), stopOther: false })
  const paused = session.playAudio({ requestId: 'paused', audio: tone(440, 60), stopOther: false })
  await session.pauseAudio({ requestId: 'paused' })
  let refused
  session.once('stopped', () => {
    refused = assert.rejects(session.playAudio({ audio: tone(440, 20) }), CLOSED)
  })
  const closed = session.close({ drain: true })
  await once(session, 'started')
  assert.deepEqual(await session.resumeAudio({ requestId: 'paused' }), { resumed: ['paused'] })
  assert.equal((await paused).outcome, 'completed')
  stream.end(Buffer.alloc(9600))
  assert.equal((await stream.finished).durationMs, 100)
  assert.deepEqual(await session.stopAudio(), { stopped: ['long'] })
  assert.equal((await long).reason, 'stopped')
  await closed
  assert.ok(refused)
  await refused
})

test('realtime: withinMs is wall time, also in silence', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const playing = session.playAudio({ audio: tone(440, 100) })
  await session.pauseAudio()
  const began = process.hrtime.bigint()
  await session.close({ drain: true, withinMs: 150 })
  assert.ok(process.hrtime.bigint() - began >= 149_000_000n)
  const { outcome, reason } = await playing
  assert.deepEqual({ outcome, reason }, { outcome: 'stopped', reason: 'closed' })
})

test('realtime: a lost output ends the drain', async (t) => {
  const { session } = open(t, { output: { type: 'wav', path: path.join(workspace(t), 'missing', 'x.wav'), clock: 'realtime' } })
  const playing = assert.rejects(session.playAudio({ audio: tone(440, 100) }), { code: 'ERR_OUTPUT' })
  await session.close({ drain: true })
  await playing
})

test('a recording includes the drain and ends with it', async (t) => {
  for (const [play, options, types] of [
    [{ loop: true }, { withinMs: 400 }, ['session', 'play', 'pause', 'stop']],
    [{}, {}, ['session', 'play', 'pause']]
  ]) {
    const { session, heard, file } = recording(t)
    session.playAudio({ requestId: 'a', audio: tone(440, 450), ...play })
    await session.advance(100)
    const closed = session.close({ drain: true, ...options })
    await session.pauseAudio({ requestId: 'not here' })
    await closed
    const recorded = lines(file)
    assert.deepEqual(recorded.map(({ type }) => type), types)
    if (play.loop) assert.deepEqual(recorded.at(-1), { atMs: 500, type: 'stop', reason: 'closed', fadeOutMs: 0 })
    const { samples, playbacks } = await replayed(file)
    const length = heard().length
    assert.deepEqual(samples.subarray(0, length), heard())
    assert.ok(samples.subarray(length).every((sample) => sample === 0), 'a replay ends with a whole frame')
    assert.equal(playbacks.length, 1)
  }
})

test('validates the arguments of close', async (t) => {
  const { session } = open(t)
  for (const options of [
    null, 'SIGTERM', [], { drain: 1 }, { withinMs: 5 }, { drain: false, withinMs: 5 }, { drain: true, withinMs: 0 },
    { drain: true, withinMs: NaN }, { drain: true, withinMs: 24 * 3600 * 1000 + 1 }, { drains: true }
  ]) {
    await assert.rejects(session.close(options), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
  await session.advance(20)
  await session.close({ drain: undefined, withinMs: undefined })
})
