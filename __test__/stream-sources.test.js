'use strict'

// Who writes into streams: fast and slow writers, Readables and other AsyncIterables.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { PassThrough, Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('./support/session')
const { RAW, pcm16, saw, steady, pieces, write } = require('./support/stream')

test('backpressure holds: a minute at once is taken as it is played', async (t) => {
  const { session } = open(t)
  const stream = session.createStream(RAW)
  let taken = 0
  const writing = (async () => {
    for (let n = 0; n < 60; n++) {
      await write(stream, steady(1000))
      taken += 1
    }
    stream.end()
  })()
  await sleep(50)
  assert.equal(taken, 1, 'one second, and what is decoded ahead of it')
  assert.equal(stream.write(steady(1000)), false)
  for (let n = 1; n <= 60; n++) {
    await session.advance(1000)
    assert.ok(taken <= n + 2, `${taken} s taken after ${n} s`)
  }
  await finish(session)
  await writing
  assert.equal((await stream.finished).durationMs, 61_000)
})

test('on a realtime clock it starts with 40 ms, is silent while nothing comes, and paces who writes', async (t) => {
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  const stream = session.createStream(RAW)
  stream.write(steady(40))
  await once(session, 'started')
  await once(session, 'stalled')
  const begun = performance.now()
  for (let n = 0; n < 20; n++) await write(stream, steady(100))
  // What is not taken is at most a second, and the ring.
  assert.ok(performance.now() - begun >= 600, 'it was not paced')
  stream.end()
  const { durationMs } = await stream.finished
  assert.equal(durationMs, 2040)
  assert.equal(told.filter(({ type }) => type === 'stalled').length, 1)
})

test('a session in which every stream waits for its writer rests, and each call and each writer wakes it', async (t) => {
  const { session, of } = open(t, { output: { clock: 'realtime' } })
  const rests = async () => {
    let last
    while (session.stats().timeMs !== last) {
      last = session.stats().timeMs
      await sleep(200)
    }
    return last
  }
  const streams = ['a', 'b'].map((requestId) => session.createStream({ ...RAW, requestId, stopOther: false }))
  for (const stream of streams) stream.write(steady(60))
  await once(session, 'started')
  assert.ok((await rests()) < 1000)
  streams[0].write(steady(100))
  assert.ok((await rests()) >= 300, 'the time that was skipped is there again')
  await streams[0].flush()
  await rests()
  const paused = once(session, 'paused')
  await session.pauseAudio({ requestId: 'a' })
  await paused
  await session.resumeAudio({ requestId: 'a' })
  streams[0].end(steady(40))
  assert.equal((await streams[0].finished).durationMs, 200)
  await rests()
  await session.stopAudio()
  assert.equal((await streams[1].finished).durationMs, 60)
  const what = (requestId) => of(requestId).map((text) => text.replace(/@.*/, ''))
  assert.deepEqual(what('a'), ['started', 'stalled', 'stalled', 'paused', 'resumed', 'completed'])
  assert.deepEqual(what('b'), ['started', 'stalled', 'stopped'])
})

test('a Readable or an AsyncIterable is played as it gives, and the clock waits for it', async (t) => {
  const samples = saw(2500)
  const give = async function* () {
    for (const piece of pieces(pcm16(samples), 4801)) yield sleep(1, piece)
  }
  const web = () => Readable.toWeb(Readable.from(give()))
  const piped = () => Readable.from(give()).pipe(new PassThrough())
  for (const audio of [give(), Readable.from(give()), web(), piped()]) {
    const { session, heard } = open(t)
    const playing = session.playAudio({ audio, ...RAW })
    await session.advance(2500)
    assert.deepEqual(heard(), samples)
    assert.equal((await playing).outcome, 'completed')
  }
})

test('pipeline into a stream ends when it was heard, and hands its failures on', async (t) => {
  const { session } = open(t)
  const heard = pipeline(Readable.from([steady(100)]), session.createStream(RAW))
  await finish(session)
  await heard
  const failing = session.createStream({ format: 'mp3' })
  const piping = assert.rejects(pipeline(Readable.from([Buffer.from('no music')]), failing), { code: 'ERR_UNSUPPORTED_FORMAT' })
  await assert.rejects(failing.finished, { code: 'ERR_UNSUPPORTED_FORMAT' })
  await piping
})

test('an AsyncIterable that fails or gives no bytes fails with ERR_STREAM, after what came', async (t) => {
  const cases = [
    [async function* () { yield steady(100); throw new Error('cut') }, 'the stream failed: cut', 100],
    [async function* () { throw null }, 'the stream failed: null', 0],
    [async function* () { yield steady(20); yield 'text' }, 'the stream failed: it gave string where bytes were expected', 20],
    [() => new Readable({ read() { this.destroy(new Error('gone')) } }), 'the stream failed: gone', 0]
  ]
  for (const [audio, message, positionMs] of cases) {
    const { session, terminal } = open(t)
    const playing = session.playAudio({ audio: audio(), ...RAW })
    await finish(session)
    await assert.rejects(playing, { code: 'ERR_STREAM', message, positionMs })
    assert.equal(terminal('playback-1').length, 1)
  }
  const { session } = open(t)
  const playing = session.playAudio({ audio: Readable.from([]) })
  await finish(session)
  await assert.rejects(playing, { code: 'ERR_EMPTY_SOURCE' })
})

test('audio that can not be read fails with ERR_STREAM, whatever it throws', async (t) => {
  const locked = Readable.toWeb(Readable.from([steady(20)]))
  locked.getReader()
  const consumed = new Response(steady(20))
  await consumed.arrayBuffer()
  const iterable = (iterator) => ({ [Symbol.asyncIterator]: iterator })
  const throws = (thrown) => iterable(() => ({ next: () => { throw thrown } }))
  const cases = {
    'a locked body': [locked, /locked/],
    'a consumed body': [consumed.body, /locked/],
    'no iterator': [iterable(() => { throw new Error('not now') }), 'the stream failed: not now'],
    'null for an iterator': [iterable(() => null), /null/],
    'no next': [iterable(() => ({})), /next is not a function/],
    'no result, and a return that throws': [
      iterable(() => ({ next: () => undefined, return: () => { throw new Error('nor now') } })), /undefined/
    ],
    'an error without a text': [throws(Object.create(null)), 'the stream failed: an error without a message'],
    'an error with a symbol': [throws(Object.assign(new Error(), { message: Symbol('why') })), 'the stream failed: Symbol(why)']
  }
  for (const [what, [audio, message]] of Object.entries(cases)) {
    const { session, terminal } = open(t)
    const playing = assert.rejects(session.playAudio({ audio, ...RAW }), { code: 'ERR_STREAM', message }, what)
    for (let n = 0; n < 3; n++) await session.advance(20)
    await playing
    assert.deepEqual(terminal('playback-1').map(({ type }) => type), ['failed'], what)
    assert.deepEqual(session.playbacks(), [], what)
  }
})

test('a stop tells an AsyncIterable to stop, also while it gives nothing', async (t) => {
  let [returned, awaited] = [0, 0]
  const giving = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: steady(100) }),
      return: async () => ({ done: (returned += 1) })
    })
  }
  const silent = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => (awaited += 1)),
      return: async () => ({ done: (returned += 1) })
    })
  }
  const { session } = open(t, { output: { clock: 'realtime' } })
  const readable = new Readable({ read() {} })
  const playing = [giving, silent, readable].map((audio) => session.playAudio({ audio, ...RAW, stopOther: false }))
  await once(session, 'started')
  await session.stopAudio()
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'stopped')
  await sleep(1)
  assert.deepEqual([returned, awaited, readable.destroyed], [2, 1, true])

  const cut = open(t)
  const result = cut.session.playAudio({ audio: giving, ...RAW, durationMs: 1500 })
  await cut.session.advance(2000)
  assert.equal((await result).durationMs, 1500)
  await sleep(1)
  assert.equal(returned, 3)
})
