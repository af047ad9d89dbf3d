'use strict'

// What a download keeps, and how far it may run ahead of playback.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { serve } = require('../support/server')
const { finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const MIB = 2 ** 20

test('a paused listener does not make servers late', async (t) => {
  const body = tone(440, 150_000)
  const url = await serve(t, (request, response) => {
    response.setHeader('content-length', body.length)
    response.end(body)
  })
  const { session } = open(t, { fetchTimeoutMs: 300, minFetchBytesPerSecond: 1e6 })
  const playing = session.playAudio({ audioUrl: url })
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(100)
  await sleep(1500)
  await session.resumeAudio()
  await finish(session)
  assert.equal((await playing).durationMs, 150_000)
})

test('refuses a body announced as too large', async (t) => {
  let closed
  const url = await serve(t, (request, response) => {
    closed = once(response, 'close')
    response.setHeader('content-length', 256 * MIB + 1)
    response.write(tone(440, 1000))
  })
  const { session, of } = open(t)
  const playing = session.playAudio({ requestId: 'large', audioUrl: url })
  await assert.rejects(Promise.all([playing, finish(session)]), {
    code: 'ERR_SOURCE_TOO_LARGE', message: `Expected at most ${256 * MIB} bytes for audioUrl but received ${256 * MIB + 1}`
  })
  await closed
  assert.deepEqual(of('large'), ['failed@0'])
})

test('refuses an unbounded body without sound at the limit', async (t) => {
  let closed
  const chunks = Buffer.alloc(2 * MIB, 'JUNK\0\0\0\0', 'latin1')
  const url = await serve(t, async (request, response) => {
    closed = once(response, 'close')
    response.write('RIFF\xff\xff\xff\xffWAVE', 'latin1')
    while (!response.destroyed) if (!response.write(chunks)) await Promise.race([once(response, 'drain'), closed])
  })
  const { session, of } = open(t, { startTimeoutMs: 0 })
  await assert.rejects(Promise.all([session.playAudio({ requestId: 'silent', audioUrl: url }), finish(session)]), {
    code: 'ERR_SOURCE_TOO_LARGE', message: `Expected sound within the first ${256 * MIB} bytes of audioUrl but received none`
  })
  await closed
  assert.deepEqual(of('silent'), ['failed@0'])
})

test('configure accepts process options only', () => {
  for (const [options, message] of [
    [undefined, /^Expected an object for configure but received undefined$/],
    [{ gain: 1 }, /^Expected only maxSpoolBytes, maxClipBytes, network, maxLoad, refuseOverload for the options of configure but received 'gain'/],
    [{ maxSpoolBytes: MIB - 1 }, /^Expected an integer from 1048576 to 1099511627776 for maxSpoolBytes but received 1048575/],
    [{ maxSpoolBytes: 2 ** 40 + 1 }, /for maxSpoolBytes but received 1099511627777/],
    [{ maxSpoolBytes: 2.5e6 + 0.5 }, /^Expected an integer/],
    [{ maxSpoolBytes: '1e9' }, /^Expected an integer/],
    [{ maxSpoolBytes: null }, /^Expected an integer/],
    [{ maxClipBytes: -1 }, /^Expected an integer from 0 to 1099511627776 for maxClipBytes but received -1/],
    [{ maxClipBytes: 1, maxSpoolBytes: 1 }, /for maxSpoolBytes but received 1/]
  ]) {
    assert.throws(() => SpeakerSession.configure(options), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  for (const maxSpoolBytes of [MIB, undefined, 2 ** 40, 2 ** 30]) {
    assert.equal(SpeakerSession.configure({ maxSpoolBytes }), undefined)
  }
})

test('downloads in a full spool complete or fail cleanly', async (t) => {
  SpeakerSession.configure({ maxSpoolBytes: MIB })
  t.after(() => SpeakerSession.configure({ maxSpoolBytes: 2 ** 30 }))
  const body = tone(440, 1000, { sampleRate: 192_000 })
  const url = await serve(t, (request, response) => response.end(body))
  const { session, terminal } = open(t, { fetchTimeoutMs: 300, maxConcurrent: 20, output: { clock: 'realtime' } })
  const play = (n) => session.playAudio({ requestId: `${n}`, audioUrl: url, stopOther: false })
  const ends = await Promise.all(Array.from({ length: 20 }, (_, n) => play(n).then(({ outcome }) => outcome, ({ code }) => code)))
  assert.ok(ends.includes('ERR_SPOOL_FULL') && ends.every((end) => ['ERR_SPOOL_FULL', 'completed'].includes(end)), ends.join())
  for (let n = 0; n < 20; n++) assert.equal(terminal(`${n}`).length, 1)
  // All space was released.
  for (let n = 20; n < 23; n++) assert.equal((await play(n)).durationMs, 1000)
})
