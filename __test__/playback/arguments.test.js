'use strict'

// What the calls accept, and how they refuse everything else.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { SpeakerError, SpeakerSession } = require('../..')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const memory = { type: 'memory', clock: 'manual' }

test('invalid session options throw', () => {
  for (const [options, message] of [
    [undefined, /^Expected an object for SpeakerSession but received undefined$/],
    [{}, /^Expected an object for output but received undefined$/],
    [{ output: { type: 'mp3' } }, /^Expected one of 'wav', 'pcm', 'memory', 'stream', 'http', 'none', 'livekit' for output.type but received 'mp3' of type string$/],
    [{ output: { type: 'wav' } }, /for output.path but received undefined/],
    [{ output: { type: 'wav', path: '' } }, /for output.path but received '' of type string/],
    [{ output: { type: 'pcm' } }, /^Expected a function for output.onFrame but received undefined/],
    [{ output: { type: 'pcm', onFrame() {}, frameMs: 9 } }, /^Expected an integer from 10 to 100 for output.frameMs but received 9/],
    [{ output: { type: 'pcm', onFrame() {}, sampleRate: 44100, frameMs: 25 } }, /whole number of samples at 44100 Hz/],
    [{ output: { type: 'wav', path: 'x.wav', dither: 'yes' } }, /^Expected a boolean for output.dither but received 'yes'/],
    [{ output: { type: 'wav', path: 'x.wav', format: 'f32', dither: true } }, /^Expected format 's16' beside it for output.dither but received 'f32'/],
    [{ output: { ...memory, dither: true } }, /^Expected only type, clock, channels for the options of output but received 'dither'/],
    [{ output: { ...memory, channels: 3 } }, /for output.channels but received 3/],
    [{ output: { ...memory, clock: 'sundial' } }, /'realtime', 'manual' for output.clock/],
    [{ output: { ...memory, path: 'x' } }, /^Expected only type, clock, channels for the options of output but received 'path'/],
    [{ output: { type: 'livekit', token: 'x' } }, /^Expected a ws\(s\) or http\(s\) URL for output.url but received undefined$/],
    [{ output: { type: 'livekit', url: 'ws://localhost' } }, /^Expected a non-empty string or a function for output.token but received undefined$/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', clock: 'manual' } }, /but received 'clock'/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', iceTransport: 'udp' } }, /^Expected one of 'all', 'tcp', 'relay' for output.iceTransport but received 'udp'/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', publish: 'never' } }, /^Expected one of 'lazy', 'connect' for output.publish but received 'never'/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', publish: [0, 65536] } }, /^Expected an integer from 0 to 65535 for a track of output.publish but received 65536/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', publish: [undefined] } }, /for a track of output.publish but received undefined/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', startWhen: 'joined' } }, /^Expected one of 'published', 'subscribed' for output.startWhen but received 'joined'/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', subscribeTimeoutMs: -1 } }, /^Expected a number from 0 to 86400000 for output.subscribeTimeoutMs but received -1/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', onMute: 'drop' } }, /^Expected one of 'continue', 'pause' for output.onMute but received 'drop'/],
    [{ output: { type: 'livekit', url: 'ws://localhost', token: 'x', lingerMs: 10001 } }, /^Expected a number from 0 to 10000 for output.lingerMs but received 10001/],
    [{ output: memory, overlap: 'blend' }, /for overlap but received 'blend'/],
    [{ output: memory, overlap: null }, /^Expected one of 'mix', 'queue', 'replace' for overlap but received null/],
    [{ output: memory, overlap: { default: 'blend' } }, /^Expected one of 'mix', 'queue', 'replace' for overlap.default but received 'blend'/],
    [{ output: memory, overlap: { 2: 'blend' } }, /^Expected one of 'mix', 'queue', 'replace' for overlap\[2\] but received 'blend'/],
    [{ output: memory, overlap: { speech: 'queue' } }, /^Expected an integer from 0 to 65535 for a key of overlap but received 'speech'/],
    [{ output: memory, overlap: { 65536: 'queue' } }, /^Expected an integer from 0 to 65535 for a key of overlap but received 65536/],
    [{ output: memory, overlap: { '-1': 'queue' } }, /for a key of overlap but received -1/],
    [{ output: memory, overlap: { 0.5: 'queue' } }, /for a key of overlap but received 0.5/],
    [{ output: memory, overlap: { '': 'queue' } }, /for a key of overlap but received ''/],
    [{ output: memory, maxConcurrent: 0 }, /for maxConcurrent but received 0/],
    [{ output: memory, maxConcurrent: 1.5 }, /for maxConcurrent but received 1.5/],
    [{ output: memory, crossfadeMs: 10001 }, /^Expected a number from 0 to 10000 for crossfadeMs but received 10001/],
    [{ output: memory, onDuplicate: 'ignore' }, /^Expected one of 'fail', 'join', 'replace' for onDuplicate but received 'ignore'/],
    [{ output: memory, queueTimeoutMs: -1 }, /^Expected a number from 0 to 86400000 for queueTimeoutMs but received -1/],
    [{ output: memory, minFetchBytesPerSecond: -1 }, /^Expected a number from 0 to 1000000 for minFetchBytesPerSecond but received -1/],
    [{ output: memory, startTimeoutMs: '1 s' }, /^Expected a number from 0 to 86400000 for startTimeoutMs but received '1 s'/],
    [{ output: memory, duck: true }, /^Expected an object for duck but received true/],
    [{ output: memory, duck: { db: 3 } }, /^Expected a number from -60 to 0 for duck.db but received 3/],
    [{ output: memory, duck: { attackMs: 0 } }, /for duck.attackMs but received 0/],
    [{ output: memory, duck: { level: 0.5 } }, /^Expected only db, attackMs, releaseMs for the options of duck/],
    [{ output: memory, gain: NaN }, /for gain but received NaN/],
    [{ output: memory, volume: 1 }, /^Expected only .* but received 'volume'/],
    [{ output: memory, record: 7 }, /^Expected a path or a file: URL for record but received 7/],
    [{ output: memory, record: {} }, /^Expected a path or a file: URL for record.path but received undefined$/],
    [{ output: memory, record: { path: 'x', secrets: 1 } }, /^Expected a boolean for record.secrets but received 1/],
    [{ output: memory, record: { path: 'x', mask: true } }, /^Expected only path, secrets for the options of record but received 'mask'/]
  ]) {
    assert.throws(() => new SpeakerSession(options), (error) => {
      assert.ok(error instanceof SpeakerError && error instanceof Error)
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
      assert.match(error.message, message)
      return true
    })
  }
})

test('overlap by track is a plain object', () => {
  for (const overlap of [['queue'], [], new Map([[2, 'queue']])]) {
    assert.throws(() => new SpeakerSession({ output: memory, overlap }), { code: 'ERR_INVALID_ARGUMENT', message: /for overlap but received / })
  }
})

test('invalid requests reject and the session stays usable', async (t) => {
  const { session, told } = open(t)
  const audio = tone(440, 20)
  for (const [request, message] of [
    [undefined, /for playAudio/],
    [{}, /^Expected either audioUrl or audio for playAudio but received undefined$/],
    [{ audio, audioUrl: 'a.mp3' }, /but received 'both'/],
    [{ audio: 'RIFF' }, /^Expected a Buffer, typed array, ArrayBuffer, clip, voice, Blob, Response, Readable or iterable of bytes for audio but received 'RIFF' of type string; paths/],
    [{ audioUrl: 7 }, /^Expected a non-empty string for audioUrl but received 7 of type number$/],
    [{ audioUrl: '' }, /for audioUrl/],
    [{ audioUrl: 'ftp://example.com/a.mp3' }, /^Expected an http\(s\) URL, a data: URL, a file: URL or a path for audioUrl but received 'ftp:/],
    [{ audioUrl: 'http://' }, /for audioUrl/],
    [{ audioUrl: 'file://host/share/a.mp3' }, /for audioUrl/],
    [{ audio, volume: 1.1 }, /^Expected a number from 0 to 1 for volume but received 1.1 of type number$/],
    [{ audio, volume: '0.5' }, /for volume/],
    [{ audio, gain: -1 }, /for gain/],
    [{ audio, stopOther: 'false' }, /^Expected a boolean for stopOther but received 'false'/],
    [{ audio, trackId: -1 }, /for trackId/],
    [{ audio, role: 'singer' }, /^Expected one of 'system', 'voice', 'media', 'ambient' for role but received 'singer'/],
    [{ audio, priority: 1001 }, /^Expected an integer from -1000 to 1000 for priority but received 1001/],
    [{ audio, priority: 0.5 }, /for priority but received 0.5/],
    [{ audio, queueTimeoutMs: '1 s' }, /for queueTimeoutMs but received '1 s'/],
    [{ audio, overlap: 'blend' }, /^Expected one of 'mix', 'queue', 'replace' for overlap but received 'blend'/],
    [{ audio, overlap: { default: 'mix' } }, /^Expected one of 'mix', 'queue', 'replace' for overlap but received an object$/],
    [{ audio, overlap: null }, /for overlap but received null/],
    [{ audio, requestId: '' }, /for requestId/],
    [{ audio, requestId: 7 }, /^Expected a non-empty string for requestId but received 7/],
    [{ audio, headers: { 'bad name': 'x' } }, /^Expected names that HTTP allows for headers but received a string$/],
    [{ audio, headers: { 'x-tenant': 'a\n' } }, /^Expected characters that HTTP allows for headers\['x-tenant'\] but received a string$/],
    [{ audio, headers: { 'x-tenant': null } }, /^Expected a string for headers\['x-tenant'\] but received null$/],
    [{ audio, headers: 'x-tenant: 7' }, /^Expected an object of strings, a Headers, a Map or pairs for headers but received a string$/],
    [{ audio, stallTimeoutMs: 1 }, /^Expected a Readable or another iterable as audio beside it for stallTimeoutMs but received 1/],
    [{ audio: Readable.from([]), loop: 2 }, /^Expected audio that can be read again beside it for loop but received 2/],
    [{ audio, repeat: true }, /but received 'repeat'/]
  ]) {
    await assert.rejects(session.playAudio(request), (error) => {
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
      assert.match(error.message, message)
      return true
    })
  }
  await assert.rejects(session.stopAudio({ requestId: 'a', trackId: 1 }), { code: 'ERR_INVALID_ARGUMENT' })
  await assert.rejects(session.stopAudio({ id: 'a' }), { code: 'ERR_INVALID_ARGUMENT' })
  for (const ahead of ['yes', 1, null]) {
    await assert.rejects(session.stopAudio({ requestId: 'a', ahead }), {
      code: 'ERR_INVALID_ARGUMENT', message: /^Expected a boolean for ahead but received /
    })
  }
  await assert.rejects(session.pauseAudio({ requestId: 'a', ahead: true }), { code: 'ERR_INVALID_ARGUMENT' })
  for (const [request, message] of [
    [undefined, /^Expected an object for moveAudio but received undefined$/],
    [{ queuePosition: 1 }, /^Expected a non-empty string for requestId but received undefined$/],
    [{ requestId: 'a' }, /^Expected an integer from 1 to 100000 for queuePosition but received undefined$/],
    [{ requestId: 'a', queuePosition: 0 }, /for queuePosition but received 0/],
    [{ requestId: 'a', trackId: 1, queuePosition: 1 }, /for the options of moveAudio but received 'trackId'/]
  ]) {
    await assert.rejects(session.moveAudio(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  for (const [request, message] of [
    [{ keep: 'media' }, /^Expected an array of roles for keep but received 'media' of type string$/],
    [{ keep: ['music'] }, /^Expected one of 'system', 'voice', 'media', 'ambient' for keep but received 'music'/],
    [{ reason: '' }, /for reason but received ''/],
    [{ trackId: 1 }, /^Expected only keep, reason, fadeOutMs, afterMs for the options of interrupt but received 'trackId'/]
  ]) {
    await assert.rejects(session.interrupt(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  const raw = { format: 'pcm16', sampleRate: 48000 }
  for (const [request, message] of [
    [undefined, /^Expected an object for createStream but received undefined$/],
    [{ sampleRate: 48000 }, /^Expected a format of raw samples beside it for sampleRate but received undefined$/],
    [{ ...raw, format: 'wma' }, /for format but received 'wma'/],
    [{ format: 'f32' }, /^Expected the sample rate of 'f32' for sampleRate but received undefined$/],
    [{ ...raw, sampleRate: 4000 }, /^Expected an integer from 8000 to 192000 for sampleRate but received 4000/],
    [{ ...raw, channels: 6 }, /^Expected an integer from 1 to 2 for channels but received 6/],
    [{ format: 'mulaw', sampleRate: 16000 }, /^Expected 8000 beside format 'mulaw' for sampleRate but received 16000/],
    [{ format: 'g722', channels: 2 }, /^Expected an integer from 1 to 1 for channels but received 2/],
    [{ ...raw, format: 'mp3' }, /^Expected a format of raw samples beside it for sampleRate but received 'mp3'/],
    [{ ...raw, stallTimeoutMs: -1 }, /for stallTimeoutMs but received -1/],
    [{ ...raw, overlap: 'blend' }, /for overlap but received 'blend'/],
    [{ ...raw, audioUrl: 'a.mp3' }, /for the options of createStream but received 'audioUrl'/]
  ]) {
    assert.throws(() => session.createStream(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  for (const ms of [undefined, null, -1, Infinity, '20']) {
    await assert.rejects(session.advance(ms), { code: 'ERR_INVALID_ARGUMENT' })
  }
  assert.deepEqual(told, [], 'a refused request has no events')
  const playing = session.playAudio({ audio })
  await session.advance(20)
  assert.equal((await playing).durationMs, 20)
})

test('audioUrl takes URLs and paths', async (t) => {
  const { session } = open(t)
  const file = path.join(__dirname, '..', 'fixtures', 'tone-192k.wav')
  for (const audioUrl of [file, path.relative('.', file), `file://${file}`, new URL(`file://${file}`)]) {
    const playing = session.playAudio({ audioUrl })
    await session.advance(300)
    assert.equal((await playing).outcome, 'completed', String(audioUrl))
  }
})

test('audio is copied on the call', async (t) => {
  const { session, heard } = open(t)
  const audio = tone(440, 20)
  session.playAudio({ audio })
  audio.fill(0)
  await session.advance(20)
  assert.ok(heard().some((sample) => sample > 0.2))
})

test('unsupported operations give ERR_UNSUPPORTED_OPERATION', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  await assert.rejects(session.advance(20), { code: 'ERR_UNSUPPORTED_OPERATION' })
  const pcm = new SpeakerSession({ output: { type: 'pcm', onFrame() {} } })
  assert.throws(() => pcm.recording(), { code: 'ERR_UNSUPPORTED_OPERATION' })
  await pcm.close()
})

test('index.d.ts, docs/errors.md and the source list the same codes', () => {
  const read = (name) => readFileSync(path.join(__dirname, '..', '..', name), 'utf8')
  const codes = (name) => [...new Set(read(name).match(/\bERR_[A-Z_]+[A-Z]\b/g))].sort()
  const source = [...new Set(['src/error.rs', 'lib/error.js', 'lib/livekit/rpc.js'].flatMap(codes))].sort()
  assert.deepEqual(codes('index.d.ts'), source)
  assert.deepEqual(codes('docs/errors.md'), source)
})
