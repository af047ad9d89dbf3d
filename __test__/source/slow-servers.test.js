'use strict'

// Servers that answer without giving anything to hear: how slow they may be, and how long they may keep listeners waiting.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { drip, serve } = require('../support/server')
const { open, finish } = require('../support/session')
const { RAW, steady } = require('../support/stream')
const { tone } = require('../support/wav')

const clip = tone(440, 1000)
const mp3 = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))
const CLOCKS = ['realtime', 'manual']

/** An ID3v2 tag of 256 MB, which precedes any sound. */
const tag = Buffer.concat([Buffer.from('ID3\x04\0\0\x7f\x7f\x7f\x7f', 'latin1'), Buffer.alloc(100_000)])

test('gives up a dripping server and plays what came', async (t) => {
  let gaveUp
  const url = await serve(t, (request, response) => {
    gaveUp = once(response, 'close')
    response.write(clip.subarray(0, 44 + 48_000))
    drip(response, clip.subarray(44 + 48_000), { bytes: 1, everyMs: 100 })
  })
  for (const clock of CLOCKS) {
    const { session, terminal } = open(t, { output: { clock }, fetchTimeoutMs: 1000 })
    const playing = session.playAudio({ requestId: 'drip', audioUrl: url })
    const rejected = assert.rejects(playing, (error) => {
      assert.equal(error.code, 'ERR_FETCH_TIMEOUT')
      assert.match(error.message, /^Expected at least 100 bytes in 1000 ms for audioUrl \(minFetchBytesPerSecond\) but received \d+$/)
      assert.ok(error.positionMs > 400, `${error.positionMs} ms were heard`)
      return true
    })
    if (clock === 'manual') await finish(session)
    await rejected
    await gaveUp
    assert.deepEqual(terminal('drip').map(({ type }) => type), ['failed'])
  }
})

test('minFetchBytesPerSecond sets the slowest speed, 0 turns it off', async (t) => {
  const body = tone(440, 20)
  const url = await serve(t, (request, response) => drip(response, body, { bytes: 80, everyMs: 60 }))
  for (const [minFetchBytesPerSecond, expected] of [[0, 'completed'], [100, 'completed'], [20_000, 'ERR_FETCH_TIMEOUT']]) {
    const { session } = open(t, { fetchTimeoutMs: 1000, minFetchBytesPerSecond })
    const playing = session.playAudio({ audioUrl: url }).then(({ outcome }) => outcome, ({ code }) => code)
    await finish(session)
    assert.equal(await playing, expected, `${minFetchBytesPerSecond} bytes a second`)
  }
})

test('radio of 16 kbit/s is fast enough', async (t) => {
  const url = await serve(t, (request, response) => drip(response, mp3, { bytes: 200, everyMs: 100 }))
  const { session } = open(t, { fetchTimeoutMs: 1000 })
  const playing = session.playAudio({ audioUrl: url })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})

test('preparing an answer does not count as slow', async (t) => {
  const url = await serve(t, async (request, response) => {
    response.flushHeaders()
    await sleep(1200)
    response.write(clip.subarray(0, clip.length / 2))
    // Counted from the headers, half of it would be too little by now.
    await sleep(1000)
    response.end(clip.subarray(clip.length / 2))
  })
  const { session } = open(t, { fetchTimeoutMs: 2000, minFetchBytesPerSecond: 90_000 })
  const playing = session.playAudio({ audioUrl: url })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})

test('a finished download is never too slow', async (t) => {
  const url = await serve(t, (request, response) => response.end(clip))
  const { session } = open(t, { output: { clock: 'realtime' }, fetchTimeoutMs: 500, minFetchBytesPerSecond: 1000, startTimeoutMs: 1000 })
  const playing = session.playAudio({ audioUrl: url })
  await once(session, 'started')
  await session.pauseAudio()
  await sleep(1500)
  await session.resumeAudio()
  assert.equal((await playing).outcome, 'completed')
})

for (const clock of CLOCKS) {
  test(`startTimeoutMs ends a source without sound (${clock})`, async (t) => {
    const closed = []
    const url = await serve(t, (request, response) => {
      closed.push(once(response, 'close'))
      drip(response, tag, { bytes: 500, everyMs: 50 })
    })
    const { session, terminal } = open(t, { output: { clock }, startTimeoutMs: 400 })
    const message = 'Expected a first sound within 400 ms (startTimeoutMs) but received none'
    const playing = session.playAudio({ requestId: 'tag', audioUrl: url })
    const rejected = assert.rejects(playing, { code: 'ERR_START_TIMEOUT', message, positionMs: 0, durationMs: 0 })
    if (clock === 'manual') await session.advance(100)
    await rejected
    await Promise.all(closed)
    assert.deepEqual(terminal('tag').map(({ type }) => type), ['failed'])
    assert.equal(closed.length, 1)
  })

  test(`startTimeoutMs also counts in a queue (${clock})`, async (t) => {
    const url = await serve(t, (request, response) => drip(response, tag, { bytes: 500, everyMs: 50 }))
    const { session, of } = open(t, { output: { clock }, overlap: 'queue', startTimeoutMs: 400 })
    const first = session.playAudio({ requestId: 'first', audio: tone(440, 1500), stopOther: false })
    const second = session.playAudio({ requestId: 'second', audioUrl: url, stopOther: false })
    const third = session.playAudio({ requestId: 'third', audio: tone(440, 100), stopOther: false })
    const rejected = assert.rejects(second, { code: 'ERR_START_TIMEOUT' })
    if (clock === 'manual') await session.advance(1600)
    await rejected
    assert.equal((await first).durationMs, 1500)
    assert.equal((await third).durationMs, 100)
    if (clock === 'manual') assert.deepEqual(of('third').slice(-2), ['started@1500', 'completed@1600'])
  })

  test(`startTimeoutMs: 0 waits, and streams are exempt (${clock})`, async (t) => {
    const url = await serve(t, async (request, response) => {
      await sleep(300)
      response.end(clip)
    })
    const late = open(t, { output: { clock }, startTimeoutMs: 0 })
    const playing = late.session.playAudio({ audioUrl: url })
    if (clock === 'manual') await finish(late.session)
    assert.equal((await playing).outcome, 'completed')

    const { session } = open(t, { output: { clock }, startTimeoutMs: 50 })
    const stream = session.createStream(RAW)
    await sleep(200)
    stream.end(steady(100))
    if (clock === 'manual') await finish(session)
    assert.equal((await stream.finished).outcome, 'completed')
  })
}

test('startTimeoutMs plays what had come', async (t) => {
  // Less than a playback needs to begin.
  const url = await serve(t, (request, response) => {
    response.write(clip.subarray(0, 44 + 2 * 48 * 30))
    drip(response, clip.subarray(44 + 2 * 48 * 30), { bytes: 10, everyMs: 50 })
  })
  const { session } = open(t, { startTimeoutMs: 500 })
  const playing = session.playAudio({ audioUrl: url })
  const rejected = assert.rejects(playing, ({ code, positionMs }) => code === 'ERR_START_TIMEOUT' && positionMs > 20)
  await finish(session)
  await rejected
})
