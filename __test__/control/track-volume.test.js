'use strict'

// A track's volume, gain and mute, at exact samples: for playing and for later playbacks, and beside the playbacks' own volumes.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { close, ramp, slice } = require('../support/samples')
const { open, finish } = require('../support/session')

const MS = 48
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })
const scaled = (fromMs, toMs, volume) => slice(clip.samples, fromMs, toMs).map((sample) => sample * volume)

test('a track has a number and a name', async (t) => {
  const { session } = open(t)
  const names = [0, 1, 2, 7, 65535].map((id) => session.track(id).name)
  assert.deepEqual(names, ['speaker', 'app_audio', 'tts', 'track_7', 'track_65535'])
  assert.equal(session.track(7).id, 7)
  const room = new SpeakerSession({
    output: { type: 'livekit', url: 'ws://localhost:1', token: 'token', trackNames: { 2: 'voice', 9: 'ninth' } }
  })
  t.after(() => room.close())
  assert.deepEqual([0, 2, 9].map((id) => room.track(id).name), ['speaker', 'voice', 'ninth'])
})

test('track volume applies from the first sample and persists', async (t) => {
  const { session, heard } = open(t)
  await session.track(1).setVolume({ volume: 0.5, fadeMs: 300 })
  play(session, 'a', { trackId: 1 })
  await finish(session)
  play(session, 'b', { trackId: 1, volume: 0.5 })
  await finish(session)
  play(session, 'c')
  await finish(session)
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 500), scaled(0, 500, 0.5))
  assert.deepEqual(slice(samples, 500, 1000), scaled(0, 500, 0.25))
  assert.deepEqual(slice(samples, 1000, 1500), scaled(0, 500, 1))
})

test('track volume ramps linearly and spares other tracks', async (t) => {
  const { session, heard } = open(t)
  play(session, 'a', { trackId: 1 })
  play(session, 'b', { trackId: 2, startMs: 100, volume: 0.25 })
  await session.advance(100)
  const track = session.track(1)
  assert.equal(await track.setVolume({ volume: 0.5 }), undefined)
  await session.advance(100)
  await track.setVolume({ volume: 0, fadeMs: 100 })
  await session.advance(50)
  await track.setVolume({ volume: 1, fadeMs: 75 }) // from the current volume
  await finish(session)
  const samples = heard()
  const level = (n) => {
    if (n < 100 * MS) return 1
    if (n < 105 * MS) return 1 - (n - 100 * MS) / 480
    if (n < 200 * MS) return 0.5
    if (n < 250 * MS) return 0.5 - (n - 200 * MS) / (200 * MS)
    return Math.min(1, 0.25 + ((n - 250 * MS) * 0.75) / (75 * MS))
  }
  // The first 5 ms of `b` fade in, because it begins inside its source.
  for (let n = 5 * MS; n < 400 * MS; n++) {
    close(samples[n], clip.samples[n] * level(n) + clip.samples[n + 100 * MS] * 0.25, `sample ${n}`)
  }
})

test('gain goes up to 4 under the limiter', async (t) => {
  const { session, heard } = open(t)
  const track = session.track(0)
  await track.setVolume({ gain: 4 })
  await track.setVolume({ volume: 0.25 })
  play(session, 'a')
  await finish(session)
  assert.deepEqual(slice(heard(), 0, 500), scaled(0, 500, 1))
  const loud = new Float32Array(100 * MS).fill(0.9)
  await track.setVolume({ volume: 1 })
  session.createStream({ format: 'f32', sampleRate: 48000, stopOther: false }).end(Buffer.from(loud.buffer))
  await finish(session)
  const limited = slice(heard(), 500, 600)
  assert.ok(limited.every((sample) => Math.abs(sample) <= 1))
  assert.ok(limited.slice(45 * MS, 85 * MS).every((sample) => sample > 0.95), 'as loud as the limiter lets it be')
})

test('track, playback, session and fade volumes multiply', async (t) => {
  const { session, heard } = open(t, { gain: 0.5 })
  await session.track(0).setVolume({ volume: 0.5, gain: 2 })
  play(session, 'a', { volume: 0.5 })
  await session.advance(100)
  await session.setVolume({ trackId: 0, volume: 1, fadeMs: 0 })
  await session.track(0).setVolume({ volume: 0.25, fadeMs: 0 })
  await finish(session)
  assert.deepEqual(slice(heard(), 0, 100), scaled(0, 100, 0.25))
  assert.deepEqual(slice(heard(), 100, 500), scaled(100, 500, 0.25))
})

test('a lone clip is as loud as its track', async (t) => {
  const { session, heard } = open(t)
  const sound = await SpeakerSession.clip({ audio: clip.audio })
  session.playAudio({ audio: sound, stopOther: false })
  await session.advance(100)
  await session.track(0).setVolume({ volume: 0.5, fadeMs: 0 })
  await session.advance(100)
  await session.track(0).setVolume({ volume: 1, fadeMs: 0 })
  await finish(session)
  const expected = [...scaled(0, 100, 1), ...scaled(100, 200, 0.5), ...scaled(200, 500, 1)]
  assert.deepEqual([...slice(heard(), 0, 500)], expected)
  sound.close()
})

test('mute is separate from volume and counts as unheard', async (t) => {
  const { session, heard, told } = open(t)
  const track = session.track(1)
  const done = play(session, 'a', { trackId: 1 })
  await session.advance(100)
  await track.setMuted(true)
  await track.setMuted(true)
  await session.advance(100)
  await track.setVolume({ volume: 0.5 })
  await session.advance(100)
  await session.setMuted({ trackId: 1, muted: false })
  await finish(session)
  const samples = heard()
  for (let n = 0; n < 5 * MS; n++) {
    close(samples[100 * MS + n], clip.samples[100 * MS + n] * (1 - n / 240), `fall ${n}`)
    close(samples[300 * MS + n], clip.samples[300 * MS + n] * 0.5 * (n / 240), `rise ${n}`)
  }
  assert.ok(slice(samples, 105, 300).every((sample) => sample === 0))
  assert.deepEqual(slice(samples, 305, 500), scaled(305, 500, 0.5))
  const mutes = told.filter(({ type }) => type === 'muted' || type === 'unmuted')
  assert.deepEqual(mutes.map(({ type, trackId, atMs }) => [type, trackId, atMs]), [['muted', 1, 100], ['unmuted', 1, 300]])
  const { durationMs, unheardMs } = await done
  assert.deepEqual({ durationMs, unheardMs }, { durationMs: 500, unheardMs: 200 })
})

test('a muted track silences playbacks from the start', async (t) => {
  const { session, heard } = open(t)
  await session.track(0).setMuted(true)
  const done = play(session, 'a')
  await finish(session)
  assert.ok(heard().every((sample) => sample === 0))
  assert.equal((await done).unheardMs, 500)
})

test('refuses invalid arguments and calls after close', async (t) => {
  const { session } = open(t)
  for (const id of [undefined, null, -1, 65536, 1.5, 'speaker']) {
    assert.throws(() => session.track(id), { code: 'ERR_INVALID_ARGUMENT', message: /for trackId/ }, String(id))
  }
  const track = session.track(0)
  const refused = [
    [undefined, /an object for setVolume/],
    [{}, /a volume or a gain for setVolume/],
    [{ fadeMs: 5 }, /a volume or a gain for setVolume/],
    [{ volume: 1.5 }, /a number from 0 to 1 for volume/],
    [{ gain: 5 }, /a number from 0 to 4 for gain/],
    [{ gain: NaN }, /a number from 0 to 4 for gain/],
    [{ volume: 1, fadeMs: -1 }, /for fadeMs/],
    [{ volume: 1, trackId: 1 }, /only volume, gain, fadeMs/]
  ]
  for (const [change, message] of refused) {
    await assert.rejects(track.setVolume(change), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  for (const muted of [undefined, 1, 'yes']) await assert.rejects(track.setMuted(muted), { code: 'ERR_INVALID_ARGUMENT', message: /for muted/ })
  await session.close()
  await assert.rejects(track.setVolume({ volume: 1 }), { code: 'ERR_CLOSED' })
  await assert.rejects(track.setMuted(true), { code: 'ERR_CLOSED' })
})

test('stats count mixed samples and live playbacks', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  const none = { frames: 0, underruns: 0, bufferedMs: 0, playing: 0, loading: 0, queued: 0, paused: 0 }
  const [music, speech] = [session.track(0), session.track(2)]
  assert.deepEqual(music.stats(), none)
  play(session, 'a')
  play(session, 'b')
  play(session, 'c', { trackId: 2 })
  await session.advance(100)
  await session.pauseAudio({ requestId: 'c' })
  await session.advance(20)
  const { bufferedMs, ...counts } = music.stats()
  assert.deepEqual(counts, { frames: 6, underruns: 0, playing: 1, loading: 0, queued: 1, paused: 0 })
  assert.ok(bufferedMs > 0 && bufferedMs <= 380, `${bufferedMs} ms of 380 that are left`)
  assert.deepEqual(speech.stats(), { ...none, frames: 6, paused: 1 })
  await session.stopAudio()
  await session.advance(100)
  assert.equal(music.stats().playing + music.stats().queued, 0)
  assert.ok(music.stats().frames < 9, 'silence has no frames of it')
})
