'use strict'

// `loudness`: sources are normalized to one loudness, by their tags or by measurement. The output is measured again by `probe`, which
// __test__/source/probe.test.js checks against EBU Tech 3341.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { workspace } = require('../support/cli')
const { replayed } = require('../support/recording')
const { serve } = require('../support/server')
const { finish, open } = require('../support/session')
const { tone, wavFile } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '../fixtures', name)
const LOUDNESS = { targetLufs: -16, maxGainDb: 20 }

/** Measures samples as a session returned them. */
async function measured(samples, channels = 1) {
  const { loudness } = await SpeakerSession.probe({ audio: floatWav(samples, channels) }, { loudness: true })
  return loudness
}

/** Returns a WAV of floats, so that limits and rounding are not measured. */
function floatWav(samples, channels) {
  const header = wavFile([], 48000, channels)
  header.writeUInt16LE(3, 20)
  header.writeUInt32LE(48000 * channels * 4, 28)
  header.writeUInt16LE(channels * 4, 32)
  header.writeUInt16LE(32, 34)
  header.writeUInt32LE(samples.length * 4, 40)
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)])
}

/** Returns something like speech: syllables with rests between them, at a level in dB, as a WAV. */
function speech(ms, db, sampleRate = 24000) {
  const amplitude = 10 ** (db / 20)
  return wavFile(Float64Array.from({ length: (ms * sampleRate) / 1000 }, (_, n) => {
    const second = n / sampleRate
    const syllable = Math.max(0, Math.sin(2 * Math.PI * 2.5 * second)) * (0.6 + 0.4 * Math.sin(2 * Math.PI * 0.3 * second))
    return amplitude * syllable * (0.6 * Math.sin(2 * Math.PI * 180 * second) + 0.4 * Math.sin(2 * Math.PI * 1400 * second))
  }), sampleRate)
}

/** Plays requests one after another and returns the samples of each. */
async function played(t, options, ...requests) {
  const { session, heard } = open(t, options)
  const all = []
  for (const request of requests) {
    const from = heard().length
    const playing = session.playAudio(request)
    await finish(session)
    await playing
    all.push(heard().subarray(from))
  }
  return all
}

function near(actual, expected, tolerance, message) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${message}: ${actual}, not ${expected}`)
}

test('short sources and clips reach the target exactly', async (t) => {
  for (const output of [{ channels: 1 }, { channels: 2 }]) {
    for (const source of [speech(2900, -2), speech(2900, -20), tone(997, 300, { amplitude: 0.05 }), readFileSync(fixture('second.mp3'))]) {
      const clip = await SpeakerSession.clip({ audio: source })
      const [file, fromClip] = await played(t, { loudness: LOUDNESS, output }, { audio: source }, { audio: clip })
      near((await measured(file, output.channels)).integratedLufs, -16, 0.5, 'the file')
      near((await measured(fromClip, output.channels)).integratedLufs, -16, 0.5, 'the clip')
    }
  }
})

test('long files, downloads and streams approach the target', async (t) => {
  const server = await serve(t, (request, response) => response.end(speech(20_000, Number(request.url.slice(1)))))
  for (const db of [0, -18]) {
    const source = speech(20_000, db)
    const raw = { format: 'pcm16', sampleRate: 24000 }
    const cases = {
      'a file': [{ audio: source }, 0.5, 1],
      'a download': [{ audioUrl: `${server}/${db}` }, 4, 1],
      'a stream': [{ audio: Readable.from([source.subarray(44)]), ...raw }, 4, 1]
    }
    for (const [name, [request, afterS, tolerance]] of Object.entries(cases)) {
      const [samples] = await played(t, { loudness: LOUDNESS }, request)
      near((await measured(samples.subarray(afterS * 48000))).integratedLufs, -16, tolerance, `${name} of ${db} dB`)
    }
  }
})

test('tags take precedence over measurement in every container', async (t) => {
  const server = await serve(t, (request, response) => response.end(readFileSync(fixture(request.url.slice(1)))))
  for (const file of ['tagged.mp3', 'tagged-v23.mp3', 'tagged.flac', 'tagged-vorbis.ogg', 'tagged-opus.ogg', 'tagged.mka', 'tagged.aiff']) {
    // Those of an AIFF stand after its samples.
    const urls = file === 'tagged.aiff' ? [] : [`${server}/${file}`]
    for (const audioUrl of [fixture(file), ...urls]) {
      const [plain] = await played(t, {}, { audioUrl })
      // They say −10 LUFS: 6 dB less, and no sample with another gain.
      const [levelled] = await played(t, {}, { audioUrl, loudness: LOUDNESS })
      const gain = 10 ** (-6 / 20)
      assert.equal(levelled.length, plain.length)
      assert.ok(levelled.every((sample, n) => Math.abs(sample - plain[n] * gain) < 1e-6), audioUrl)
    }
  }
})

test('limits the boost and keeps peaks below full scale', async (t) => {
  const quiet = speech(2000, -50)
  const [kept] = await played(t, { loudness: { maxGainDb: 6 } }, { audio: quiet })
  const { integratedLufs } = (await SpeakerSession.probe({ audio: quiet }, { loudness: true })).loudness
  near((await measured(kept)).integratedLufs, integratedLufs + 6, 0.2, 'by 6 dB')
  // Bursts much louder than their surroundings.
  const bursts = Float64Array.from({ length: 96000 }, (_, n) => (0.02 + Math.max(0, Math.sin(n / 3000)) ** 40) * 0.5 * Math.sin(n / 7))
  const [limited] = await played(t, { loudness: { targetLufs: -10, maxGainDb: 40 } }, { audio: wavFile(bursts) })
  const { truePeakDb } = await measured(limited)
  assert.ok(truePeakDb > -1 && truePeakDb <= 0.1, `${truePeakDb}`)
  const [silence] = await played(t, { loudness: LOUDNESS }, { audio: wavFile(new Float64Array(48000)) })
  assert.ok(silence.every((sample) => sample === 0))
})

test('a request can have its own loudness or none', async (t) => {
  const audio = speech(2000, -10)
  const [plain] = await played(t, {}, { audio })
  const [none, own] = await played(t, { loudness: LOUDNESS }, { audio, loudness: false }, { audio, loudness: { targetLufs: -30 } })
  assert.deepEqual(none, plain)
  near((await measured(own)).integratedLufs, -30, 0.5, 'its own')
})

test('seeks and loops do not restart the measurement', async (t) => {
  // First −33 LUFS, then −9: once both were heard, the first part is attenuated as much as the second.
  const audio = wavFile(Float64Array.from({ length: 15 * 48000 }, (_, n) => (n < 5 * 48000 ? 0.0316 : 0.501) * Math.sin((2 * Math.PI * 997 * n) / 48000)))
  const { session, heard } = open(t, { loudness: LOUDNESS })
  session.playAudio({ audio })
  await session.advance(12_000)
  near((await measured(heard().subarray(0, 48000))).integratedLufs, -16, 0.5, 'the first part')
  near((await measured(heard().subarray(11 * 48000))).integratedLufs, -16, 0.7, 'the second part')
  for (const positionMs of [500, 700]) {
    const from = heard().length
    await session.seekAudio({ positionMs })
    await session.advance(1000)
    near((await measured(heard().subarray(from + 960))).integratedLufs, -40, 0.7, 'the first part again')
  }

  const [looped] = await played(t, { loudness: LOUDNESS }, { audio: speech(6000, -20), loop: 3 })
  for (const pass of [1, 2]) near((await measured(looped.subarray(pass * 6 * 48000, (pass + 1) * 6 * 48000))).integratedLufs, -16, 0.5, `pass ${pass}`)
  const [clip] = await played(t, { loudness: LOUDNESS }, { audio: await SpeakerSession.clip({ audio: tone(997, 6000, { amplitude: 0.05 }) }), loop: 2, startMs: 2000 })
  near((await measured(clip)).integratedLufs, -16, 0.2, 'a part of a clip')
  const [part] = await played(t, { loudness: LOUDNESS }, { audio: speech(9000, -20), startMs: 5000 })
  near((await measured(part)).integratedLufs, -16, 1, 'a part of a file')
})

test('a flush does not restart the measurement', async (t) => {
  const { session, heard } = open(t, { loudness: LOUDNESS })
  const stream = session.createStream({ format: 'pcm16', sampleRate: 24000 })
  stream.write(speech(6000, -22).subarray(44))
  await session.advance(5000)
  await stream.flush()
  const from = heard().length
  stream.end(speech(2000, -22).subarray(44))
  await finish(session)
  near((await measured(heard().subarray(from + 960))).integratedLufs, -16, 1.5, 'behind the flush')
})

test('is deterministic for any chunks, and recorded', async (t) => {
  const source = speech(7000, -20)
  const pieces = (size) => Readable.from(Array.from({ length: Math.ceil(source.length / size) }, (_, n) => source.subarray(n * size, (n + 1) * size)))
  const [whole, ...others] = await played(t, { loudness: LOUDNESS }, ...[1 << 20, 1000, 7777].map((size) => ({ audio: pieces(size) })))
  for (const other of others) assert.deepEqual(other, whole)

  const record = path.join(workspace(t), 'requests.jsonl')
  const { session, heard } = open(t, { record, loudness: LOUDNESS })
  session.playAudio({ audio: source, stopOther: false })
  session.playAudio({ audio: source, stopOther: false, loudness: { targetLufs: -30 }, startMs: 500 })
  await session.advance(3000)
  await session.seekAudio({ positionMs: 1000 })
  await finish(session)
  const samples = heard()
  await session.close()
  // A replay ends with the last sample and not with its frame.
  const again = (await replayed(record)).samples
  assert.ok(again.length > samples.length - 960)
  assert.deepEqual(samples.subarray(0, again.length), again)
})

test('refuses an invalid loudness', async (t) => {
  for (const [loudness, message] of [
    [true, /^Expected an object for loudness but received true/],
    [{ targetLufs: -4 }, /^Expected a number from -50 to -5 for loudness.targetLufs but received -4/],
    [{ targetLufs: -51 }, /loudness.targetLufs/],
    [{ maxGainDb: 41 }, /^Expected a number from 0 to 40 for loudness.maxGainDb but received 41/],
    [{ gain: 1 }, /^Expected only targetLufs, maxGainDb for the options of loudness/]
  ]) {
    assert.throws(() => new SpeakerSession({ output: { type: 'none' }, loudness }), { code: 'ERR_INVALID_ARGUMENT', message })
    const { session } = open(t)
    await assert.rejects(session.playAudio({ audio: tone(440, 10), loudness }), { code: 'ERR_INVALID_ARGUMENT', message })
    assert.throws(() => session.createStream({ format: 'wav', loudness }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})
