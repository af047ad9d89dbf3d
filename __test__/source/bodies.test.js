'use strict'

// `data:` URLs, and sources of bytes that are not streams: a Blob, and a Response of `fetch`.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { workspace } = require('../support/cli')
const { lines, replayed } = require('../support/recording')
const { serve } = require('../support/server')
const { abortable, finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const FILE = tone(440, 300)
const BASE64 = FILE.toString('base64')
const hex = (bytes) => Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
/** Percent-encodes everything but letters and digits. */
const percent = (bytes) => Array.from(bytes, (byte) => (/[a-z0-9]/i.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : hex([byte]))).join('')

async function played(t, request) {
  const { session, heard } = open(t)
  const playing = session.playAudio(request)
  await finish(session)
  return { heard: heard(), ...(await playing) }
}

async function failure(t, request) {
  const { session } = open(t)
  const playing = session.playAudio(request)
  await finish(session)
  return playing.then(() => assert.fail('it was played'), (error) => error)
}

test('a data: URL plays its content', async (t) => {
  const expected = await played(t, { audio: FILE })
  for (const audioUrl of [
    `data:audio/wav;base64,${BASE64}`,
    `DATA:;BASE64,${BASE64.replace(/=+$/, '')}`,
    `data:audio/wav;codecs=1 ; base64,${BASE64.replace(/(.{76})/g, '$1\r\n')}#t=0`,
    `data:audio/wav;base64,${percent(Buffer.from(BASE64))}`,
    `data:,${percent(FILE)}`,
    `data:audio/wav,${hex(FILE).toUpperCase()}`,
    new URL(`data:audio/wav;base64,${BASE64}`),
    new URL(`data:audio/wav,${hex(FILE)}`)
  ]) {
    const name = String(audioUrl).slice(0, 40)
    const { heard, durationMs } = await played(t, { audioUrl })
    assert.equal(durationMs, 300, name)
    assert.deepEqual(heard, expected.heard, name)
    const { durationMs: clipMs } = await SpeakerSession.clip({ audioUrl })
    assert.equal(clipMs, 300, name)
  }
  // It can be read again like any file.
  const { durationMs } = await played(t, { audioUrl: `data:;base64,${BASE64}`, loop: 3, startMs: 100 })
  assert.equal(durationMs, 600)
})

test('refuses an invalid data: URL without showing it', async (t) => {
  for (const audioUrl of ['data:', 'data:audio/wav;base64', 'data:;base64,secret!', 'data:;base64,secre', 'data:;base64,secr=t==']) {
    const error = await failure(t, { audioUrl })
    assert.equal(error.code, 'ERR_INVALID_ARGUMENT', audioUrl)
    assert.equal(error.message, "Expected a data: URL with a comma, and sound base64 if that is said for audioUrl but received 'data:…' of type string")
    await assert.rejects(SpeakerSession.clip({ audioUrl }), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const audioUrl of ['data:,', 'data:;base64,']) assert.equal((await failure(t, { audioUrl })).code, 'ERR_EMPTY_SOURCE')
  const { code, message } = await failure(t, { audioUrl: 'data:image/png,not%20a%20sound%' })
  assert.equal(code, 'ERR_UNSUPPORTED_FORMAT')
  assert.match(message, /received image\/png$/)
  assert.match((await failure(t, { audioUrl: 'data:image/png,x', contentType: 'a/b' })).message, /received a\/b$/)
})

test('refuses a data: URL of more than 256 MiB', async (t) => {
  const error = await failure(t, { audioUrl: `data:,${'x'.repeat(256 * 2 ** 20 + 1)}` })
  assert.equal(error.code, 'ERR_SOURCE_TOO_LARGE')
  assert.equal(error.message, 'Expected at most 268435456 bytes for audioUrl but received more')
})

test('a data: URL is recorded as its bytes', async (t) => {
  const record = path.join(workspace(t), 'requests.jsonl')
  const { session } = open(t, { record })
  session.playAudio({ audioUrl: `data:audio/wav;base64,${BASE64}` })
  await finish(session)
  await session.close()
  const [{ audioUrl, audio, contentType }] = lines(record).filter(({ type }) => type === 'play')
  assert.deepEqual({ audioUrl, audio, contentType }, { audioUrl: undefined, audio: BASE64, contentType: 'audio/wav' })
})

/** Makes each as often as needed, because a body can be read only once. */
const BODIES = {
  'a Blob': (bytes) => new Blob([bytes.subarray(0, 5), bytes.subarray(5)], { type: 'audio/wav' }),
  'a File': (bytes) => new File([bytes], 'tone.wav'),
  'a Response': (bytes) => new Response(bytes),
  'a Response of a stream': (bytes) => new Response(Readable.toWeb(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]))),
  'a web ReadableStream': (bytes) => new Blob([bytes]).stream(),
  'a web ReadableStream of single bytes': (bytes) => ReadableStream.from(Array.from(bytes.subarray(0, 2000), (byte) => Uint8Array.of(byte)).concat(bytes.subarray(2000))),
  'a Readable': (bytes) => Readable.from([bytes])
}

for (const [name, body] of Object.entries(BODIES)) {
  test(`${name} can be played and made into a clip`, async (t) => {
    for (const file of ['tone-s16.wav', 'tone.flac', 'tone-cbr.mp3', 'tone-opus.ogg']) {
      const bytes = readFileSync(path.join(__dirname, '../fixtures', file))
      const expected = await played(t, { audio: bytes })
      const { heard, durationMs } = await played(t, { audio: body(bytes) })
      assert.equal(durationMs, expected.durationMs, file)
      assert.deepEqual(heard, expected.heard, file)
      const clip = await SpeakerSession.clip({ audio: body(bytes) })
      assert.equal(clip.durationMs, expected.durationMs, file)
    }
    assert.equal((await failure(t, { audio: body(Buffer.alloc(0)) })).code, 'ERR_EMPTY_SOURCE')
    await assert.rejects(SpeakerSession.clip({ audio: body(Buffer.alloc(0)) }), { code: 'ERR_EMPTY_SOURCE' })
  })
}

test('a fetch Response is played and consumed', async (t) => {
  const server = await serve(t, (request, response) => {
    if (request.url !== '/tone.wav') return response.writeHead(404).end('gone')
    response.writeHead(200, { 'content-type': 'audio/wav; charset=binary' }).end(FILE)
  })
  const response = await fetch(`${server}/tone.wav`)
  assert.equal((await played(t, { audio: response })).durationMs, 300)
  assert.equal(response.bodyUsed, true)
  for (const call of [(audio) => failure(t, { audio }), (audio) => SpeakerSession.clip({ audio }).catch((error) => error)]) {
    const { code, message } = await call(response)
    assert.deepEqual([code, message], ['ERR_INVALID_ARGUMENT', 'Expected a Response whose body was not read yet for audio but received an object'])
    const missing = await call(await fetch(`${server}/none`))
    assert.deepEqual([missing.code, missing.message], ['ERR_HTTP_STATUS', 'Expected an HTTP status of 200–299 for audio but received 404 Not Found'])
  }
  assert.equal((await failure(t, { audio: new Response(null) })).code, 'ERR_EMPTY_SOURCE')
  assert.match((await failure(t, { audio: new Response('no', { headers: { 'content-type': 'text/plain;charset=x' } }) })).message, /received text\/plain$/)
})

test('a body cannot loop and is closed at the end', async (t) => {
  const { message } = await failure(t, { audio: new Blob([FILE]), loop: true })
  assert.match(message, /^Expected audio that can be read again beside it for loop/)
  let cancelled
  const broken = () => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) }))
  const endless = () => {
    let cancel
    cancelled = new Promise((resolve) => (cancel = resolve))
    return new Response(new ReadableStream({ pull: () => new Promise(() => {}), cancel }))
  }
  assert.equal((await failure(t, { audio: broken() })).code, 'ERR_STREAM')
  await assert.rejects(SpeakerSession.clip({ audio: broken() }), { code: 'ERR_STREAM', message: 'the stream failed: cut' })
  const { session } = open(t)
  const playing = session.playAudio({ audio: endless() })
  await session.stopAudio()
  assert.equal((await playing).outcome, 'stopped')
  await cancelled
  const { signal, abort } = abortable()
  const making = SpeakerSession.clip({ audio: endless(), signal })
  abort()
  await assert.rejects(making, { code: 'ERR_ABORTED' })
  await cancelled
  const locked = new Blob([FILE]).stream()
  locked.getReader()
  await assert.rejects(SpeakerSession.clip({ audio: locked }), { code: 'ERR_STREAM' })
})

test('a body is recorded as bytes or stream', async (t) => {
  const record = path.join(workspace(t), 'requests.jsonl')
  const { session, heard } = open(t, { record })
  session.playAudio({ audio: await SpeakerSession.clip({ audio: new Blob([FILE], { type: 'audio/wav' }) }), stopOther: false })
  session.playAudio({ audio: new Blob([FILE]), stopOther: false })
  await finish(session)
  const samples = heard()
  await session.close()
  assert.deepEqual((await replayed(record)).samples, samples)
})
