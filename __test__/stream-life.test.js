'use strict'

// Streams among others: how they wait, end and are given up, and what they leave behind.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const { readdirSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')

const { open, finish } = require('./support/session')
const { RAW, steady, write } = require('./support/stream')

const MS = 48

test('write after end, after a stop and after a failure is answered with an error and harms nobody', async (t) => {
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
  stopped.write(steady(50)) // its end is not told yet
  await session.advance(10)
  assert.equal((await stopped.finished).reason, 'stopped')
  assert.ok(stopped.destroyed && !stopped.errored)
  assert.equal((await write(stopped, steady(1))).code, 'ERR_STREAM_DESTROYED')

  const failed = session.createStream({ ...RAW, format: 'mp3', sampleRate: undefined, stopOther: false })
  failed.end('no music')
  await finish(session)
  await assert.rejects(failed.finished, { code: 'ERR_UNSUPPORTED_FORMAT' })
  assert.ok(await write(failed, steady(1)))
})

test('destroy stops it, whether anything was written, and a second end tells nothing', async (t) => {
  const { session, of, told } = open(t)
  const untouched = session.createStream({ ...RAW, requestId: 'untouched' })
  untouched.destroy()
  await once(untouched, 'close')
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

  // The name is used again: the old stream does not stop the new one.
  const again = session.createStream({ ...RAW, requestId: 'playing' })
  playing.destroy()
  again.end(steady(50))
  await session.advance(50)
  assert.equal((await again.finished).outcome, 'completed')
  assert.equal(told.filter(({ type }) => type === 'stopped').length, 2)
})

test('destroyed with an error it fails, after what was written', async (t) => {
  const { session, heard } = open(t)
  const stream = session.createStream(RAW)
  stream.write(steady(100))
  stream.destroy(new Error('the voice broke'))
  await finish(session)
  await assert.rejects(stream.finished, { code: 'ERR_STREAM', message: 'the stream failed: the voice broke', positionMs: 100 })
  assert.equal(heard()[99 * MS], 0.5)
})

test('a write that waits for room is answered when the playback is stopped, fails or the session is closed', async (t) => {
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
    assert.equal((await answer).code, 'ERR_STREAM')
    assert.equal((await stream.finished).outcome, 'stopped')
  }
  const opened = open(t, { maxDurationMs: 100 })
  const stream = opened.session.createStream(RAW)
  const answer = write(stream, steady(5000))
  await opened.session.advance(200)
  assert.equal((await answer).code, 'ERR_MAX_DURATION')
})

test('over a limit it fails at once; refused it throws; after close too', async (t) => {
  const { session } = open(t, { maxConcurrent: 1 })
  const first = session.createStream({ ...RAW, requestId: 'same' })
  const second = session.createStream({ ...RAW, stopOther: false })
  assert.equal((await write(second, steady(1))).code, 'ERR_TOO_MANY_PLAYBACKS')
  await assert.rejects(second.finished, { code: 'ERR_TOO_MANY_PLAYBACKS' })
  assert.ok(second.destroyed)
  await second.flush()
  assert.throws(() => session.createStream({ ...RAW, requestId: 'same' }), { code: 'ERR_DUPLICATE_REQUEST' })
  await session.close()
  assert.equal((await first.finished).reason, 'closed')
  assert.throws(() => session.createStream(RAW), { code: 'ERR_CLOSED' })
})

test('ten streams that end at once end at one sample, and stopOther ends them all', async (t) => {
  const { session, heard, told } = open(t, { output: { channels: 1 } })
  const streams = Array.from({ length: 10 }, () => session.createStream({ ...RAW, stopOther: false, volume: 0.1 }))
  for (const stream of streams) stream.end(steady(200, 0.5))
  await session.advance(300)
  for (const { outcome } of await Promise.all(streams.map(({ finished }) => finished))) assert.equal(outcome, 'completed')
  assert.deepEqual(told.filter(({ type }) => type === 'completed').map(({ atMs }) => atMs), Array(10).fill(200))
  assert.ok(Math.abs(heard()[100 * MS] - 0.5) < 1e-6)

  const others = Array.from({ length: 3 }, () => session.createStream({ ...RAW, stopOther: false }))
  others[0].write(steady(100))
  session.createStream(RAW).end(steady(20))
  await finish(session)
  for (const { reason } of await Promise.all(others.map(({ finished }) => finished))) assert.equal(reason, 'replaced')
})

test('in a queue it takes bytes while it waits, no more than else, and follows without a gap', async (t) => {
  const { session, heard } = open(t, { overlap: 'queue' })
  const [first, second] = [1, 2].map((n) => session.createStream({ ...RAW, requestId: `${n}`, stopOther: false }))
  const written = []
  for (let n = 0; n < 5; n++) second.write(steady(500, 0.25), () => written.push(n))
  second.end()
  first.end(steady(250))
  await session.advance(100)
  assert.deepEqual(written, [0, 1], 'a second, and what is decoded ahead')
  assert.equal(session.playbacks()[1].state, 'queued')
  await finish(session)
  assert.deepEqual(written, [0, 1, 2, 3, 4])
  assert.deepEqual([heard()[250 * MS - 1], heard()[250 * MS], heard()[2750 * MS - 1]], [0.5, 0.25, 0.25])
})

test('it has no places to seek, and goes on', async (t) => {
  const { session } = open(t)
  const stream = session.createStream({ ...RAW, requestId: 's' })
  stream.end(steady(100))
  await session.advance(50)
  await assert.rejects(session.seekAudio({ requestId: 's', positionMs: 0 }), { code: 'ERR_NOT_SEEKABLE' })
  await session.advance(50)
  assert.equal((await stream.finished).durationMs, 100)
})

test('paused it keeps what is written, and a flush meanwhile is heard as nothing', async (t) => {
  const { session, heard } = open(t)
  const stream = session.createStream({ ...RAW, requestId: 's' })
  stream.write(steady(500))
  await session.advance(100)
  await session.pauseAudio({ requestId: 's' })
  await session.advance(100)
  await stream.flush()
  stream.end(steady(50, 0.25))
  await session.advance(100)
  await session.resumeAudio({ requestId: 's' })
  await session.advance(100)
  assert.deepEqual(await stream.finished, { requestId: 's', outcome: 'completed', durationMs: 155, positionMs: 155 })
  assert.ok(heard().subarray(105 * MS, 300 * MS).every((sample) => sample === 0))
  assert.deepEqual([heard()[310 * MS], heard()[350 * MS - 1]], [0.25, 0.25])
})

test('nothing keeps the process alive once all have ended, and an open one does', async () => {
  const script = (rest) => `
    const { SpeakerSession } = require(${JSON.stringify(path.join(__dirname, '..'))})
    const session = new SpeakerSession({ output: { type: 'memory' } })
    const [a, b, c] = [1, 2, 3].map(() => session.createStream({ format: 'pcm16', sampleRate: 48000, stopOther: false }))
    for (const stream of [a, b, c]) stream.finished.then(({ outcome }) => console.log(outcome))
    a.end(Buffer.alloc(9600))
    b.write(Buffer.alloc(1e6))
    b.destroy()
    ${rest}`
  const run = (rest, options) => promisify(execFile)(process.execPath, ['-e', script(rest)], options)
  const { stdout } = await run('session.stopAudio({ requestId: c.requestId })')
  assert.deepEqual(stdout.split('\n').sort(), ['', 'completed', 'stopped', 'stopped'])
  await assert.rejects(run('', { timeout: 1500 }), ({ killed, stdout }) => killed && /completed/.test(stdout))
})

test('a thousand small streams leave no files, feeders or bytes', async (t) => {
  const { session } = open(t, { overlap: 'queue', maxQueued: 1000 })
  const round = async () => {
    const streams = Array.from({ length: 500 }, (_, n) => {
      const stream = session.createStream({ ...RAW, stopOther: false, trackId: n % 8 })
      stream.end(steady(20))
      return stream
    })
    await finish(session)
    for (const { outcome } of await Promise.all(streams.map(({ finished }) => finished))) assert.equal(outcome, 'completed')
  }
  await round()
  const files = () => readdirSync('/proc/self/fd').length
  const before = { files: files(), rss: process.memoryUsage().rss }
  await round()
  await round()
  assert.ok(files() <= before.files, `${files()} files, ${before.files} before`)
  const grown = (process.memoryUsage().rss - before.rss) / 2 ** 20
  assert.ok(grown < 100, `${grown} MiB more`)
})
