'use strict'

// Headers of a download, in every form that `fetch` takes and as a Map.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { runInNewContext } = require('node:vm')

const { SpeakerSession } = require('../..')
const { lines, recording } = require('../support/recording')
const { serve } = require('../support/server')
const { finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const FORMS = {
  object: { 'X-Tenant': 'seven', 'x-number': 7 },
  'object with what is undefined': { 'x-tenant': 'seven', 'x-number': '7', 'x-left-out': undefined },
  Headers: new Headers({ 'X-Tenant': 'seven', 'x-number': '7' }),
  Map: new Map([['x-tenant', 'seven'], ['x-number', 7]]),
  pairs: [['x-tenant', 'seven'], ['x-number', '7'], ['x-left-out', undefined]],
  generator: (function* () {
    yield ['x-tenant', 'seven']
    yield ['x-number', '7']
  })(),
  'Map of another realm': runInNewContext(`new Map([['x-tenant', 'seven'], ['x-number', '7']])`)
}

test('headers in every form are sent', async (t) => {
  const seen = []
  const url = await serve(t, ({ headers }, response) => {
    seen.push([headers['x-tenant'], headers['x-number'], 'x-left-out' in headers])
    response.end(tone(440, 100))
  })
  const { session } = open(t)
  for (const [name, headers] of Object.entries(FORMS)) {
    const playing = session.playAudio({ audioUrl: `${url}/${encodeURIComponent(name)}`, headers })
    await finish(session)
    assert.equal((await playing).durationMs, 100)
    assert.deepEqual(seen.splice(0), [['seven', '7', false]], name)
  }
  await SpeakerSession.clip({ audioUrl: `${url}/clip`, headers: FORMS.Map })
  await SpeakerSession.probe({ audioUrl: `${url}/probe`, headers: FORMS.pairs })
  assert.deepEqual(seen, [['seven', '7', false], ['seven', '7', false]])
})

test('repeated headers are combined into one value', async (t) => {
  let seen
  const url = await serve(t, ({ headers }, response) => {
    seen = headers['x-list']
    response.end(tone(440, 100))
  })
  const { session } = open(t)
  const playing = session.playAudio({ audioUrl: url, headers: [['x-list', 'a'], ['X-List', 'b']] })
  await finish(session)
  await playing
  assert.equal(seen, 'a, b')
})

test('refuses an invalid header without showing its value', async (t) => {
  const { session } = open(t)
  for (const [headers, message] of [
    ['x: secret', /^Expected an object of strings, a Headers, a Map or pairs for headers but received a string$/],
    [['x-secret'], /^Expected an object of strings, a Headers, a Map or pairs for headers but received an array$/],
    [[['x', 'secret', 'more']], /for headers but received an array$/],
    [new Set(['secret']), /for headers but received a Set$/],
    [Buffer.from('secret'), /for headers but received a Uint8Array$/],
    [new Map([['bad name', 'secret']]), /^Expected names that HTTP allows for headers but received a string$/],
    [[['x-a', 'secret\n']], /^Expected characters that HTTP allows for headers\['x-a'\] but received a string$/],
    [{ 'x-a': null }, /^Expected a string for headers\['x-a'\] but received null$/]
  ]) {
    await assert.rejects(session.playAudio({ audioUrl: 'http://127.0.0.1:1/', headers }), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test('headers in every form are recorded', async (t) => {
  const url = await serve(t, (_, response) => response.end(tone(440, 100)))
  for (const [name, headers] of Object.entries({ Map: FORMS.Map, Headers: FORMS.Headers, pairs: FORMS.pairs })) {
    const { session, file } = recording(t)
    session.playAudio({ audioUrl: url, headers })
    await finish(session)
    await session.close()
    assert.deepEqual(lines(file).find(({ type }) => type === 'play').headers, { 'x-tenant': '<masked>', 'x-number': '<masked>' }, name)
  }
})
