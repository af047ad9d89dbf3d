'use strict'

// Every format holds the same second of 1 kHz at half scale; it must come out as long and as loud as it went in.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { level } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)

/** By name, the differences from one second at 0.5: the length in samples at 48 kHz, the level, its tolerance. */
const FORMATS = {
  'tone-s16.wav': {},
  'tone-u8.wav': { within: 0.005 },
  'tone-s24.wav': {},
  'tone-s32.wav': {},
  'tone-f32.wav': {},
  'tone-alaw.wav': { within: 0.01 },
  'tone-mulaw.wav': { within: 0.01 },
  'tone-extensible.wav': {},
  'tone-8k.wav': {},
  'tone-11025.wav': {},
  'tone-192k.wav': { length: 12000 },
  'streamed.wav': {},
  'tone-stereo-left.wav': { level: 0.25 },
  // Front left only: half of it into mono.
  'tone-51.wav': { level: 0.25, length: 9600 },
  'tone-cbr.mp3': { within: 0.002 },
  'tone-vbr.mp3': { within: 0.002 },
  'tone-id3.mp3': { within: 0.002 },
  'tone.flac': {},
  'tone-vorbis.ogg': { within: 0.01 },
  'tone-opus.ogg': { within: 0.01 },
  'tone.aiff': {},
  // AAC in ADTS keeps its encoder's delay and padding, some ms of silence at both ends; in these M4A files the edit list gives the delay.
  'tone.aac': { within: 0.005, length: 50155 },
  'tone.m4a': { within: 0.005, length: 49041 },
  'tone-faststart.m4a': { within: 0.005, length: 49041 }
}

for (const [name, { length = 48000, level: expected = 0.5, within = 0.001 }] of Object.entries(FORMATS)) {
  test(`${name}: length and level`, async (t) => {
    const { session, heard } = open(t)
    const playing = session.playAudio({ audioUrl: fixture(name) })
    await finish(session)
    const { durationMs } = await playing
    assert.ok(Math.abs(durationMs * 48 - length) <= 1, `${durationMs * 48} samples`)
    const [from, to] = length < 24000 ? [2400, 4800] : [12000, 36000]
    const amplitude = level(heard(), from, to, 1000)
    assert.ok(Math.abs(amplitude - expected) <= within, `a level of ${amplitude}`)
  })
}

test('a stereo session keeps the sides', async (t) => {
  const { session, heard } = open(t, { output: { channels: 2 } })
  session.playAudio({ audioUrl: fixture('tone-stereo-left.wav') })
  await finish(session)
  const side = (index) => level(heard().filter((_, n) => n % 2 === index), 12000, 36000, 1000)
  assert.ok(Math.abs(side(0) - 0.5) < 0.001)
  assert.ok(side(1) < 1e-6)
})

test('16-bit audio at 48 kHz passes bit for bit', async (t) => {
  const file = readFileSync(fixture('tone-s16.wav'))
  const { session, heard } = open(t)
  session.playAudio({ audio: file })
  await finish(session)
  const samples = Float32Array.from({ length: 48000 }, (_, n) => file.readInt16LE(file.length - 96000 + 2 * n) / 32768)
  assert.deepEqual(heard().slice(0, 48000), samples)
})

test('an empty clip completes, an empty file fails', async (t) => {
  const { session, of } = open(t)
  const playing = session.playAudio({ requestId: 'empty', audioUrl: fixture('empty.wav') })
  await session.advance(20)
  assert.deepEqual(await playing, { requestId: 'empty', outcome: 'completed', durationMs: 0, positionMs: 0 })
  assert.deepEqual(of('empty'), ['completed@0'])
  await assert.rejects(session.playAudio({ audio: Buffer.alloc(0) }), { code: 'ERR_EMPTY_SOURCE' })
})

for (const name of ['truncated.wav', 'truncated.mp3', 'truncated.flac']) {
  test(`${name}: a cut file plays, then fails`, async (t) => {
    const { session, heard } = open(t)
    const playing = session.playAudio({ audioUrl: fixture(name) })
    await Promise.all([
      assert.rejects(playing, ({ code, positionMs }) => code === 'ERR_TRUNCATED' && positionMs > 450 && positionMs < 650),
      finish(session)
    ])
    assert.ok(Math.abs(level(heard(), 4800, 19200, 1000) - 0.5) < 0.002)
  })
}

test('ERR_UNSUPPORTED_FORMAT names the format found', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.playAudio({ audioUrl: fixture('noise.txt') }), {
    code: 'ERR_UNSUPPORTED_FORMAT', message: /but received a \.txt file$/
  })
  await assert.rejects(session.playAudio({ audioUrl: __dirname }), { code: 'ERR_FILE', message: /which is none$/ })
})

test('damage anywhere in a file never harms the session', async (t) => {
  const { session } = open(t, { maxDurationMs: 3000 })
  for (const name of ['tone-cbr.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone.aac', 'tone.aiff']) {
    const file = readFileSync(fixture(name))
    for (let seed = 1; seed <= 8; seed++) {
      const damaged = Buffer.from(file)
      for (let n = 0; n < 40; n++) damaged[(seed * 7919 + n * n * 104729) % damaged.length] ^= 1 << ((seed + n) % 8)
      const playing = session.playAudio({ audio: damaged, stopOther: false })
      await finish(session)
      await playing.catch(({ code }) => assert.match(code, /^ERR_(DECODE|TRUNCATED|UNSUPPORTED_FORMAT|MAX_DURATION|EMPTY_SOURCE)$/))
    }
  }
  const playing = session.playAudio({ audioUrl: fixture('tone-s16.wav') })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})
