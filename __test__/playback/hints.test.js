'use strict'

// What a message adds to the error: the intended name, the refused call, the cause; and a hint to callers who wait in vain.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, existsSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { pathToFileURL } = require('node:url')
const { inspect } = require('node:util')

const { SpeakerError, SpeakerSession, liveKitFromEnv } = require('../..')
const { run } = require('../support/process')
const { finish, open } = require('../support/session')
const { RAW } = require('../support/stream')
const { readWav, tone } = require('../support/wav')

const AUDIO = tone(440, 100)
const MEMORY = { type: 'memory', clock: 'manual' }

test('suggests the intended name', async (t) => {
  const { session } = open(t)
  const playing = (name) => session.playAudio({ [name]: 'x' })
  const opened = (name) => new SpeakerSession({ output: MEMORY, [name]: 1 })
  for (const [call, name, expected] of [
    [playing, 'audioURL', 'audioUrl'], [playing, 'url', 'audioUrl'], [playing, 'src', 'audioUrl'], [playing, 'audoi', 'audio'], [playing, 'buffer', 'audio'],
    [playing, 'id', 'requestId'], [playing, 'requestID', 'requestId'], [playing, 'stopOthers', 'stopOther'], [playing, 'start', 'startMs'],
    [playing, 'fadeOut', 'fadeOutMs'], [playing, 'vloume', 'volume'], [playing, 'looped', 'loop'], [playing, 'track', 'trackId'],
    [opened, 'overlp', 'overlap'], [opened, 'maxConcurent', 'maxConcurrent'], [opened, 'fetchTimeout', 'fetchTimeoutMs'],
    [() => session.moveAudio({ position: 1 }), 'position', 'queuePosition'], [() => session.moveAudio({ place: 1 }), 'place', 'queuePosition'],
    [() => session.seekAudio({ position: 1 }), 'position', 'positionMs'], [() => session.stopAudio({ fadeMs: 1 }), 'fadeMs', undefined],
    [playing, 'zebra', undefined], [playing, 'x'.repeat(1e6), undefined]
  ]) {
    const error = await Promise.resolve(name).then(call).catch((error) => error)
    assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
    const [, hint] = /; did you mean (.*)\?$/.exec(error.message) ?? []
    assert.equal(hint, expected, error.message.slice(-200))
  }
})

test('a missing option is reported as undefined, not null', async (t) => {
  const { session } = open(t)
  for (const call of [
    () => session.moveAudio({}), () => session.moveAudio({ requestId: 'a' }), () => session.seekAudio({}), () => session.setVolume({}),
    () => session.setMuted({}), () => session.setMuted({ trackId: 1 }), () => session.advance(), () => session.mark(), () => session.track(),
    () => session.track(0).setPan({}), () => session.setMetadata(), () => session.setName(), () => new SpeakerSession({ output: MEMORY, record: {} })
  ]) {
    const error = await Promise.resolve().then(call).catch((error) => error)
    assert.match(error.message, /^Expected .* but received undefined$/, String(call))
  }
  await assert.rejects(session.moveAudio({ requestId: null }), { message: /for requestId but received null$/ })
})

test('refuses options in anything but plain objects', async (t) => {
  const { session } = open(t)
  for (const [options, message] of [
    [{ duck: new Map([['db', -3]]) }, /^Expected an object for duck but received a Map$/],
    [{ duck: Promise.resolve({}) }, /^Expected an object for duck but received a Promise$/],
    [{ duck: new Uint8Array(1000) }, /^Expected an object for duck but received a Uint8Array$/],
    [{ loudness: new Set() }, /^Expected an object for loudness but received a Set$/]
  ]) {
    assert.throws(() => new SpeakerSession({ output: MEMORY, ...options }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  await assert.rejects(session.setAttributes(new Map([['a', 'b']])), { message: /^Expected an object for attributes but received a Map$/ })
  const output = { type: 'livekit', url: 'ws://localhost', token: 'x', trackNames: new Map([[5, 'music']]) }
  const { name } = new SpeakerSession({ output }).track(5)
  assert.equal(name, 'music')
})

test('names the call on a closed session', async (t) => {
  const { session } = open(t)
  await session.close()
  for (const [name, call] of Object.entries({
    playAudio: () => session.playAudio({ audio: AUDIO }),
    createStream: () => session.createStream(RAW),
    connect: () => session.connect(),
    advance: () => session.advance(1),
    tap: () => session.tap(),
    mark: () => session.mark('a'),
    setMuted: () => session.setMuted({ trackId: 1, muted: true })
  })) {
    const error = await Promise.resolve().then(call).catch((error) => error)
    assert.equal(error.code, 'ERR_CLOSED')
    assert.equal(error.message, `Expected an open session for ${name} but it is closed`)
  }
})

test("a stream's error is the cause", async (t) => {
  const { session } = open(t)
  const thrown = Object.assign(new TypeError('no more words'), { status: 503 })
  const iterable = session.playAudio({ stopOther: false, audio: (async function* () {
    yield AUDIO
    throw thrown
  })() })
  const stream = session.createStream({ ...RAW, stopOther: false })
  stream.destroy(thrown)
  await finish(session)
  for (const failed of [iterable, stream.finished, SpeakerSession.clip({ audio: (function* () { throw thrown })() })]) {
    const error = await failed.catch((error) => error)
    assert.ok(error instanceof SpeakerError)
    assert.deepEqual([error.code, error.message], ['ERR_STREAM', 'the stream failed: no more words'])
    assert.equal(error.cause, thrown)
    assert.doesNotMatch(inspect(error), /503/, 'what is in it is shown to who asks')
  }
  const word = session.playAudio({ audio: (function* () { throw 'a word' })() })
  await finish(session)
  await assert.rejects(word, { code: 'ERR_STREAM', message: 'the stream failed: a word', cause: 'a word' })
})

test("the abort signal's reason is the cause", async (t) => {
  const { session } = open(t)
  const reason = new Error('the user hung up')
  const aborted = AbortSignal.abort(reason)
  const controller = new AbortController()
  const late = SpeakerSession.clip({ audio: (async function* () { yield await new Promise(() => {}) })(), signal: controller.signal })
  const connecting = new SpeakerSession({ output: { type: 'livekit', url: 'ws://127.0.0.1:1', token: () => new Promise(() => {}) } })
  const connected = connecting.connect({ signal: controller.signal })
  const stream = session.createStream({ ...RAW, signal: controller.signal })
  controller.abort(reason)
  for (const call of [
    () => session.playAudio({ audio: AUDIO, signal: aborted }), () => session.createStream({ ...RAW, signal: aborted }),
    () => session.connect({ signal: aborted }), () => SpeakerSession.clip({ audio: AUDIO, signal: aborted }),
    () => SpeakerSession.probe({ audio: AUDIO, signal: aborted }), () => late, () => connected
  ]) {
    const error = await Promise.resolve().then(call).catch((error) => error)
    assert.deepEqual([error.code, error.cause], ['ERR_ABORTED', reason], String(call))
  }
  const [ended] = await Promise.all([new Promise((resolve) => stream.once('error', resolve)), session.advance(20)])
  assert.deepEqual([ended.code, ended.cause], ['ERR_ENDED', reason])
  const text = session.playAudio({ audio: AUDIO, signal: AbortSignal.abort('in a word') })
  await assert.rejects(text, { code: 'ERR_ABORTED', cause: 'in a word' })
  await connecting.close()
})

test('a URL without a scheme is not a path', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.playAudio({ audioUrl: '//cdn.example.com/a.mp3' }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /^Expected an http\(s\) URL, .* or a path for audioUrl but received '\/\/cdn\.example\.com\/a\.mp3' of type string; a URL needs its scheme, as https:$/
  })
})

test('file: URLs are accepted as output paths', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, of] of Object.entries({ path: String, URL: pathToFileURL, 'file URL': (file) => pathToFileURL(file).href })) {
    const [wav, jsonl, other] = ['.wav', '.jsonl', ' 2.jsonl'].map((end) => path.join(folder, `${name}${end}`))
    const session = new SpeakerSession({ output: { type: 'wav', clock: 'manual', path: of(wav) }, record: of(jsonl) })
    session.playAudio({ audio: AUDIO })
    await session.advance(100)
    await session.close()
    assert.equal(readWav(wav).samples.length, 4800, name)
    assert.ok(existsSync(jsonl), name)
    await new SpeakerSession({ output: MEMORY, record: { path: of(other) } }).close()
    assert.ok(existsSync(other), name)
  }
  for (const target of ['https://example.com/a.wav', new URL('https://example.com/a.wav'), 's3://bucket/a.wav', 'file://host/a.wav', {}]) {
    const message = /^Expected a path or a file: URL for output\.path but received/
    assert.throws(() => new SpeakerSession({ output: { type: 'wav', path: target } }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test('liveKitFromEnv validates', (t) => {
  const names = ['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET']
  const before = names.map((name) => process.env[name])
  t.after(() => names.forEach((name, n) => (before[n] === undefined ? delete process.env[name] : (process.env[name] = before[n]))))
  const set = (url) => names.forEach((name, n) => (process.env[name] = [url, 'key', 'secret'][n]))
  const who = { room: 'r', identity: 'i' }
  set('wss://example.com')
  for (const [options, message] of [
    [undefined, /^Expected an object for liveKitFromEnv but received undefined$/],
    [{ identity: 'i' }, /^Expected a non-empty string for room but received undefined$/],
    [{ room: 'r', identity: '' }, /^Expected a non-empty string for identity but received an empty string|'' of type string/],
    [{ roomName: 'r', identity: 'i' }, /but received 'roomName' of type string; did you mean room\?$/],
    [{ ...who, lingerMS: 1 }, /; did you mean lingerMs\?$/],
    [{ ...who, token: 'x' }, /for the options of liveKitFromEnv but received 'token'/],
    [{ ...who, kind: 'robot' }, /^Expected one of 'standard', 'agent', .* for kind but received 'robot'/],
    [{ ...who, attributes: { mood: 7 } }, /^Expected a string of well-formed Unicode for attributes\.mood but received 7/]
  ]) {
    assert.throws(() => liveKitFromEnv(options), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  const { type, url, lingerMs } = liveKitFromEnv({ ...who, lingerMs: 7, bitrate: undefined })
  assert.deepEqual([type, url, lingerMs], ['livekit', 'wss://example.com', 7])
  for (const wrong of ['localhost:7880', 'ftp://example.com', 'ws:']) {
    set(wrong)
    assert.throws(() => liveKitFromEnv(who), { code: 'ERR_INVALID_ARGUMENT', message: /^Expected a ws\(s\) or http\(s\) URL for LIVEKIT_URL but received/ })
  }
  set('')
  assert.throws(() => liveKitFromEnv(who), { code: 'ERR_INVALID_ARGUMENT', message: 'Expected a value for LIVEKIT_URL but received an empty string' })
})

test('waiting for an idle manual clock warns once', async (t) => {
  const waiting = await run(t, `
    const { setTimeout: sleep } = require('node:timers/promises')
    async function main() {
      const open = () => new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      const [session, other] = [open(), open()]
      process.on('warning', ({ code }) => console.log(code))
      for (const one of [session, other]) one.playAudio({ audioUrl: 'clip.wav' })
      await sleep(1500)
      other.playAudio({ audioUrl: 'clip.wav' })
      await sleep(1500)
      await session.close()
      await other.close()
    }
    main()
  `)
  assert.deepEqual([waiting.code, waiting.out], [0, 'SPEAKER_SESSION_MANUAL_CLOCK\n'])
  assert.match(waiting.err, /SpeakerSessionWarning: A playback waits on the manual clock, whose time passes only in `advance`/)
  const moving = await run(t, `
    const { setTimeout: sleep } = require('node:timers/promises')
    async function main() {
      const open = (output) => new SpeakerSession({ output: { type: 'memory', ...output } })
      const [session, realtime, closed] = [open({ clock: 'manual' }), open(), open({ clock: 'manual' })]
      for (const one of [session, realtime, closed]) one.playAudio({ audioUrl: 'long.wav' })
      await session.advance(20)
      await closed.close()
      await sleep(1500)
      await session.close()
      await realtime.close()
    }
    main()
  `)
  assert.deepEqual([moving.code, moving.out, moving.err], [0, '', ''])
})
