'use strict'

// Everything that holds bytes is `audio`: whole files in any array or ArrayBuffer, raw samples with their format, and iterables of chunks.

const assert = require('node:assert/strict')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')
const { runInNewContext } = require('node:vm')

const { SpeakerSession } = require('../..')
const { lines, recording, replayed } = require('../support/recording')
const { finish, open } = require('../support/session')
const { pcm16, pieces, saw } = require('../support/stream')
const { tone } = require('../support/wav')

const FILE = tone(440, 300)
const SAMPLES = saw(300, 24000)
const RAW = pcm16(SAMPLES)

const arrayBuffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
const shared = (bytes) => {
  const buffer = new SharedArrayBuffer(bytes.length)
  new Uint8Array(buffer).set(bytes)
  return buffer
}
/** In the middle of a buffer, as most views are. */
const within = (bytes) => new Uint8Array(Buffer.concat([Buffer.alloc(8), bytes, Buffer.alloc(8)]).buffer, 8, bytes.length)

/** Returns everything that can hold all of `bytes`. */
const WHOLE = {
  Buffer: (bytes) => Buffer.from(bytes),
  'Uint8Array within a buffer': within,
  Uint8ClampedArray: (bytes) => new Uint8ClampedArray(bytes),
  Int8Array: (bytes) => new Int8Array(arrayBuffer(bytes)),
  DataView: (bytes) => new DataView(arrayBuffer(bytes)),
  ArrayBuffer: arrayBuffer,
  SharedArrayBuffer: shared,
  'Uint8Array of another realm': (bytes) => runInNewContext('Uint8Array.from(bytes)', { bytes }),
  'ArrayBuffer of another realm': (bytes) => runInNewContext('Uint8Array.from(bytes).buffer', { bytes })
}

/** Returns everything that gives `bytes` in chunks. */
const PIECES = {
  'array of Buffers': (bytes) => [...pieces(bytes, 700)],
  'array of ArrayBuffers': (bytes) => [...pieces(bytes, 700)].map(arrayBuffer),
  'Set of Buffers': (bytes) => new Set(pieces(bytes, 700)),
  generator: (bytes) => pieces(bytes, 7, 500),
  'asynchronous generator of DataViews': async function* (bytes) {
    for (const piece of pieces(bytes, 1000)) yield new DataView(arrayBuffer(piece))
  },
  Readable: (bytes) => Readable.from(pieces(bytes, 1000)),
  Blob: (bytes) => new Blob([bytes]),
  Response: (bytes) => new Response(bytes)
}

async function played(t, request, options) {
  const { session, heard } = open(t, options)
  const playing = session.playAudio(request)
  await finish(session)
  return { heard: heard(), ...(await playing) }
}

test('plays a whole file from every kind of memory', async (t) => {
  const expected = await played(t, { audio: FILE })
  assert.equal(expected.durationMs, 300)
  for (const [name, kind] of Object.entries(WHOLE)) {
    assert.deepEqual((await played(t, { audio: kind(FILE) })).heard, expected.heard, name)
    assert.equal((await SpeakerSession.clip({ audio: kind(FILE) })).durationMs, 300, name)
    assert.equal((await SpeakerSession.probe({ audio: kind(FILE) })).durationMs, 300, name)
    assert.equal((await played(t, { audio: kind(FILE), format: 'wav', loop: 2 })).durationMs, 600, name)
  }
})

test('plays a chunked file from every iterable', async (t) => {
  const expected = await played(t, { audio: FILE })
  for (const [name, kind] of Object.entries(PIECES)) {
    assert.deepEqual((await played(t, { audio: kind(FILE) })).heard, expected.heard, name)
    assert.equal((await SpeakerSession.clip({ audio: kind(FILE) })).durationMs, 300, name)
  }
})

test('raw samples sound the same whole and streamed', async (t) => {
  const [s16, f32] = [Int16Array.from(SAMPLES, (sample) => Math.round(sample * 32768)), Float32Array.from(SAMPLES)]
  const bytes = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  const telephone = Buffer.from(Array.from({ length: 2400 }, (_, n) => (n * 29) % 256))
  for (const [raw, kinds] of [
    [{ format: 'pcm16', sampleRate: 24000 }, { Buffer: RAW, Int16Array: s16, ArrayBuffer: arrayBuffer(RAW), array: [s16.subarray(0, 99), RAW.subarray(198)] }],
    [{ format: 'pcm16', sampleRate: 48000, channels: 2 }, { Buffer: RAW, Int16Array: s16 }],
    [{ format: 'f32', sampleRate: 24000 }, { Buffer: bytes(f32), Float32Array: f32, ArrayBuffer: arrayBuffer(bytes(f32)) }],
    [{ format: 'mulaw' }, { Buffer: telephone, Int8Array: new Int8Array(telephone) }],
    [{ format: 'alaw', channels: 2 }, { Buffer: telephone }],
    [{ format: 'g722' }, { Buffer: telephone }]
  ]) {
    const expected = await played(t, { audio: Readable.from([bytes(Object.values(kinds)[0])]), ...raw }, { output: { channels: 2 } })
    assert.equal(expected.outcome, 'completed')
    for (const [name, audio] of Object.entries(kinds)) {
      const { heard, durationMs } = await played(t, { audio, ...raw }, { output: { channels: 2 } })
      assert.equal(durationMs, expected.durationMs, `${raw.format} in ${name}`)
      assert.deepEqual(heard, expected.heard, `${raw.format} in ${name}`)
    }
    const [audio] = Object.values(kinds)
    assert.equal((await SpeakerSession.clip({ audio, ...raw })).durationMs, expected.durationMs)
    assert.equal((await SpeakerSession.clip({ audio: Readable.from([audio], { objectMode: true }), ...raw })).durationMs, expected.durationMs)
  }
})

test('whole raw samples can loop, seek and be cut', async (t) => {
  const raw = { audio: RAW, format: 'pcm16', sampleRate: 24000 }
  assert.equal((await played(t, { ...raw, loop: 3, startMs: 100, durationMs: 50 })).durationMs, 150)
  const { session } = open(t)
  const playing = session.playAudio(raw)
  await session.advance(20)
  assert.deepEqual((await session.seekAudio({ positionMs: 200 })).sought, ['playback-1'])
  await finish(session)
  assert.equal((await playing).positionMs, 300)
})

test('drops an incomplete sample at the end', async (t) => {
  const { durationMs, outcome } = await played(t, { audio: Buffer.concat([RAW, Buffer.alloc(1)]), format: 'pcm16', sampleRate: 24000 })
  assert.deepEqual([durationMs, outcome], [300, 'completed'])
  const { session } = open(t)
  const empty = session.playAudio({ audio: new ArrayBuffer(0), format: 'pcm16', sampleRate: 24000 })
  await finish(session)
  await assert.rejects(empty, { code: 'ERR_EMPTY_SOURCE' })
})

test('a replay plays whole raw samples unchanged', async (t) => {
  const { session, heard, file } = recording(t)
  session.playAudio({ audio: Int16Array.from(SAMPLES, (sample) => Math.round(sample * 32768)), format: 'pcm16', sampleRate: 24000 })
  await finish(session)
  const expected = heard()
  await session.close()
  assert.ok(!lines(file).some((line) => 'format' in line), 'as a file that says itself what it is')
  const { samples } = await replayed(file)
  assert.deepEqual(samples.subarray(0, expected.length), expected)
})

test('refuses input that would be noise', async (t) => {
  const { session } = open(t)
  for (const [request, message] of [
    [{ audio: FILE.toString('base64') }, /^Expected a Buffer, typed array, ArrayBuffer, .* for audio but received '.*' of type string; paths and URLs are audioUrl, and Buffer\.from\(text, 'base64'\)/],
    [{ audio: new Int16Array(100) }, /^Expected format 'pcm16' beside samples, or bytes for audio but received an Int16Array$/],
    [{ audio: new Float32Array(100), format: 'pcm16', sampleRate: 48000 }, /^Expected format 'f32' beside samples, or bytes for audio but received a Float32Array$/],
    [{ audio: new Int16Array(100), format: 'f32', sampleRate: 48000 }, /^Expected format 'pcm16' beside samples, .* but received an Int16Array$/],
    [{ audio: new Int16Array(100), format: 'mulaw' }, /but received an Int16Array$/],
    [{ audio: new Float64Array(100), format: 'f32', sampleRate: 48000 }, /^Expected bytes for audio but received a Float64Array$/],
    [{ audio: new Uint32Array(100) }, /^Expected bytes for audio but received a Uint32Array$/],
    [{ audio: Promise.resolve(FILE) }, /but received a Promise$/],
    [{ audio: RAW, format: 'pcm16' }, /^Expected the sample rate of 'pcm16' for sampleRate but received undefined$/],
    [{ audio: FILE, sampleRate: 48000 }, /^Expected a format of raw samples beside it for sampleRate but received undefined$/],
    [{ audio: RAW, format: 'pcm16', sampleRate: 24000, prebufferMs: 100 }, /^Expected a Readable or another iterable as audio beside it for prebufferMs but received 100/],
    [{ audioUrl: path.join(__dirname, 'a.pcm'), format: 'pcm16', sampleRate: 24000 }, /^Expected bytes as audio beside it for format but received 'pcm16'/]
  ]) {
    await assert.rejects(session.playAudio(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  const clip = await SpeakerSession.clip({ audio: FILE })
  await assert.rejects(session.playAudio({ audio: clip, format: 'pcm16' }), { code: 'ERR_INVALID_ARGUMENT', message: /for format but received 'pcm16'/ })
  await assert.rejects(SpeakerSession.clip({ audioUrl: 'a.pcm', format: 'pcm16' }), { code: 'ERR_INVALID_ARGUMENT', message: /^Expected bytes as audio beside it for format/ })
})

test('a chunk that is not bytes fails its playback', async (t) => {
  for (const [piece, message] of [
    ['AAAA', 'the stream failed: it gave a string where bytes were expected'],
    [7, 'the stream failed: it gave a number where bytes were expected'],
    [null, 'the stream failed: it gave null where bytes were expected'],
    [new Float32Array(9), "the stream failed: Expected format 'f32' beside samples, or bytes for a piece of audio but received a Float32Array"]
  ]) {
    const { session } = open(t)
    const playing = session.playAudio({ audio: [FILE, piece] })
    await finish(session)
    await assert.rejects(playing, { code: 'ERR_STREAM', message })
    await assert.rejects(SpeakerSession.clip({ audio: [FILE, piece] }), { message })
  }
})
