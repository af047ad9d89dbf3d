'use strict'

// `SpeakerSession.probe`: what a source is, its tags and its loudness, without playing it.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { run } = require('../support/cli')
const { serve } = require('../support/server')
const { abortable } = require('../support/session')
const { tone, wavFile } = require('../support/wav')

const { probe } = SpeakerSession
const fixture = (name) => path.join(__dirname, '../fixtures', name)
const near = (actual, expected, tolerance, message) => assert.ok(Math.abs(actual - expected) <= tolerance, `${message}: ${actual}, not ${expected}`)

/** [file, container, codec, sampleRate, channels, durationMs]; all are exact. */
const FILES = [
  ['tone-s16.wav', 'wav', 'pcm_s16le', 48000, 1, 1000],
  ['tone-f32.wav', 'wav', 'pcm_f32le', 8000, 1, 1000],
  ['tone-s24.wav', 'wav', 'pcm_s24le', 8000, 1, 1000],
  ['tone-mulaw.wav', 'wav', 'pcm_mulaw', 8000, 1, 1000],
  ['tone-51.wav', 'wav', 'pcm_s16le', 48000, 6, 200],
  ['streamed.wav', 'wav', 'pcm_s16le', 44100, 1, 1000],
  ['empty.wav', 'wav', 'pcm_s16le', 0, 0, 0],
  ['tone.aiff', 'aiff', 'pcm_s16be', 22050, 1, 1000],
  ['tone-cbr.mp3', 'mpeg', 'mp3', 44100, 1, 1000],
  ['tone-vbr.mp3', 'mpeg', 'mp3', 44100, 1, 1000],
  ['second.mp2', 'mpeg', 'mp2', 48000, 2, 504],
  ['tone.flac', 'flac', 'flac', 44100, 1, 1000],
  ['tone-vorbis.ogg', 'ogg', 'vorbis', 44100, 1, 1000],
  ['tone-opus.ogg', 'ogg', 'opus', 48000, 1, 1000],
  ['tone.aac', 'adts', 'aac', 44100, 1, 1044.8979591836735],
  ['tone.m4a', 'mp4', 'aac', 44100, 1]
]

test('identifies a file from any kind of source', async (t) => {
  const server = await serve(t, (request, response) => {
    const bytes = readFileSync(fixture(request.url.slice(1)))
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  })
  for (const [file, container, codec, sampleRate, channels, durationMs] of FILES) {
    const found = await probe(fixture(file))
    const expected = { container, codec, sampleRate, channels, durationMs: durationMs ?? found.durationMs, exact: true, tags: {} }
    assert.deepEqual(found, expected, file)
    const bytes = readFileSync(fixture(file))
    assert.deepEqual(await probe({ audio: bytes }), expected, file)
    assert.deepEqual(await probe({ audio: new Blob([bytes]) }), expected, file)
    assert.deepEqual(await probe({ audioUrl: `data:;base64,${bytes.toString('base64')}` }), expected, file)
    const { loudness, ...rest } = await probe({ audioUrl: fixture(file) }, { loudness: true })
    assert.deepEqual({ ...rest, durationMs: expected.durationMs }, expected, file)
    if (file !== 'tone.m4a') assert.equal(rest.durationMs, expected.durationMs, file)
    assert.deepEqual(Object.keys(loudness), ['integratedLufs', 'truePeakDb', 'taggedLufs'])
    // A download that has not ended yet may only be estimated.
    assert.deepEqual((await probe(`${server}/${file}`, { loudness: true })), { ...rest, loudness }, file)
  }
})

test('reads tags and tagged loudness of every container', async () => {
  const tags = { title: 'Glücklich', artist: 'A singer', album: 'An album', track: '7' }
  for (const [file, taggedLufs] of [
    ['tagged.mp3', -10], ['tagged-v23.mp3', -10], ['tagged.flac', -10], ['tagged-vorbis.ogg', -10], ['tagged-opus.ogg', -10],
    ['tagged.m4a', null], ['tagged-list.wav', null], ['tagged.aiff', -10], ['tagged.mka', -10]
  ]) {
    const found = await probe(fixture(file), { loudness: true })
    assert.deepEqual(found.tags, tags, file)
    assert.deepEqual(Object.keys(found.tags), Object.keys(tags), 'in one order')
    assert.equal(found.loudness.taggedLufs, taggedLufs, file)
    assert.deepEqual((await probe(fixture(file))).tags, tags, file)
  }
})

test('reads tags after the audio', async () => {
  const audio = readFileSync(fixture('tone-cbr.mp3'))
  const field = (text, length) => Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(length - text.length)])
  const id3v1 = Buffer.concat([field('TAG', 3), field('Title', 30), field('Artist', 30), field('', 65)])
  const item = (key, text) => Buffer.concat([Buffer.from([text.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(`${key}\0${text}`)])
  const items = Buffer.concat([item('Title', 'APE'), item('REPLAYGAIN_TRACK_GAIN', '-2.5 dB')])
  const part = (flags) => {
    const bytes = Buffer.alloc(32)
    bytes.write('APETAGEX')
    for (const [at, number] of [[8, 2000], [12, items.length + 32], [16, 2], [20, flags]]) bytes.writeUInt32LE(number, at)
    return bytes
  }
  const whole = Buffer.concat([part(0xa0000000), items, part(0x80000000)])
  const footer = Buffer.concat([items, part(0)])
  for (const [behind, tags, taggedLufs] of [
    [[id3v1], { title: 'Title', artist: 'Artist' }, null],
    [[whole], { title: 'APE' }, -15.5],
    [[footer], { title: 'APE' }, -15.5],
    [[whole, id3v1], { title: 'Title', artist: 'Artist' }, -15.5],
    [[footer, id3v1], { title: 'Title', artist: 'Artist' }, -15.5]
  ]) {
    const bytes = Buffer.concat([audio, ...behind])
    assert.deepEqual((await probe({ audio: bytes })).tags, tags)
    const found = await probe({ audio: bytes }, { loudness: true })
    assert.deepEqual([found.tags, found.loudness.taggedLufs, found.durationMs], [tags, taggedLufs, 1000])
  }
})

/** Returns a stereo tone of 1 kHz, one level (in dB below full scale) after another. */
function steps(levels, sampleRate = 48000, channels = 2) {
  const samples = new Float64Array(levels.reduce((sum, [, seconds]) => sum + Math.round(seconds * sampleRate), 0) * channels)
  let at = 0
  for (const [db, seconds] of levels) {
    for (let n = 0; n < Math.round(seconds * sampleRate); n++) {
      const sample = 10 ** (db / 20) * Math.sin((2 * Math.PI * 1000 * n) / sampleRate)
      for (let channel = 0; channel < channels; channel++) samples[at++] = sample
    }
  }
  return wavFile(samples, sampleRate, channels)
}

test('loudness matches EBU Tech 3341, table 1', async () => {
  for (const [levels, lufs] of [
    [[[-23, 20]], -23],
    [[[-33, 20]], -33],
    [[[-36, 10], [-23, 60], [-36, 10]], -23],
    [[[-72, 10], [-36, 10], [-23, 60], [-36, 10], [-72, 10]], -23],
    [[[-26, 20], [-20, 20.1], [-26, 20]], -23]
  ]) {
    const { loudness, durationMs } = await probe({ audio: steps(levels, 8000) }, { loudness: true })
    near(loudness.integratedLufs, lufs, 0.1, JSON.stringify(levels))
    assert.equal(durationMs, levels.reduce((sum, [, seconds]) => sum + seconds * 1000, 0))
  }
})

test('true peaks match EBU Tech 3341, cases 15 to 18', async () => {
  // A step in level would have a peak of its own.
  const fade = (n) => Math.min(1, n / 1000, (47999 - n) / 1000)
  for (const [divisor, degrees] of [[4, 0], [4, 45], [6, 60], [8, 67.5]]) {
    const samples = Float64Array.from({ length: 48000 }, (_, n) => fade(n) * 0.5 * Math.sin((2 * Math.PI * n) / divisor + (degrees * Math.PI) / 180))
    const { truePeakDb } = (await probe({ audio: wavFile(samples) }, { loudness: true })).loudness
    assert.ok(truePeakDb >= -6.4 && truePeakDb <= -5.8, `${truePeakDb} at 1/${divisor}`)
  }
})

test('silence has no loudness, short sounds are measured whole', async () => {
  const silence = await probe({ audio: wavFile(new Float64Array(48000)) }, { loudness: true })
  assert.deepEqual(silence.loudness, { integratedLufs: null, truePeakDb: null, taggedLufs: null })
  for (const ms of [50, 120, 399, 400, 1000]) {
    const { loudness } = await probe({ audio: tone(1000, ms, { amplitude: 0.5 }) }, { loudness: true })
    near(loudness.integratedLufs, -9.03, 0.3, `${ms} ms`)
  }
})

test("estimates a download's length if it can", async (t) => {
  const frames = readFileSync(fixture('tone.aac'))
  const long = Buffer.concat(Array.from({ length: 200 }, () => frames))
  let isLive = false
  const server = await serve(t, (request, response) => {
    if (request.url === '/live') {
      isLive = true
      response.writeHead(200)
      response.write(long.subarray(0, 100_000))
      return response.on('close', () => (isLive = false))
    }
    response.writeHead(200, { 'content-length': long.length }).end(long)
  })
  const exact = await probe({ audio: long })
  assert.equal(exact.exact, true)
  const estimated = await probe(`${server}/long.aac`)
  assert.equal(estimated.exact, false)
  near(estimated.durationMs / exact.durationMs, 1, 0.02, 'the estimate')
  const live = await probe(`${server}/live`)
  assert.deepEqual([live.durationMs, live.exact, live.codec], [null, false, 'aac'])
  while (isLive) await new Promise((resolve) => setTimeout(resolve, 1))
})

test("unreadable sources fail with playback's errors", async (t) => {
  const server = await serve(t, (request, response) => {
    if (request.url === '/slow') return void response.writeHead(200).write(readFileSync(fixture('tone-s16.wav')))
    response.writeHead(404).end()
  })
  for (const [source, code, options] of [
    [fixture('noise.txt'), 'ERR_UNSUPPORTED_FORMAT'],
    [fixture('none.wav'), 'ERR_FILE'],
    [{ audio: Buffer.alloc(0) }, 'ERR_EMPTY_SOURCE'],
    [fixture('truncated.flac'), 'ERR_TRUNCATED', { loudness: true }],
    [`${server}/none`, 'ERR_HTTP_STATUS'],
    [{ audioUrl: `${server}/none`, network: 'public' }, 'ERR_URL_BLOCKED'],
    [{ audioUrl: fixture('tone.flac'), network: 'public' }, 'ERR_URL_BLOCKED'],
    [{ audioUrl: 'a', audio: Buffer.alloc(1) }, 'ERR_INVALID_ARGUMENT'],
    [{ audioUrl: 'a', loop: true }, 'ERR_INVALID_ARGUMENT'],
    [undefined, 'ERR_INVALID_ARGUMENT'],
    [fixture('tone.flac'), 'ERR_INVALID_ARGUMENT', { loudness: 1 }],
    [fixture('tone.flac'), 'ERR_INVALID_ARGUMENT', { peaks: true }]
  ]) {
    await assert.rejects(probe(source, options), { code }, `${JSON.stringify(source)} ${JSON.stringify(options)}`)
  }
  const { signal, abort } = abortable()
  const probing = probe({ audioUrl: `${server}/slow`, signal }, { loudness: true })
  abort()
  await assert.rejects(probing, { code: 'ERR_ABORTED', message: 'the signal was aborted before the source was probed' })
  await assert.rejects(probe({ audioUrl: 'a', signal }), { code: 'ERR_ABORTED' })
})

test('damage in a tagged file does no harm', async () => {
  for (const file of ['tagged.mp3', 'tagged-v23.mp3', 'tagged.flac', 'tagged-opus.ogg', 'tagged.m4a', 'tagged-list.wav', 'tagged.aiff', 'tagged.mka']) {
    const bytes = readFileSync(fixture(file))
    const looks = []
    const look = (audio) => looks.push(probe({ audio }).then(() => true, ({ code }) => /^ERR_(UNSUPPORTED_FORMAT|DECODE|TRUNCATED|EMPTY_SOURCE)$/.test(code) || code))
    for (let at = 0; at < Math.min(bytes.length, 1000); at += 3) {
      look(bytes.subarray(0, at))
      const damaged = Buffer.from(bytes)
      damaged[at] ^= 0xff
      look(damaged)
    }
    for (const answer of await Promise.all(looks)) assert.equal(answer, true, file)
  }
})

const cli = (args) => run(__dirname, args)

test('the command line prints the same', async () => {
  const { exitCode, stdout } = await cli(['probe', fixture('tagged.mp3'), fixture('tone.flac'), '--loudness'])
  assert.equal(exitCode, 0)
  assert.match(stdout, /tagged\.mp3\n {2}format {7}mpeg, mp3\n {2}sound {8}48000 Hz, 1 channel\n {2}length {7}0\.300 s\n {2}title {8}Glücklich\n/)
  assert.match(stdout, /by its tags {2}-10\.0 LUFS\n.*tone\.flac\n.*\n.*\n.*\n {2}loudness {5}-9\.[01] LUFS\n {2}true peak {4}-6\.0 dBTP\n$/)
  const json = await cli(['probe', fixture('tone.flac'), '--json'])
  const { source, ...found } = JSON.parse(json.stdout)
  assert.deepEqual([source, found], [fixture('tone.flac'), await probe(fixture('tone.flac'))])
  const failed = await cli(['probe', fixture('none.wav'), fixture('tone.flac')])
  assert.equal(failed.exitCode, 1)
  assert.match(failed.stderr, /none\.wav: /)
  assert.match(failed.stdout, /flac, flac/)
  for (const args of [['probe'], ['probe', 'a.wav', '--stereo'], ['play', 'a.wav', '--loudness']]) assert.equal((await cli(args)).exitCode, 2, args.join(' '))
})
