'use strict'

// Values that are traps, huge or secret are refused like any other, and nothing of them is called or shown.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const audio = tone(440, 20)
const memory = { type: 'memory', clock: 'manual' }

const trap = () => assert.fail('user code was called')

/** Each throws when it is touched. */
const TRAPS = {
  'a proxy': new Proxy({}, new Proxy({}, { get: () => trap })),
  'a revoked proxy': revoked(),
  'a function of many names': Object.defineProperty(() => {}, 'name', { get: trap }),
  'an object with methods': { toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap, [Symbol.for('nodejs.util.inspect.custom')]: trap },
  'an object with a tag': Object.defineProperty({}, Symbol.toStringTag, { get: trap }),
  'an error with a stack': Object.defineProperty(new Error('x'), 'stack', { get: trap }),
  'an object without a prototype': Object.create(null),
  'a symbol': Symbol('planted'),
  'a large number': 1n << 10_000_000n
}

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

for (const [what, value] of Object.entries(TRAPS)) {
  test(`${what} is refused in words`, async (t) => {
    const { session } = open(t)
    const refusal = { code: 'ERR_INVALID_ARGUMENT', message: /^Expected .* but received an? (object|function|symbol|bigint|array)$/ }
    for (const name of ['volume', 'requestId', 'overlap', 'role', 'loop', 'stopOther', 'contentType']) {
      await assert.rejects(session.playAudio({ audio, [name]: value }), refusal, name)
    }
    await assert.rejects(session.playAudio({ audio, headers: { 'x-y': value } }), refusal)
    for (const headers of [[value], [['x-y', value]], new Map([[value, 'x']])]) await assert.rejects(session.playAudio({ audio, headers }), refusal)
    await assert.rejects(session.playAudio({ audioUrl: value }), refusal)
    assert.throws(() => session.createStream({ format: 'mp3' }).write(value), refusal)
    assert.throws(() => new SpeakerSession({ output: { type: 'wav', path: value } }), refusal)
    await assert.rejects(session.advance(value), refusal)
    const room = { type: 'livekit', url: 'ws://localhost', token: 'x' }
    for (const name of ['url', 'bitrate', 'publish']) {
      assert.throws(() => new SpeakerSession({ output: { ...room, [name]: value } }), refusal, name)
    }
    if (typeof value !== 'function') assert.throws(() => new SpeakerSession({ output: { ...room, token: value } }), refusal)
    assert.throws(() => new SpeakerSession({ output: { ...memory, clock: value } }), refusal)
  })
}

test('truncates a huge string in the message', async (t) => {
  const { session } = open(t)
  for (const huge of ['ä'.repeat(50_000_000), `${'a '.repeat(20_000_000)}`]) {
    await assert.rejects(session.playAudio({ audio: huge }), ({ message }) => message.length < 500)
  }
})

test('no message shows anything like a secret', async (t) => {
  const { session } = open(t)
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.planted'
  const room = (fields) => () => new SpeakerSession({ output: { type: 'livekit', url: 'ws://localhost', token: 'x', ...fields } })
  const play = (fields) => () => session.playAudio({ audio, ...fields })
  const from = (audioUrl) => () => session.playAudio({ audioUrl })
  const calls = [
    room({ token: { planted: 'planted' } }), room({ token: ['planted'] }), room({ token: 7e77 }),
    room({ url: 'https:somebody:planted@host' + ':x' }), room({ url: 'somebody:planted@host' }), room({ url: 'host/rtc?access_token=planted' }),
    room({ url: 'wss://somebody:plan ted@host:port' }), room({ url: jwt }),
    play({ headers: { authorization: 'Bearer planted\n' } }), play({ headers: { 'planted name': 'x' } }), play({ headers: 'cookie: planted' }),
    play({ headers: { authorization: { planted: 'planted' } } }), play({ headers: { [jwt]: '\0' } }),
    play({ volume: jwt }), play({ requestId: `${jwt}\ud800` }), play({ 'password=planted1': 1 }), play({ overlap: { token: 'planted' } }),
    from('s3://key:planted@bucket/x?sig=planted1'), from('s3://key:plan/ted@bucket/planted@x'), from('ftp:somebody:planted@host/x'),
    from('ftp://host/?planted#planted'), from('s3://bucket/planted-in-a-long-part-of-the-path/x'), from('http://somebody:planted@:80:80/')
  ]
  for (const call of calls) {
    await assert.rejects(async () => call(), (error) => {
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT', String(call))
      assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /planted|7e77|plan.ted|cGxhbnRlZ/, String(call))
      return true
    })
  }
})

test('trims blanks around a header value', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const http = require('node:http')
  const seen = []
  const server = http.createServer((request, response) => {
    seen.push(request.headers['x-tenant'])
    response.end(audio)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  await session.playAudio({ audioUrl: `http://127.0.0.1:${server.address().port}/`, headers: { 'X-Tenant': ' \ta b\t ' } })
  assert.deepEqual(seen, ['a b'])
  server.closeAllConnections()
})
