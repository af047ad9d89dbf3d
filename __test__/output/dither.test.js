'use strict'

// What dither does to 16 bits, and that without it they are those of the clip.

const assert = require('node:assert/strict')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { open } = require('../support/session')
const { listen } = require('../support/tap')
const { level, readWav, tone } = require('../support/wav')

const STEP = 1 / 32768

/** A tone with an amplitude of 0.3 steps of 16 bits, for 500 ms, then silence of the same length. */
async function whisper(session) {
  session.playAudio({ audio: tone(1000, 500), volume: STEP })
  await session.advance(1000)
}

/** Plays the same through each 16-bit output and returns all of their samples. */
const OUTPUTS = {
  async wav(t, dither, play) {
    const directory = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const file = path.join(directory, 'mix.wav')
    const { session } = open(t, { output: { type: 'wav', path: file, dither } })
    await play(session)
    await session.close()
    assert.ok(readFileSync(file).length > 44)
    return readWav(file).samples
  },
  async pcm(t, dither, play) {
    const frames = []
    const { session } = open(t, { output: { type: 'pcm', dither, onFrame: (frame) => frames.push(frame) } })
    await play(session)
    await session.close()
    return samplesOf(frames)
  },
  async tap(t, dither, play) {
    const { session } = open(t)
    const frames = listen(session.tap({ dither }))
    await play(session)
    await session.close()
    return samplesOf(frames.map(({ frame }) => frame))
  }
}

function samplesOf(frames) {
  const all = Buffer.concat(frames)
  return Float32Array.from({ length: all.length / 2 }, (_, n) => all.readInt16LE(2 * n) / 32768)
}

for (const [name, output] of Object.entries(OUTPUTS)) {
  test(`${name}: dither preserves what is quieter than a step`, async (t) => {
    const lost = await output(t, undefined, whisper)
    assert.ok(lost.length >= 24000 && lost.every((sample) => sample === 0))
    const heard = await output(t, true, whisper)
    assert.equal(heard.length, lost.length)
    const found = level(heard, 4800, 19200, 1000) / STEP
    assert.ok(Math.abs(found - 0.3) < 0.04, `${found} steps`)
    assert.ok(heard.every((sample) => Math.abs(sample) <= 2 * STEP))
    assert.ok(heard.subarray(24960).every((sample) => sample === 0), 'silence is not silent')
  })

  test(`${name}: the same calls give the same noise`, async (t) => {
    assert.deepEqual(await output(t, true, whisper), await output(t, true, whisper))
  })

  test(`${name}: the error is small, unbiased and independent of level`, async (t) => {
    for (const volume of [0.9, 0.001]) {
      const play = async (session) => {
        session.playAudio({ audio: tone(440, 500, { amplitude: 1 }), volume })
        await session.advance(500)
      }
      const exact = open(t)
      await play(exact.session)
      const expected = exact.heard()
      const errors = Array.from((await output(t, true, play)).subarray(0, 24000), (sample, n) => (sample - expected[n]) / STEP)
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
      const power = errors.reduce((sum, error) => sum + error * error, 0) / errors.length
      assert.ok(errors.every((error) => Math.abs(error) <= 1.501))
      assert.ok(Math.abs(mean) < 0.02, `${mean} on average`)
      assert.ok(Math.abs(power - 0.25) < 0.02, `a power of ${power}, at volume ${volume}`)
    }
  })

  test(`${name}: without dither a lone 16-bit clip is bit-exact`, async (t) => {
    const clip = tone(440, 500, { amplitude: 1 })
    for (const dither of [undefined, false]) {
      const samples = await output(t, dither, async (session) => {
        session.playAudio({ audio: clip })
        await session.advance(500)
      })
      const expected = Float32Array.from({ length: 24000 }, (_, n) => clip.readInt16LE(44 + 2 * n) / 32768)
      assert.deepEqual(samples.subarray(0, 24000), expected)
    }
  })
}

test('a tap is dithered only in 16 bits', (t) => {
  const { session } = open(t)
  assert.throws(() => session.tap({ dither: 1 }), /^SpeakerError: Expected a boolean for dither but received 1/)
  const message = /^SpeakerError: Expected format 's16' beside it for dither but received 'f32'/
  assert.throws(() => session.tap({ format: 'f32', dither: true }), message)
})
