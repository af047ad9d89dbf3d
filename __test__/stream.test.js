'use strict'

// Streams, sample by sample: memory and a manual clock, which does not wait for who writes.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('./support/session')
const { RAW, pcm16, saw, steady, pieces } = require('./support/stream')
const { tone } = require('./support/wav')

const MS = 48
const fixture = (name) => readFileSync(path.join(__dirname, 'fixtures', name))

/** A session with one stream. */
function stream(t, request, options) {
  const opened = open(t, options)
  return { ...opened, stream: opened.session.createStream({ requestId: 's', ...RAW, ...request }) }
}

/** What `playAudio` makes of a file. */
async function played(t, audio) {
  const { session, heard } = open(t)
  session.playAudio({ audio })
  await finish(session)
  return heard()
}

test('what is written is heard bit for bit, however it is cut', async (t) => {
  for (const lengths of [[1, 2, 3], [7, 4096, 1], [1e6]]) {
    const { session, stream: s, heard, of } = stream(t)
    const samples = saw(150)
    for (const piece of pieces(pcm16(samples), ...lengths)) s.write(piece)
    s.end()
    await session.advance(200)
    assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 150, positionMs: 150 })
    assert.deepEqual(heard().subarray(0, 150 * MS), samples)
    assert.deepEqual(of('s'), ['started@0', 'completed@150'])
  }
})

test('floats in stereo keep their sides, and what is no number is silence', async (t) => {
  const { session, stream: s, heard } = stream(t, { format: 'f32', channels: 2 }, { output: { channels: 2 } })
  const samples = Float32Array.from({ length: 100 * MS * 2 }, (_, n) => (n % 2 ? -0.25 : 0.5) * Math.sin(n))
  samples[20] = NaN
  samples[21] = Infinity
  for (const piece of pieces(Buffer.from(samples.buffer), 5, 1001)) s.write(piece)
  s.end()
  await session.advance(100)
  samples.fill(0, 20, 22)
  assert.deepEqual(heard(), samples)
})

test('other rates and file formats give what playAudio gives of them', async (t) => {
  const samples = saw(500, 24000)
  const cases = [[{ sampleRate: 24000 }, pcm16(samples), tone(0, 500, { rate: 24000 })]]
  samples.forEach((sample, n) => cases[0][2].writeInt16LE(Math.round(sample * 32768), 44 + 2 * n))
  const files = { wav: 'tone-s24.wav', mp3: 'tone-vbr.mp3', flac: 'tone.flac', ogg: 'tone-opus.ogg', aac: 'tone.aac' }
  for (const [format, name] of Object.entries(files)) {
    cases.push([{ format, sampleRate: undefined }, fixture(name), fixture(name)])
  }
  for (const [request, bytes, audio] of cases) {
    const { session, stream: s, heard } = stream(t, request)
    for (const piece of pieces(bytes, 1, 417, 1000)) s.write(piece)
    s.end()
    await finish(session)
    assert.equal((await s.finished).outcome, 'completed', request.format)
    assert.deepEqual(heard(), await played(t, audio), request.format)
  }
})

test('it starts with 40 ms, and with less once it is ended', async (t) => {
  const { session, stream: s, of } = stream(t)
  s.write(steady(39))
  await session.advance(100)
  assert.deepEqual(of('s'), [])
  s.write(steady(1))
  await session.advance(20)
  assert.deepEqual(of('s'), ['started@100'])

  const short = stream(t)
  await short.session.advance(30)
  short.stream.end(steady(3))
  await short.session.advance(3)
  assert.deepEqual(short.of('s'), ['started@30', 'completed@33'])
})

test('a writer who is behind is silence, told once each time, with faded edges', async (t) => {
  const { session, stream: s, heard, told } = stream(t)
  s.write(steady(100))
  await session.advance(150)
  s.write(steady(60))
  await session.advance(100)
  s.end()
  await session.advance(1)
  const stalls = told.filter(({ type }) => type === 'stalled').map(({ atMs, positionMs }) => [atMs, positionMs])
  assert.deepEqual(stalls, [[100, 100], [210, 160]])
  assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 160, positionMs: 160 })
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(94), at(97.5), at(100), at(149), at(150), at(152.5), at(156)], [0.5, 0.25, 0, 0, 0, 0.25, 0.5])
  assert.equal(session.stats().underruns, 2)
})

test('less than 40 ms after a stall waits for more, or for the end', async (t) => {
  const { session, stream: s, heard } = stream(t)
  s.write(steady(50))
  await session.advance(60)
  s.write(steady(39))
  await session.advance(20)
  assert.ok(heard().subarray(50 * MS).every((sample) => sample === 0))
  s.end()
  await session.advance(40)
  assert.equal(heard()[90 * MS], 0.5)
  assert.equal((await s.finished).durationMs, 89)
})

test('a stall ends after stallTimeoutMs, the request’s or the session’s', async (t) => {
  for (const [request, options] of [[{ stallTimeoutMs: 300 }, {}], [{}, { stallTimeoutMs: 300 }]]) {
    const { session, stream: s, of } = stream(t, request, options)
    await session.advance(1000) // it has not started: that is no stall
    s.write(steady(50))
    await session.advance(200)
    s.write(steady(50))
    await session.advance(1000)
    await assert.rejects(s.finished, { code: 'ERR_STALLED', requestId: 's', positionMs: 100 })
    assert.deepEqual(of('s'), ['started@1000', 'stalled@1050', 'stalled@1250', 'failed@1550'])
  }
  const { session, stream: s } = stream(t, { stallTimeoutMs: 0 }, { stallTimeoutMs: 300 })
  s.write(steady(50))
  await session.advance(5000)
  assert.equal(session.playbacks()[0].requestId, s.requestId)
})

test('flush drops what was not heard, falls within 5 ms, and what follows is heard from its first sample', async (t) => {
  const { session, stream: s, heard, of } = stream(t)
  s.write(steady(3000))
  await session.advance(100)
  s.write(Buffer.alloc(1)) // half a sample
  const flushed = s.flush()
  s.write(steady(100, -0.25))
  s.end()
  await flushed
  await session.advance(200)
  assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 205, positionMs: 205 })
  assert.deepEqual(of('s'), ['started@0', 'completed@205'])
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(100), at(102.5), at(105), at(107.5), at(110), at(204)], [0.5, 0.25, 0, -0.125, -0.25, -0.25])
})

test('flush of what has not begun, of nothing, in a stall and before the end', async (t) => {
  const { session, stream: s, heard, of } = stream(t)
  await s.flush()
  s.write(steady(100))
  await s.flush()
  await session.advance(50)
  assert.deepEqual(of('s'), [])
  s.write(steady(50, 0.25))
  await session.advance(100)
  await s.flush()
  await session.advance(50)
  s.write(steady(50, 0.125))
  await session.advance(20)
  s.flush()
  s.end()
  await session.advance(20)
  assert.deepEqual(of('s'), ['started@50', 'stalled@100', 'completed@225'])
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(60), at(205), at(225)], [0.25, 0.125, 0])
  await s.flush()

  const never = stream(t)
  never.stream.write(steady(100))
  never.stream.flush()
  never.stream.end()
  await never.session.advance(10)
  assert.equal((await never.stream.finished).durationMs, 0, 'something was written, so it is not empty')
})

test('after a flush a file format begins anew', async (t) => {
  const { session, stream: s, heard } = stream(t, { format: 'mp3', sampleRate: undefined })
  const mp3 = fixture('tone-cbr.mp3')
  s.write(mp3.subarray(0, 5001))
  await session.advance(100)
  await s.flush()
  s.end(mp3)
  await finish(session)
  const whole = await played(t, mp3)
  const start = 105 * MS
  assert.deepEqual(heard().subarray(start + 5 * MS, start + 300 * MS), whole.subarray(5 * MS, 300 * MS))
})

test('a flush reaches what waits in Node’s own queue, and lets its writers go on', async (t) => {
  const { session, stream: s, heard } = stream(t)
  const written = []
  for (let n = 0; n < 5; n++) s.write(steady(700), () => written.push(n))
  assert.ok(s.writableLength > 0)
  await s.flush()
  assert.equal(s.writableLength, 0)
  s.end(steady(100, 0.25))
  await session.advance(200)
  assert.deepEqual(written.sort(), [0, 1, 2, 3, 4])
  assert.ok(heard().subarray(0, 100 * MS).every((sample) => sample === 0.25))
  assert.equal((await s.finished).durationMs, 100)
})

test('no byte, wrong bytes and damaged bytes fail as files do', async (t) => {
  const cases = [
    [{}, '', 'ERR_EMPTY_SOURCE'],
    [{ format: 'mp3', sampleRate: undefined }, '', 'ERR_EMPTY_SOURCE'],
    [{ format: 'mp3', sampleRate: undefined }, 'plain text is no music, however long one listens', 'ERR_UNSUPPORTED_FORMAT'],
    [{ format: 'flac', sampleRate: undefined }, fixture('truncated.flac'), 'ERR_TRUNCATED']
  ]
  for (const [request, bytes, code] of cases) {
    const { session, stream: s, terminal } = stream(t, request)
    s.end(bytes)
    await finish(session)
    await assert.rejects(s.finished, { code, requestId: 's' })
    assert.equal(terminal('s').length, 1)
    assert.equal(s.errored?.code, code)
  }
})
