'use strict'

// Redirects: what is sent on to the next server, and what is not.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { serve } = require('../support/server')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clip = tone(440, 100)
const HEADERS = { 'X-Api-Key': 'planted', Authorization: 'Bearer planted', Cookie: 'id=planted' }

/** A server that records its requests and redirects as `leads` says: a path to a URL. */
async function note(t, leads, status = 302) {
  const seen = []
  const url = await serve(t, ({ url, headers }, response) => {
    seen.push({ url, headers })
    const location = leads(url)
    if (location === undefined) return response.end(clip)
    response.writeHead(status, { location }).end('over there')
  })
  return { url, seen }
}

/** Plays a URL with headers and returns the outcome or the error. */
async function play(t, audioUrl) {
  const { session } = open(t)
  const playing = session.playAudio({ audioUrl, headers: HEADERS }).then(({ outcome }) => outcome, (error) => error)
  await finish(session)
  return playing
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`${status} redirects without a Referer`, async (t) => {
    const other = await note(t, () => undefined)
    const first = await note(t, () => `${other.url}/clip.wav`, status)
    assert.equal(await play(t, `${first.url}/a?signature=planted`), 'completed')
    assert.equal(other.seen.length, 1)
    assert.ok(!JSON.stringify(other.seen).includes('planted'), JSON.stringify(other.seen))
    assert.equal(other.seen[0].headers.referer, undefined)
  })
}

test('headers go only to the server they are for', async (t) => {
  const other = await note(t, () => `${first.url}/back`)
  const first = await note(t, (url) => ({ '/a?signature=planted': '/b', '/b': `${other.url}/c` })[url])
  assert.equal(await play(t, `${first.url}/a?signature=planted`), 'completed')
  assert.deepEqual(first.seen.map(({ url }) => url), ['/a?signature=planted', '/b', '/back'])
  for (const { headers } of first.seen) {
    assert.equal(headers['x-api-key'], 'planted')
    assert.equal(headers.authorization, 'Bearer planted')
    assert.equal(headers.cookie, 'id=planted')
    assert.equal(headers.referer, undefined)
  }
  assert.ok(!JSON.stringify(other.seen).includes('planted'), 'another port is another server')
})

test('follows ten redirects and no more', async (t) => {
  const count = (most) => (url) => (Number(url.slice(1)) < most ? `/${Number(url.slice(1)) + 1}` : undefined)
  const [ten, eleven] = [await note(t, count(10)), await note(t, count(11))]
  assert.equal(await play(t, `${ten.url}/0`), 'completed')
  const { code, message } = await play(t, `${eleven.url}/0`)
  const { host } = new URL(eleven.url)
  assert.equal(code, 'ERR_TOO_MANY_REDIRECTS')
  assert.equal(message, `Expected at most 10 redirects for audioUrl but received more from ${host}`)
})

test('a redirect to anything but http(s) fails', async (t) => {
  for (const location of ['file:///etc/passwd', 'data:audio/wav,planted', 'http://', 'ftp://planted@host/']) {
    const { url } = await note(t, () => location)
    const { code, message } = await play(t, url)
    assert.equal(code, 'ERR_FETCH_FAILED', location)
    assert.match(message, /redirects to what is no http\(s\) URL/)
    assert.ok(!message.includes('planted'), message)
  }
})

test('a redirect without a Location is an ordinary status', async (t) => {
  const url = await serve(t, (request, response) => response.writeHead(302).end())
  const { code, message } = await play(t, url)
  assert.equal(code, 'ERR_HTTP_STATUS')
  assert.match(message, /received 302 Found from 127\.0\.0\.1:\d+$/)
})
