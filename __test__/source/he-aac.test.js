'use strict'

// HE-AAC, which is played if the addon was built with the feature: SPEAKER_SESSION_FEATURES=he-aac for the build and for this test. Without
// it, declared HE-AAC is refused.

const assert = require('node:assert/strict')
const { createReadStream, readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { serve } = require('../support/server')
const { open, finish } = require('../support/session')
const { compare } = require('../support/sounds')

const IS_BUILT_IN = (process.env.SPEAKER_SESSION_FEATURES ?? '').split(',').includes('he-aac')
const skip = !IS_BUILT_IN && 'the addon is built without the feature he-aac'
const file = (name) => path.join(__dirname, '..', 'fixtures', 'he-aac', name)

/** What ffmpeg decodes of each file. */
const FILES = {
  'v1.aac': 'v1.flac',
  'v1.m4a': 'v1.flac',
  'v1-explicit.m4a': 'v1.flac',
  'v1.mka': 'v1.flac',
  'v1.ts': 'v1.flac',
  'v1.loas': 'v1.flac',
  'v1-mono.aac': 'v1-mono.flac',
  'v2.aac': 'v2.flac',
  'v2.m4a': 'v2.flac',
  'v2-explicit.m4a': 'v2.flac',
  'v2.mka': 'v2.flac',
  'v2.ts': 'v2.flac',
  'v2.loas': 'v2.flac'
}

/** A frame. */
const PACKET = 2230

/** Plays a file and returns both channels. */
async function heard(t, request) {
  const { session, heard } = open(t, { output: { type: 'memory', clock: 'manual', channels: 2 } })
  const playing = session.playAudio(request)
  playing.catch(() => {})
  await finish(session)
  const { outcome, durationMs } = await playing
  assert.equal(outcome, 'completed')
  const samples = heard().slice(0, Math.round(durationMs * 48) * 2)
  return [0, 1].map((side) => samples.filter((_, n) => n % 2 === side))
}

for (const [name, decoded] of Object.entries(FILES)) {
  test(`${name} sounds as ffmpeg decodes it`, { skip }, async (t) => {
    const [sound, expected] = [await heard(t, { audioUrl: file(name) }), await heard(t, { audioUrl: file(decoded) })]
    for (const side of [0, 1]) {
      const { longer, late, alike, louder } = compare(sound[side], expected[side], 100)
      const facts = `side ${side}: ${longer} samples longer, ${late} late, ${alike} alike, ${louder} as loud`
      // For mono, libxaac reconstructs the band above the core slightly differently.
      const least = name === 'v1-mono.aac' ? 0.98 : 0.99
      assert.ok(Math.abs(longer) <= PACKET && Math.abs(late) <= 1 && alike >= least && Math.abs(louder - 1) <= 0.03, facts)
    }
  })
}

test('HE-AAC sounds the same from every kind of source', { skip }, async (t) => {
  for (const name of ['v1.aac', 'v2-explicit.m4a', 'v1.mka', 'v2.ts', 'v2.loas']) {
    const url = await serve(t, (request, response) => response.end(readFileSync(file(name))))
    const expected = await heard(t, { audioUrl: file(name) })
    for (const request of [{ audioUrl: url }, { audio: readFileSync(file(name)) }, { audio: createReadStream(file(name), { highWaterMark: 7 }) }]) {
      assert.deepEqual(await heard(t, request), expected, name)
    }
  }
})

test('a cut HE-AAC file plays up to the cut', { skip }, async (t) => {
  const whole = readFileSync(file('v1.aac'))
  const [all] = await heard(t, { audio: whole })
  for (let length = 0; length < whole.length; length += 307) {
    const { session, heard } = open(t)
    const playing = session.playAudio({ audio: whole.subarray(0, Math.max(length, 1)) }).catch((error) => error)
    await finish(session)
    const { code, durationMs = 0 } = await playing
    assert.ok(code === undefined || code === 'ERR_UNSUPPORTED_FORMAT', `${length}: ${code}`)
    assert.ok(durationMs * 48 <= all.length && heard().length >= 0, `${length}: ${durationMs} ms`)
  }
})

test('a probe reports HE-AAC', { skip }, async () => {
  for (const [name, container] of [['v1.aac', 'adts'], ['v2-explicit.m4a', 'mp4'], ['v1.mka', 'matroska'], ['v2.ts', 'mpegts'], ['v1.loas', 'loas']]) {
    const { container: found, codec, sampleRate, durationMs } = await SpeakerSession.probe(file(name))
    assert.deepEqual([found, codec, sampleRate], [container, 'he-aac', 44100], name)
    assert.ok(Math.abs(durationMs - 557) < 50, `${name}: ${durationMs} ms`)
  }
})

test('without the feature, declared HE-AAC is refused', { skip: IS_BUILT_IN }, async (t) => {
  for (const name of ['v1-explicit.m4a', 'v2-explicit.m4a']) {
    const { session } = open(t)
    await assert.rejects(Promise.all([session.playAudio({ audioUrl: file(name) }), finish(session)]), { code: 'ERR_UNSUPPORTED_FORMAT', message: /HE-AAC/ })
  }
  const { session } = open(t)
  const [{ outcome }] = await Promise.all([session.playAudio({ audioUrl: file('v1.aac') }), finish(session)])
  assert.equal(outcome, 'completed', 'its lower half is heard')
})
