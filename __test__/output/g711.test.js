'use strict'

// The formats of telephone lines: G.711, µ-law and A-law.

const assert = require('node:assert/strict')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { listen } = require('../support/tap')
const { level, tone } = require('../support/wav')

/** ITU-T G.711's byte of silence and decoding (tables 1b and 2b) for each format, and its tag in a WAV file (RFC 2361). */
const LAWS = {
  mulaw: {
    silence: 0xff,
    tag: 7,
    read(byte) {
      const code = ~byte & 0xff
      const level = ((2 * (code & 15) + 33) << ((code >> 4) & 7)) - 33
      return (code & 0x80 ? -level : level) / 8192
    }
  },
  alaw: {
    silence: 0xd5,
    tag: 6,
    read(byte) {
      const code = byte ^ 0x55
      const segment = (code >> 4) & 7
      const level = segment === 0 ? 2 * (code & 15) + 1 : (2 * (code & 15) + 33) << (segment - 1)
      return (code & 0x80 ? level : -level) / 4096
    }
  }
}

function folder(t) {
  const name = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(name, { recursive: true }))
  return name
}

function samplesOf(bytes, format) {
  return Float32Array.from(bytes, LAWS[format].read)
}

for (const format of Object.keys(LAWS)) {
  test(`pcm frames in ${format} are 8 kHz bytes`, async (t) => {
    const frames = []
    const onFrame = (frame, { atMs }) => frames.push({ frame, atMs })
    const { session } = open(t, { output: { type: 'pcm', format, onFrame } })
    session.playAudio({ audio: tone(440, 1007) })
    await finish(session)
    await session.close()
    assert.ok(frames.every(({ frame }) => frame.length === 160))
    assert.deepEqual(frames.map(({ atMs }) => atMs), frames.map((_, index) => index * 20))
    const all = Buffer.concat(frames.map(({ frame }) => frame))
    assert.ok(Math.abs(level(samplesOf(all, format), 2000, 6000, 440, 8000) - 0.3) < 0.003)
    assert.ok(all.subarray(-40).every((byte) => byte === LAWS[format].silence), 'the last frame is filled with silence')
  })

  test(`a tap in ${format} equals the output`, async (t) => {
    const frames = []
    const { session } = open(t, { output: { type: 'pcm', channels: 2, format, onFrame: (frame) => frames.push(frame) } })
    const tapped = listen(session.tap({ format }))
    session.playAudio({ audio: tone(440, 400) })
    await finish(session)
    await session.close()
    assert.equal(frames[0].length, 320, 'stereo')
    assert.deepEqual(Buffer.concat(tapped.map(({ frame }) => frame)), Buffer.concat(frames))
  })

  test(`decoders read a WAV file in ${format}, silence included`, async (t) => {
    for (const channels of [1, 2]) {
      const file = path.join(folder(t), 'line.wav')
      const { session } = open(t, { output: { type: 'wav', path: file, format, channels } })
      session.playAudio({ audio: tone(440, 300), stopOther: false })
      await session.advance(1000)
      session.playAudio({ audio: tone(880, 250.125), stopOther: false })
      await session.advance(250.125)
      await session.close()
      const bytes = readFileSync(file)
      assert.equal(bytes.readUInt32LE(4), bytes.length - 8, 'a whole RIFF file')
      const { tag, silence } = LAWS[format]
      assert.deepEqual([20, 22, 34].map((at) => bytes.readUInt16LE(at)), [tag, channels, 8])
      assert.deepEqual([24, 28].map((at) => bytes.readUInt32LE(at)), [8000, 8000 * channels])
      const [fact, length] = [bytes.readUInt32LE(46), bytes.readUInt32LE(54)]
      assert.deepEqual([fact, length], [10001, 10001 * channels])
      assert.equal(bytes.length, 58 + length + (length % 2), 'a chunk of an odd length is padded')
      const data = bytes.subarray(58, 58 + length)
      assert.ok(data.subarray(2500 * channels, 8000 * channels).every((byte) => byte === silence))
      const memory = open(t)
      memory.session.playAudio({ audio: bytes })
      await finish(memory.session)
      const heard = memory.heard()
      assert.ok(Math.abs(level(heard, 0, 250 * 48, 440) - 0.3) < 0.005, 'at its place')
      assert.ok(Math.abs(level(heard, 1000 * 48, 1250 * 48, 880) - 0.3) < 0.005, 'behind the silence')
    }
  })
}

test('a mulaw WAV file has the exact duration', async (t) => {
  const file = path.join(folder(t), 'line.wav')
  const { session } = open(t, { output: { type: 'wav', path: file, format: 'mulaw' } })
  for (let n = 0; n < 60; n++) {
    session.playAudio({ audio: tone(440, 7), stopOther: false })
    await session.advance(n % 2 ? 9.3 : 13.77)
  }
  await session.close()
  // 446 and 661 samples of the session by turns, of which six make one.
  assert.equal(readFileSync(file).readUInt32LE(54), (30 * (446 + 661)) / 6)
})

test('refuses other rates, dither and unknown formats', (t) => {
  const refused = (output, message) => {
    assert.throws(() => open(t, { output }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  const onFrame = () => {}
  refused({ type: 'pcm', format: 'mulaw', sampleRate: 16000, onFrame }, /Expected 8000 beside format 'mulaw' for output.sampleRate but received 16000/)
  refused({ type: 'pcm', format: 'alaw', dither: true, onFrame }, /output.dither/)
  refused({ type: 'pcm', format: 'ulaw', onFrame }, /'mulaw', 'alaw' for output.format/)
  const { session } = open(t)
  assert.throws(() => session.tap({ format: 'alaw', sampleRate: 48000 }), { code: 'ERR_INVALID_ARGUMENT', message: /for sampleRate/ })
})
