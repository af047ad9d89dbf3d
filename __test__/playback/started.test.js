'use strict'

// The promise of playAudio carries the requestId and `started`, a promise of whether the playback starts.

const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { ramp } = require('../support/samples')
const { open, finish } = require('../support/session')

const clip = ramp(200 * 48)
const play = (session, options) => session.playAudio({ audio: clip.audio, stopOther: false, ...options })

test('requestId is available at once, also a generated one', async (t) => {
  const { session, told } = open(t)
  const given = play(session, { requestId: 'a' })
  const made = play(session)
  assert.equal(given.requestId, 'a')
  assert.deepEqual(session.playbacks().map(({ requestId }) => requestId), ['a', made.requestId])
  await finish(session)
  assert.equal((await made).requestId, made.requestId)
  assert.ok(told.some(({ type, requestId }) => type === 'completed' && requestId === made.requestId))
})

test('started resolves at the first sample, after the event', async (t) => {
  const { session } = open(t)
  const order = []
  session.on('started', () => order.push('event'))
  const playing = play(session)
  playing.started.then((started) => order.push(`started ${started}`))
  playing.then(({ outcome }) => order.push(outcome))
  await session.connect()
  assert.deepEqual(order, [])
  await session.advance(20)
  assert.equal(await playing.started, true)
  assert.deepEqual(order, ['event', 'started true'])
  await finish(session)
  await playing
  assert.deepEqual(order, ['event', 'started true', 'completed'])
})

test('started is false if it ends without a sample', async (t) => {
  const { session } = open(t, { overlap: 'queue', maxQueued: 1 })
  const [first, queued, over] = [play(session), play(session), play(session)]
  const junk = session.playAudio({ audio: Buffer.from('no audio'), overlap: 'mix', stopOther: false })
  const empty = play(session, { durationMs: 0, overlap: 'mix' })
  await session.advance(20)
  await session.stopAudio({ requestId: queued.requestId })
  const all = await Promise.all([first, queued, over, junk, empty].map(({ started }) => started))
  assert.deepEqual(all, [true, false, false, false, false])
  await assert.rejects(over, { code: 'ERR_QUEUE_FULL' })
  await assert.rejects(junk)
  assert.equal((await empty).outcome, 'completed')
  await session.close()
  assert.equal(await first.started, true)
})

test('a refused request has no requestId or start', async (t) => {
  const { session } = open(t)
  play(session, { requestId: 'a' })
  const refused = [play(session, { requestId: 'a' }), play(session, { volume: 2 }), session.playAudio()]
  for (const playing of refused) {
    assert.equal(playing.requestId, undefined)
    assert.equal(await playing.started, false)
    await assert.rejects(playing)
  }
})

test('Readables, joined calls and streams have both too', async (t) => {
  const { session } = open(t, { onDuplicate: 'join' })
  const piped = session.playAudio({ audio: Readable.from([Buffer.alloc(9600)]), format: 'pcm16', sampleRate: 48000, requestId: 'p' })
  const one = play(session, { requestId: 'a' })
  const other = play(session, { requestId: 'a' })
  assert.equal(other, one)
  const stream = session.createStream({ format: 'pcm16', sampleRate: 48000, stopOther: false })
  assert.equal(stream.finished.requestId, stream.requestId)
  stream.end(Buffer.alloc(9600))
  await finish(session)
  assert.deepEqual([piped.requestId, one.requestId], ['p', 'a'])
  assert.deepEqual(await Promise.all([piped.started, other.started, stream.finished.started]), [true, true, true])
})

test('started settles when the session is closed', async (t) => {
  const { session } = open(t)
  const playing = play(session)
  await session.close()
  assert.equal(await playing.started, false)
  assert.equal((await playing).outcome, 'stopped')
})
