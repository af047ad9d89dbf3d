'use strict'

// What can be written to a stream: bytes in any array. Text needs an encoding.

const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { test } = require('node:test')

const { finish, open } = require('../support/session')
const { RAW, pcm16, saw } = require('../support/stream')

const SAMPLES = saw(100)
const BYTES = pcm16(SAMPLES)

/** Returns what is heard if `feed` writes to a stream. */
async function heardOf(t, feed, request = RAW) {
  const { session, heard } = open(t)
  const stream = session.createStream(request)
  feed(stream)
  await finish(session)
  assert.equal((await stream.finished).outcome, 'completed')
  return heard()
}

test('writes bytes from any array', async (t) => {
  const expected = await heardOf(t, (stream) => stream.end(BYTES))
  const arrayBuffer = BYTES.buffer.slice(BYTES.byteOffset, BYTES.byteOffset + BYTES.length)
  for (const [name, feed] of Object.entries({
    ArrayBuffer: (stream) => stream.write(arrayBuffer) && stream.end(),
    'ArrayBuffer at the end': (stream) => stream.end(arrayBuffer),
    Int16Array: (stream) => stream.end(Int16Array.from(SAMPLES, (sample) => Math.round(sample * 32768))),
    DataView: (stream) => stream.end(new DataView(arrayBuffer)),
    'callback without an encoding': (stream) => stream.write(BYTES, () => stream.end()),
    'end with a callback': (stream) => stream.end(BYTES, () => {}),
    'text in base64': (stream) => stream.end(BYTES.toString('base64'), 'base64'),
    'text in BASE64URL': (stream) => stream.write(BYTES.toString('base64url'), 'BASE64URL', () => stream.end()),
    'text in hex': (stream) => stream.end(BYTES.toString('hex'), 'hex', () => {}),
    'text in latin1': (stream) => stream.end(BYTES.toString('latin1'), 'latin1'),
    'default encoding': (stream) => stream.setDefaultEncoding('base64').end(BYTES.toString('base64'))
  })) {
    assert.deepEqual(await heardOf(t, feed), expected, name)
  }
  const float = Float32Array.from(SAMPLES, (sample) => Math.round(sample * 32768) / 32768)
  assert.deepEqual(await heardOf(t, (stream) => stream.end(float), { format: 'f32', sampleRate: 48000 }), expected, 'Float32Array')
})

test('refuses other values and the stream goes on', async (t) => {
  const { session, heard } = open(t)
  const stream = session.createStream(RAW)
  for (const [[chunk, encoding], message] of [
    [[BYTES.toString('base64')], /^Expected bytes, or a string with one of the encodings 'base64', .* for chunk but received '.*' of type string; Buffer\.from\(text, 'base64'\)/],
    [['AAAA', 'utf8'], /^Expected bytes, or a string with one of the encodings/],
    [['AAAA', 'ascii'], /^Expected bytes, or a string with one of the encodings/],
    [['hello, world', 'base64'], /^Expected a string in base64 for chunk but received 'hello, world'/],
    [['abc', 'hex'], /^Expected a string in hex for chunk but received 'abc'/],
    [['zz', 'hex'], /^Expected a string in hex/],
    [[new Float32Array(4)], /^Expected format 'f32' beside samples, or bytes for chunk but received a Float32Array$/],
    [[new Float64Array(4)], /^Expected bytes for chunk but received a Float64Array$/],
    [[{ data: 'AAAA' }], /^Expected bytes for chunk but received an object$/],
    [[7], /^Expected bytes for chunk but received 7 of type number$/]
  ]) {
    for (const method of ['write', 'end']) {
      assert.throws(() => stream[method](chunk, encoding), { code: 'ERR_INVALID_ARGUMENT', message })
    }
  }
  assert.throws(() => stream.write(null), { code: 'ERR_STREAM_NULL_VALUES' })
  stream.end(BYTES)
  await finish(session)
  assert.equal((await stream.finished).durationMs, 100)
  assert.deepEqual(heard().subarray(0, 4800), SAMPLES)
})

test('piped text fails the stream, not the process', async (t) => {
  const { session } = open(t)
  const stream = session.createStream(RAW)
  const source = new Readable({ encoding: 'base64', read() {} })
  source.push(BYTES)
  source.push(null)
  const piped = pipeline(source, stream)
  await assert.rejects(piped, { code: 'ERR_INVALID_ARGUMENT', message: /^Expected bytes, or a string with one of the encodings/ })
  await finish(session)
  await assert.rejects(stream.finished, { code: 'ERR_STREAM', message: /^the stream failed: Expected bytes, or a string/ })
})
