'use strict'

// What `speaker-session/testing` reports as heard.

const assert = require('node:assert/strict')
const { writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { finish, level, readWav, recordTap, soundsIn, testSession, tone, tonesIn, wavFile } = require('speaker-session/testing')
const { workspace } = require('../support/cli')
const { random } = require('../support/random')

/** Returns tones in words: "440 100-600". */
const words = (tones) => tones.map(({ hz, fromMs, toMs }) => `${hz} ${fromMs}-${toMs}`)

/** Returns what a session mixes of these: `[hz, atMs, ms, amplitude]`. */
async function mixed(t, parts) {
  const { session } = testSession({ maxConcurrent: 100 }, t)
  for (const [hz, atMs, ms, amplitude = 0.3] of parts.toSorted((a, b) => a[1] - b[1])) {
    await session.advance(atMs - session.stats().timeMs)
    session.playAudio({ audio: tone(hz, ms, { amplitude }), stopOther: false })
  }
  await finish(session)
  return session.recording()
}

describe('tonesIn', () => {
  test('finds overlapping, consecutive and repeated tones', async (t) => {
    const recording = await mixed(t, [[440, 0, 500], [880, 250, 500], [440, 907, 100], [1320, 750, 50]])
    assert.deepEqual(words(tonesIn(recording, [440, 880, 1320, 660])), ['440 0-500', '880 250-750', '1320 750-800', '440 907-1007'])
  })

  test('is accurate to 2 ms and reports the level', async (t) => {
    const number = random(7)
    const parts = Array.from({ length: 20 }, (_, n) => [300 + 130 * n, number(2000), 40 + number(500), 0.06 + number(4) / 100])
    const recording = await mixed(t, parts)
    const tones = tonesIn(recording, parts.map(([hz]) => hz), { threshold: 0.03 })
    assert.deepEqual(tones.map(({ hz }) => hz).toSorted((a, b) => a - b), parts.map(([hz]) => hz))
    for (const [hz, fromMs, ms, amplitude] of parts) {
      const heard = tones.find((tone) => tone.hz === hz)
      assert.ok(Math.abs(heard.fromMs - fromMs) <= 2, `${hz} from ${heard.fromMs}, not ${fromMs}`)
      assert.ok(Math.abs(heard.toMs - fromMs - ms) <= 2, `${hz} to ${heard.toMs}, not ${fromMs + ms}`)
      assert.ok(Math.abs(heard.level - amplitude) < 0.005, `${hz} at ${heard.level}, not ${amplitude}`)
    }
  })

  test('follows a long fade down to the threshold', async (t) => {
    const { session } = testSession({}, t)
    session.playAudio({ audio: tone(440, 1000) })
    await session.advance(300)
    await session.stopAudio({ fadeOutMs: 100 })
    await session.advance(500)
    const [{ fromMs, toMs }] = tonesIn(session.recording(), [440], { threshold: 0.075 })
    assert.equal(fromMs, 0)
    assert.ok(Math.abs(toMs - 375) <= 3, `a quarter of it is left at 375, not at ${toMs}`)
  })

  test('accepts one channel of two and other rates', () => {
    const left = readWav(tone(440, 100, { sampleRate: 16000 })).samples
    const samples = Float32Array.from({ length: left.length * 2 }, (_, n) => (n % 2 === 0 ? left[n / 2] : 0))
    const recording = readWav(wavFile(samples, 16000, 2))
    assert.deepEqual([recording.sampleRate, recording.channels], [16000, 2])
    assert.deepEqual(words(tonesIn(recording, [440], { channel: 0 })), ['440 0-100'])
    assert.deepEqual(tonesIn(recording, [440], { channel: 1 }), [])
    assert.ok(Math.abs(level(recording, 440) - 0.15) < 0.001, 'the mean of both')
    assert.ok(Math.abs(level(recording, 440, 0, 50, { channel: 0 }) - 0.3) < 0.001)
  })

  test('finds nothing in silence', () => {
    assert.deepEqual(tonesIn(new Float32Array(0), [440]), [])
    assert.deepEqual(soundsIn(new Float32Array(4800)), [])
    assert.equal(level(new Float32Array(0), 440), 0)
  })
})

test('soundsIn is sample-exact and bridges short pauses', async (t) => {
  const { session } = testSession({}, t)
  const flat = (ms) => wavFile(new Float32Array(ms * 48).fill(0.5))
  for (const [atMs, ms] of [[100, 50], [160, 40], [907, 3]]) {
    await session.advance(atMs - session.stats().timeMs)
    session.playAudio({ audio: flat(ms), stopOther: false })
  }
  await finish(session)
  await session.advance(100)
  const times = (options) => soundsIn(session.recording(), options).map(({ fromMs, toMs }) => [fromMs, toMs])
  assert.deepEqual(times(), [[100, 200], [907, 910]])
  assert.deepEqual(times({ pauseMs: 5 }), [[100, 150], [160, 200], [907, 910]])
  assert.deepEqual(times({ threshold: 0.6 }), [])
  const [{ peak, rms }] = soundsIn(session.recording(), { pauseMs: 5 })
  assert.ok(Math.abs(peak - 0.5) < 1e-4 && Math.abs(rms - 0.5) < 1e-4)
})

test('taps are placed in time without a recording', async (t) => {
  const { session } = testSession({ output: { type: 'none' } }, t)
  const [all, second] = [recordTap(session), recordTap(session, { trackId: 1, sampleRate: 16000 })]
  session.playAudio({ audio: tone(440, 300) })
  await session.advance(1000)
  session.playAudio({ audio: tone(880, 200), trackId: 1 })
  await session.close({ drain: true })
  assert.deepEqual(words(tonesIn(all.recording(), [440, 880])), ['440 0-300', '880 1000-1200'])
  assert.deepEqual(words(tonesIn(second.recording(), [440, 880])), ['880 1000-1200'])
  assert.equal(all.tap.dropped, 0)
})

test('reads WAV files as written and refuses others', async (t) => {
  const samples = Float32Array.from([0, 0.5, -0.5, 1, -1])
  const file = path.join(workspace(t), 'x.wav')
  writeFileSync(file, wavFile(samples, 8000))
  const read = readWav(file)
  assert.deepEqual([read.sampleRate, read.channels, read.samples.length], [8000, 1, 5])
  read.samples.forEach((sample, n) => assert.ok(Math.abs(sample - samples[n]) < 1e-4))
  assert.deepEqual(readWav(wavFile([2, -2])).samples, readWav(wavFile([1, -1])).samples, 'clipped')
  assert.equal(tone(440, 100, { format: 'pcm16', sampleRate: 24000 }).length, 4800)
  for (const [bytes, message] of [
    [Buffer.from('no sound'), /a RIFF file for a WAV file but received 8 bytes/],
    [wavFile(samples).subarray(0, 50), /54 bytes, as its header says, for a WAV file but received 50/],
    [Buffer.concat([wavFile([]).subarray(0, 34), Buffer.from([24, 0]), wavFile([]).subarray(36)]), /received 24 bits of format 1/]
  ]) assert.throws(() => readWav(bytes), { code: 'ERR_INVALID_ARGUMENT', message })
})

test('refuses invalid arguments', () => {
  const silence = new Float32Array(100)
  for (const [call, message] of [
    [() => tone(440, 100, { amplitude: 2 }), /for amplitude but received 2/],
    [() => tonesIn(silence, 440), /an array of frequencies in Hz for frequencies/],
    [() => tonesIn(silence, [30000]), /from 1 to 24000 for frequencies but received 30000/],
    [() => tonesIn([0, 0], [440]), /a recording or a Float32Array for recording but received an array/],
    [() => tonesIn(silence, [440], { channel: 1 }), /from 0 to 0 for channel/],
    [() => soundsIn(silence, { quiet: 1 }), /only channel, threshold, pauseMs for the options of options/]
  ]) assert.throws(call, { code: 'ERR_INVALID_ARGUMENT', message })
})
