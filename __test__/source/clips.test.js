'use strict'

// `SpeakerSession.clip`: a sound that is decoded once plays like its source, sample for sample and event for event.

const assert = require('node:assert/strict')
const { writeFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { workspace } = require('../support/cli')
const { lines, recording, replayed } = require('../support/recording')
const { ramp, slice } = require('../support/samples')
const { serve } = require('../support/server')
const { abortable, finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)

/** What is done in a session with a source: `play` starts a playback of it, with `stopOther: false` and more options. */
const SCENARIOS = {
  async whole(session, play) {
    play()
    await finish(session)
  },
  async sections(session, play) {
    play({ startMs: 100.5, durationMs: 130, fadeInMs: 20, loop: 3 })
    play({ startMs: 33, fadeOutMs: 200, gain: 2, trackId: 1 })
    play({ durationMs: 90, fadeOutMs: 30, volume: 0.3, loop: 2 })
    play({ startMs: 86_000_000 })
    await finish(session)
  },
  async loops(session, play) {
    play({ loop: 4 })
    await session.advance(777)
    play({ loop: true, requestId: 'endless', trackId: 1 })
    await session.advance(2500)
    await session.stopAudio({ requestId: 'endless', fadeOutMs: 300 })
    await finish(session)
  },
  async seeks(session, play) {
    play({ requestId: 'sought', loop: 2 })
    await session.seekAudio({ positionMs: 40 })
    await session.advance(123)
    await session.seekAudio({ positionMs: 250.25 })
    await session.advance(61)
    await session.seekAudio({ positionMs: 10 })
    await session.seekAudio({ positionMs: 20 })
    await session.advance(500)
    await session.pauseAudio()
    await session.advance(40)
    await session.seekAudio({ positionMs: 100 })
    await session.resumeAudio()
    await session.advance(100)
    await session.seekAudio({ positionMs: 9000 })
    await finish(session)
  },
  async control(session, play) {
    play()
    await session.pauseAudio()
    await session.advance(30)
    await session.resumeAudio()
    await session.advance(50)
    await session.setVolume({ volume: 0.2, fadeMs: 100 })
    await session.advance(101)
    await session.pauseAudio()
    await session.advance(25)
    play({ overlap: 'replace' })
    await session.resumeAudio()
    await session.advance(77)
    await session.interrupt()
    await finish(session)
  },
  async queue(session, play) {
    for (let n = 0; n < 3; n++) play({ overlap: 'queue' })
    play({ overlap: 'queue', volume: 0.5 })
    play({ overlap: 'queue', startMs: 50, durationMs: 70 })
    play({ overlap: 'queue', loop: 2 })
    play({ overlap: 'queue' })
    await finish(session)
  },
  async crossfades(session, play) {
    for (let n = 0; n < 3; n++) play({ overlap: 'queue' })
    play({ overlap: 'queue', startMs: 50, durationMs: 70 })
    play({ overlap: 'queue', loop: 2 })
    await session.advance(400)
    play({ overlap: 'replace' })
    await finish(session)
  }
}

const FILES = [
  'tone-8k.wav', 'tone-11025.wav', 'tone-51.wav', 'tone-stereo-left.wav', 'tone-f32.wav', 'tone-vbr.mp3', 'tone.flac', 'tone-vorbis.ogg',
  'tone-opus.ogg', 'tone.m4a', 'live-opus.ogg', 'empty.wav'
]

for (const [name, run] of Object.entries(SCENARIOS)) {
  test(`a clip plays like its source: ${name}`, async (t) => {
    // An empty loop fails at once, before it can be sought.
    for (const file of name === 'seeks' ? FILES.filter((file) => file !== 'empty.wav') : FILES) {
      for (const channels of [1, 2]) {
        const result = async (source) => {
          const { session, told, heard } = open(t, {
            output: { channels },
            crossfadeMs: name === 'crossfades' ? 250 : 0,
            duck: { db: -6 },
            maxDurationMs: 2600,
            progressIntervalMs: 70
          })
          await run(session, (options) => session.playAudio({ ...source, stopOther: false, ...options }))
          return { told, samples: heard() }
        }
        const audioUrl = fixture(file)
        const direct = await result({ audioUrl })
        const clip = await SpeakerSession.clip({ audioUrl })
        const clipped = await result({ audio: clip })
        clip.close()
        assert.deepEqual(clipped.told, direct.told, `${file}, ${channels} channels`)
        const differs = direct.samples.findIndex((sample, n) => sample !== clipped.samples[n])
        assert.deepEqual([clipped.samples.length, differs], [direct.samples.length, -1], `${file}, ${channels} channels`)
      }
    }
  })
}

test('a clip plays in the next frame', async (t) => {
  const { audio, samples } = ramp(48 * 50)
  const clip = await SpeakerSession.clip({ audio })
  assert.deepEqual([clip.durationMs, clip.channels, clip.bytes], [50, 1, 48 * 50 * 4 + audio.length])
  const sessions = Array.from({ length: 1000 }, () => {
    const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
    session.playAudio({ audio: clip, gain: 0.5 })
    session.playAudio({ audio: clip, gain: 0.25, stopOther: false, startMs: 20, trackId: 1 })
    return session
  })
  // Held by those who play it.
  clip.close()
  clip.close()
  assert.deepEqual([clip.durationMs, clip.channels, clip.bytes], [0, 0, 0])
  assert.equal(SpeakerSession.processStats().clips, 1)
  for (const [n, session] of sessions.entries()) {
    assert.deepEqual(session.playbacks().map(({ state }) => state), ['loading', 'loading'])
    // Some are closed in the middle of it.
    await session.advance(n % 2 ? 60 : 10)
    if (n === 1) {
      const heard = session.recording().samples
      assert.deepEqual(slice(heard, 30, 50), slice(samples, 30, 50).map((sample) => sample / 2))
      assert.equal(heard[480], Math.fround(samples[480] / 2 + samples[480 + 960] / 4), 'both')
    }
    await session.close()
  }
  assert.deepEqual(SpeakerSession.processStats(), { sessions: 0, broken: 0, clips: 0, clipBytes: 0 })
})

test('a paused clip survives close, new requests do not', async (t) => {
  const { session, of } = open(t)
  const { audio } = ramp(4800)
  const clip = await SpeakerSession.clip({ audio })
  const playing = session.playAudio({ requestId: 'a', audio: clip })
  await session.pauseAudio()
  await session.advance(1000)
  await session.resumeAudio()
  clip.close()
  await assert.rejects(session.playAudio({ audio: clip }), { code: 'ERR_CLOSED', message: /^Expected an open clip for audio/ })
  await session.advance(200)
  assert.deepEqual([(await playing).durationMs, of('a')], [100, ['paused@0', 'resumed@1000', 'started@1000', 'completed@1100']])
})

test('a clip copies its Buffer on the call', async (t) => {
  const { session, heard } = open(t)
  const { audio, samples } = ramp(4800)
  const making = SpeakerSession.clip({ audio })
  audio.fill(7, 44)
  session.playAudio({ audio: await making })
  await session.advance(100)
  assert.deepEqual(heard(), samples)
})

test("a failed clip has its source's error", async (t) => {
  const directory = workspace(t, { 'empty.mp3': '', 'noise.wav': 'no sound at all' })
  const file = tone(440, 500)
  const address = await serve(t, ({ url }, response) => {
    if (url === '/early') {
      response.writeHead(200, { 'Content-Length': file.length })
      response.write(file.subarray(0, 20_000))
      setTimeout(() => response.destroy(), 50)
    } else if (url === '/stuck') response.writeHead(200).flushHeaders()
    else if (url === '/whole') response.end(file)
    else response.writeHead(404).end()
  })
  const { session } = open(t)
  const sources = [
    [{ audioUrl: path.join(directory, 'empty.mp3') }, 'ERR_EMPTY_SOURCE'],
    [{ audio: Buffer.alloc(0) }, 'ERR_EMPTY_SOURCE'],
    [{ audioUrl: path.join(directory, 'noise.wav') }, 'ERR_UNSUPPORTED_FORMAT'],
    [{ audioUrl: path.join(directory, 'missing.wav') }, 'ERR_FILE'],
    [{ audioUrl: fixture('truncated.wav') }, 'ERR_TRUNCATED'],
    [{ audioUrl: fixture('truncated.flac') }, 'ERR_TRUNCATED'],
    [{ audioUrl: `${address}/early` }, 'ERR_TRUNCATED'],
    [{ audioUrl: `${address}/nothing` }, 'ERR_HTTP_STATUS'],
    [{ audioUrl: 'http://127.0.0.1:1/' }, 'ERR_FETCH_FAILED']
  ]
  for (const [source, code] of sources) {
    const shown = source.audioUrl ?? 'bytes'
    const playing = session.playAudio(source)
    await finish(session)
    const played = await playing.catch((error) => error)
    const error = await SpeakerSession.clip(source).catch((error) => error)
    assert.deepEqual([error.code, error.message, error.cause?.code], [code, played.message, played.cause?.code], shown)
  }
  await assert.rejects(SpeakerSession.clip({ audioUrl: `${address}/stuck`, fetchTimeoutMs: 100 }), { code: 'ERR_FETCH_TIMEOUT' })
  const { durationMs } = await SpeakerSession.clip({ audioUrl: `${address}/whole` })
  assert.equal(durationMs, 500)
})

test('an abort signal gives up a clip', async (t) => {
  const address = await serve(t, (_, response) => response.writeHead(200).flushHeaders())
  const { signal, abort } = abortable()
  const making = SpeakerSession.clip({ audioUrl: address, signal })
  const before = SpeakerSession.processStats().clips
  setTimeout(abort, 50)
  await assert.rejects(making, { code: 'ERR_ABORTED' })
  await assert.rejects(SpeakerSession.clip({ audioUrl: address, signal }), { code: 'ERR_ABORTED' })
  while (SpeakerSession.processStats().clips >= before) await new Promise((resolve) => setTimeout(resolve, 10))
})

test('refuses invalid arguments', async () => {
  const audio = tone(440, 10)
  const wrong = [
    [undefined, /^Expected an object for clip but received undefined$/],
    [{}, /^Expected either audioUrl or audio for clip but received undefined$/],
    [{ audio, audioUrl: 'a' }, /^Expected either audioUrl or audio for clip but received 'both'/],
    [{ audio: 'RIFF' }, /^Expected a Buffer, typed array, ArrayBuffer, Blob, Response, Readable or iterable of bytes for audio but received 'RIFF' of type string; paths/],
    [{ audio: await SpeakerSession.clip({ audio }) }, /^Expected a Buffer, typed array, ArrayBuffer, Blob, Response, Readable or iterable of bytes for audio but received an object$/],
    [{ audio, startMs: 5 }, /^Expected only audioUrl, audio, .* for the options of clip but received 'startMs'/],
    [{ audio, signal: 1 }, /^Expected an AbortSignal for signal but received 1/],
    [{ audio, fetchTimeoutMs: 0 }, /^Expected a number from 1 to 86400000 for fetchTimeoutMs but received 0/]
  ]
  for (const [source, message] of wrong) {
    await assert.rejects(SpeakerSession.clip(source), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test('a recording holds the source bytes of its clips', async (t) => {
  const { session, file, heard, directory } = recording(t)
  const other = path.join(directory, 'other.wav')
  writeFileSync(other, tone(880, 300))
  const bytes = tone(330, 200)
  const address = await serve(t, (_, response) => response.end(bytes))
  const headers = { Authorization: 'Bearer x', Accept: 'audio/wav' }
  const clips = await Promise.all([
    SpeakerSession.clip({ audioUrl: path.relative(process.cwd(), other), contentType: 'audio/wav' }),
    SpeakerSession.clip({ audio: bytes }),
    SpeakerSession.clip({ audioUrl: `${address}/x?sig=y`, headers })
  ])
  for (const [n, audio] of clips.entries()) session.playAudio({ requestId: `${n}`, audio, stopOther: false, startMs: 10, loop: 2 })
  await session.advance(1000)
  const samples = heard()
  await session.close()
  const [, ...plays] = lines(file)
  const rest = { stopOther: false, startMs: 10, loop: 2 }
  assert.deepEqual(plays.filter(({ type }) => type === 'play'), [
    { atMs: 0, type: 'play', requestId: '0', ...rest, audioUrl: other, contentType: 'audio/wav' },
    { atMs: 0, type: 'play', requestId: '1', ...rest, audio: bytes.toString('base64') },
    {
      atMs: 0, type: 'play', requestId: '2', ...rest, audioUrl: `${address}/x?sig=<masked>`,
      headers: { Authorization: '<masked>', Accept: '<masked>' }
    }
  ])
  const again = (await replayed(file)).samples
  assert.ok(again.length > 0)
  assert.ok(samples.every((sample, n) => sample === (again[n] ?? 0)))
})
