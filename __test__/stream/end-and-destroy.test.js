'use strict'

// How a stream ends, and what its writer is told then.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { RAW, steady, write } = require('../support/stream')

const MS = 48

test('writes after the end get an error', async (t) => {
  const { session } = open(t)
  const ended = session.createStream(RAW)
  ended.end(steady(50))
  assert.equal((await write(ended, steady(1))).code, 'ERR_STREAM_WRITE_AFTER_END')
  await session.advance(50)
  assert.equal((await ended.finished).durationMs, 50, 'what came before is heard')

  const stopped = session.createStream({ ...RAW, stopOther: false })
  stopped.write(steady(50))
  await session.advance(10)
  await session.stopAudio({ requestId: stopped.requestId })
  stopped.write(steady(50)) // its end is not emitted yet
  await session.advance(10)
  assert.equal((await stopped.finished).reason, 'stopped')
  assert.deepEqual([stopped.destroyed, stopped.errored.code], [true, 'ERR_ENDED'])
  assert.equal(stopped.errored.message, "Expected a playback that goes on for stream 'playback-2' but it was stopped (stopped)")
  assert.equal((await write(stopped, steady(1))).code, 'ERR_STREAM_DESTROYED')

  const failed = session.createStream({ ...RAW, format: 'mp3', sampleRate: undefined, stopOther: false })
  failed.end(Buffer.from('no music'))
  await finish(session)
  await assert.rejects(failed.finished, { code: 'ERR_UNSUPPORTED_FORMAT' })
  assert.ok(await write(failed, steady(1)))
})

test('destroy stops the playback', async (t) => {
  const { session, of, told } = open(t)
  const untouched = session.createStream({ ...RAW, requestId: 'untouched' })
  untouched.destroy()
  const message = "Expected a playback that goes on for stream 'untouched' but it was destroyed"
  await assert.rejects(once(untouched, 'close'), { code: 'ERR_ENDED', message })
  assert.deepEqual(await untouched.finished, {
    requestId: 'untouched', outcome: 'stopped', reason: 'destroyed', durationMs: 0, positionMs: 0
  })
  const playing = session.createStream({ ...RAW, requestId: 'playing' })
  playing.end(steady(500))
  await session.advance(100)
  playing.destroy()
  await session.advance(100)
  assert.equal((await playing.finished).durationMs, 105)
  playing.destroy()
  assert.deepEqual(of('playing'), ['started@0', 'stopped@105'])

  // The requestId is used again: the old stream does not stop the new one.
  const again = session.createStream({ ...RAW, requestId: 'playing' })
  playing.destroy()
  again.end(steady(50))
  await session.advance(50)
  assert.equal((await again.finished).outcome, 'completed')
  assert.equal(told.filter(({ type }) => type === 'stopped').length, 2)
})

test('destroying a stopped stream spares its successor', async (t) => {
  const { session } = open(t)
  const old = session.createStream({ ...RAW, requestId: 'a' })
  old.write(steady(100))
  await session.advance(20)
  await session.stopAudio({ requestId: 'a', fadeOutMs: 50 })
  const next = session.createStream({ ...RAW, requestId: 'a', stopOther: false })
  next.end(steady(100))
  old.destroy()
  await session.advance(200)
  assert.deepEqual([(await old.finished).durationMs, (await next.finished).durationMs], [70, 100])
})

test('destroy with an error fails the playback', async (t) => {
  const { session, heard } = open(t)
  const stream = session.createStream(RAW)
  stream.write(steady(100))
  stream.destroy(new Error('the voice broke'))
  await finish(session)
  await assert.rejects(stream.finished, { code: 'ERR_STREAM', message: 'the stream failed: the voice broke', positionMs: 100 })
  assert.equal(heard()[99 * MS], 0.5)
})

test('a pending write settles at the end', async (t) => {
  const ends = [
    ({ session }, stream) => session.stopAudio({ requestId: stream.requestId }),
    ({ session }) => session.close(),
    ({ session }) => session.playAudio({ audio: Buffer.from('x') }), // takes its place
    (_, stream) => stream.destroy()
  ]
  for (const end of ends) {
    const opened = open(t)
    const stream = opened.session.createStream(RAW)
    const answer = write(stream, steady(5000))
    await sleep(5)
    end(opened, stream)
    assert.equal((await answer).code, 'ERR_ENDED')
    assert.equal((await stream.finished).outcome, 'stopped')
  }
  const opened = open(t, { maxDurationMs: 100 })
  const stream = opened.session.createStream(RAW)
  const answer = write(stream, steady(5000))
  await opened.session.advance(200)
  assert.equal((await answer).code, 'ERR_MAX_DURATION')
})
