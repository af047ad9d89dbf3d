'use strict'

// What is written to a stream is heard, sample by sample.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { openStream, pcm16, saw, steady, pieces } = require('../support/stream')
const { tone } = require('../support/wav')

const MS = 48
const fixture = (name) => readFileSync(path.join(__dirname, '..', 'fixtures', name))

/** Returns the samples that `playAudio` makes of a file. */
async function played(t, audio) {
  const { session, heard } = open(t)
  session.playAudio({ audio })
  await finish(session)
  return heard()
}

test('pcm16 is heard bit for bit', async (t) => {
  for (const lengths of [[1, 2, 3], [7, 4096, 1], [1e6]]) {
    const { session, stream: s, heard, of } = openStream(t)
    const samples = saw(150)
    for (const piece of pieces(pcm16(samples), ...lengths)) s.write(piece)
    s.end()
    await session.advance(200)
    assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 150, positionMs: 150 })
    assert.deepEqual(heard().subarray(0, 150 * MS), samples)
    assert.deepEqual(of('s'), ['started@0', 'completed@150'])
  }
})

test('f32 stereo keeps its sides, NaN is silence', async (t) => {
  const { session, stream: s, heard } = openStream(t, { format: 'f32', channels: 2 }, { output: { channels: 2 } })
  const samples = Float32Array.from({ length: 100 * MS * 2 }, (_, n) => (n % 2 ? -0.25 : 0.5) * Math.sin(n))
  samples[20] = NaN
  samples[21] = Infinity
  for (const piece of pieces(Buffer.from(samples.buffer), 5, 1001)) s.write(piece)
  s.end()
  await session.advance(100)
  samples.fill(0, 20, 22)
  assert.deepEqual(heard(), samples)
})

test('other rates and formats match playAudio', async (t) => {
  const samples = saw(500, 24000)
  const cases = [[{ sampleRate: 24000 }, pcm16(samples), tone(0, 500, { sampleRate: 24000 })]]
  samples.forEach((sample, n) => cases[0][2].writeInt16LE(Math.round(sample * 32768), 44 + 2 * n))
  const files = { wav: 'tone-s24.wav', mp3: 'tone-vbr.mp3', flac: 'tone.flac', ogg: 'tone-opus.ogg', aac: 'tone.aac' }
  for (const [format, name] of Object.entries(files)) {
    cases.push([{ format, sampleRate: undefined }, fixture(name), fixture(name)])
  }
  for (const [request, bytes, audio] of cases) {
    const { session, stream: s, heard } = openStream(t, request)
    for (const piece of pieces(bytes, 1, 417, 1000)) s.write(piece)
    s.end()
    await finish(session)
    assert.equal((await s.finished).outcome, 'completed', request.format)
    assert.deepEqual(heard(), await played(t, audio), request.format)
  }
})

test('telephone formats sound the same as files of them', async (t) => {
  const formats = path.join(__dirname, '..', 'fixtures', 'formats')
  for (const [format, name, sampleRate] of [['mulaw', 'wav-mu-law.wav', 8000], ['alaw', 'wav-a-law.wav', 8000], ['g722', 'wav-g-722.wav', 16000]]) {
    const file = readFileSync(path.join(formats, name))
    const data = file.subarray(file.indexOf('data') + 8)
    for (const request of [{ format }, { format, sampleRate }]) {
      const { session, stream: s, heard } = openStream(t, { sampleRate: undefined, ...request })
      for (const piece of pieces(data.subarray(0, file.readUInt32LE(file.indexOf('data') + 4)), 1, 417, 1000)) s.write(piece)
      s.end()
      await finish(session)
      assert.deepEqual((await s.finished).durationMs, 250, format)
      assert.deepEqual(heard(), await played(t, file), format)
    }
  }
})

test('8000 bytes of 16 kHz G.722 last one second', async (t) => {
  const { session, stream: s } = openStream(t, { format: 'g722', sampleRate: undefined })
  s.write(Buffer.alloc(4000, 0xff))
  const reached = s.mark('half')
  s.end(Buffer.alloc(4000, 0xff))
  await session.advance(1000)
  assert.equal((await s.finished).durationMs, 1000)
  assert.equal((await reached).atMs, 500)
})

test('starts at 40 ms or at the end', async (t) => {
  const { session, stream: s, of } = openStream(t)
  s.write(steady(39))
  await session.advance(100)
  assert.deepEqual(of('s'), [])
  s.write(steady(1))
  await session.advance(20)
  assert.deepEqual(of('s'), ['started@100'])

  const short = openStream(t)
  await short.session.advance(30)
  short.stream.end(steady(3))
  await short.session.advance(3)
  assert.deepEqual(short.of('s'), ['started@30', 'completed@33'])
})

test('empty and damaged streams fail', async (t) => {
  const cases = [
    [{}, '', 'ERR_EMPTY_SOURCE'],
    [{ format: 'mp3', sampleRate: undefined }, '', 'ERR_EMPTY_SOURCE'],
    [{ format: 'mp3', sampleRate: undefined }, Buffer.from('plain text is no music, however long one listens'), 'ERR_UNSUPPORTED_FORMAT'],
    [{ format: 'flac', sampleRate: undefined }, fixture('truncated.flac'), 'ERR_TRUNCATED']
  ]
  for (const [request, bytes, code] of cases) {
    const { session, stream: s, terminal } = openStream(t, request)
    s.end(bytes)
    await finish(session)
    await assert.rejects(s.finished, { code, requestId: 's' })
    assert.equal(terminal('s').length, 1)
    assert.equal(s.errored?.code, code)
  }
})

test('an Ogg page plays as soon as complete', async (t) => {
  const ogg = fixture('live-opus.ogg')
  const last = ogg.lastIndexOf('OggS')
  const { session, stream: s, heard } = openStream(t, { format: 'ogg', sampleRate: undefined })
  s.write(ogg.subarray(0, last))
  await session.advance(600)
  // All but the last packet of 20 ms.
  const end = heard().findLastIndex((sample) => sample !== 0)
  assert.ok(end > 460 * MS, `it is heard to ${end / MS} ms`)
  s.end(ogg.subarray(last))
  await finish(session)
  assert.equal((await s.finished).durationMs, 500)
})
