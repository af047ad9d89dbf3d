'use strict'

// The flaky server and the session of `speaker-session/testing`.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')

const { flakyServer, testSession, tone } = require('speaker-session/testing')
const { run } = require('../support/process')

const CLIP = tone(440, 200)

/** Plays a server's answer and returns the outcome or the error's code, and how long it sounded. */
async function play(t, answers, options) {
  const server = await flakyServer({ '/a.wav': answers }, t)
  const { session } = testSession(options, t)
  const playing = session.playAudio({ audioUrl: `${server.url}/a.wav` }).catch((error) => ({ outcome: error.code, ...error }))
  await session.advance(10_000)
  const { outcome, durationMs } = await playing
  return { outcome, durationMs, server }
}

describe('a flaky server', () => {
  const whole = { outcome: 'completed', durationMs: 200 }
  const answers = {
    'that sends a body': [CLIP, whole],
    'that is slow to answer': [{ body: CLIP, delayMs: 50 }, whole],
    'that drips': [{ body: CLIP, drip: { bytes: 4000, everyMs: 5 } }, whole],
    'that states no length': [{ body: CLIP, headers: { 'transfer-encoding': 'chunked', 'content-length': [] } }, whole],
    'that cuts the connection': [{ body: CLIP, cutAfter: 44 + 100 * 96 }, { outcome: 'ERR_TRUNCATED', durationMs: 100 }],
    'that cuts after the headers': [{ body: CLIP, cutAfter: 0 }, { outcome: 'ERR_TRUNCATED', durationMs: 0 }],
    'that hangs in the middle': [{ body: CLIP, hangAfter: 44 + 100 * 96 }, { outcome: 'ERR_FETCH_TIMEOUT', durationMs: 100 }],
    'that never answers': [{ hangAfter: 0 }, { outcome: 'ERR_FETCH_TIMEOUT', durationMs: 0 }],
    'that is overloaded': [{ status: 503, body: 'later' }, { outcome: 'ERR_HTTP_STATUS', durationMs: 0 }],
    'that redirects to itself': [{ redirect: '/a.wav' }, { outcome: 'ERR_TOO_MANY_REDIRECTS', durationMs: 0 }],
    'that redirects first': [[{ redirect: '/a.wav' }, { status: 307, redirect: '/a.wav' }, CLIP], whole],
    'that redirects to nothing': [{ redirect: '/b.wav' }, { outcome: 'ERR_HTTP_STATUS', durationMs: 0 }]
  }
  for (const [which, [answer, expected]] of Object.entries(answers)) {
    test(which, async (t) => {
      const { outcome, durationMs } = await play(t, answer, { fetchTimeoutMs: 300 })
      assert.deepEqual({ outcome, durationMs }, expected)
    })
  }

  test('answers one after another and remembers requests', async (t) => {
    const server = await flakyServer({ '/a': [{ status: 503 }, 'second'] }, t)
    const statuses = []
    for (let n = 0; n < 3; n++) statuses.push((await fetch(`${server.url}/a?n=${n}`, { headers: { 'x-n': `${n}` } })).status)
    assert.deepEqual(statuses, [503, 200, 200])
    assert.deepEqual(server.requests.map(({ method, path, headers }) => [method, path, headers['x-n']]), [0, 1, 2].map((n) => ['GET', '/a', `${n}`]))
    assert.equal((await fetch(`${server.url}/other`)).status, 404)
  })

  test('may be a function, and ends with the test', async () => {
    const ends = []
    const server = await flakyServer((request, response) => response.end(request.url), { onTestFinished: (end) => ends.push(end) })
    assert.equal(await (await fetch(`${server.url}/x`)).text(), '/x')
    await Promise.all([...ends.map((end) => end()), server.close()])
    await assert.rejects(fetch(server.url))
  })

  test('refuses unknown options', async (t) => {
    for (const [answers, message] of [
      [{ '/a': { slow: true } }, /only body, status, .* for the options of an answer but received 'slow'/],
      [{ '/a': 7 }, /an object for an answer but received 7/],
      [{ '/a': [CLIP, { drip: { bytes: 0, everyMs: 1 } }] }, /for drip.bytes but received 0/],
      [null, /an object for answers but received null/]
    ]) await assert.rejects(flakyServer(answers, t), { code: 'ERR_INVALID_ARGUMENT', message })
  })

  test('lets the process exit', async (t) => {
    const { code, out, err } = await run(t, `
      const { flakyServer, testSession } = require(${JSON.stringify(require.resolve('speaker-session/testing'))})
      flakyServer({ '/': { hangAfter: 0 } }).then(async ({ url }) => {
        require('node:http').get(url).on('error', () => {}).on('socket', (socket) => socket.unref())
        testSession()
        console.log('up')
      })`, { load: false })
    assert.deepEqual([code, out, err], [0, 'up\n', ''])
  })
})

test('a test session records its events and is closed', async () => {
  const ends = []
  const { session, events, of } = testSession({ overlap: 'queue' }, { after: (end) => ends.push(end) })
  for (const requestId of ['a', 'b']) session.playAudio({ requestId, audio: CLIP, stopOther: false })
  await session.advance(300)
  assert.deepEqual(of('b').map(({ type, atMs }) => [type, atMs]), [['queued', 0], ['started', 200]])
  assert.deepEqual(events.map(({ seq }) => seq), events.map((_, n) => n + 1))
  await ends[0]()
  assert.equal(events.at(-1).type, 'disconnected')
})
