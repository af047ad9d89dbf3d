'use strict'

// Readables and other AsyncIterables as `audio`, and `pipeline` into a stream.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { PassThrough, Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open, finish } = require('../support/session')
const { RAW, pcm16, saw, steady, pieces } = require('../support/stream')

test('plays a Readable or AsyncIterable', async (t) => {
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

test('pipeline resolves when the stream was heard', async (t) => {
  const { session } = open(t)
  const heard = pipeline(Readable.from([steady(100)]), session.createStream(RAW))
  await finish(session)
  await heard
  const failing = session.createStream({ format: 'mp3' })
  const piping = assert.rejects(pipeline(Readable.from([Buffer.from('no music')]), failing), { code: 'ERR_UNSUPPORTED_FORMAT' })
  await assert.rejects(failing.finished, { code: 'ERR_UNSUPPORTED_FORMAT' })
  await piping
})

test('a failing AsyncIterable gives ERR_STREAM', async (t) => {
  const cases = [
    [async function* () { yield steady(100); throw new Error('cut') }, 'the stream failed: cut', 100],
    [async function* () { throw null }, 'the stream failed: null', 0],
    [async function* () { yield steady(20); yield 'text' }, 'the stream failed: it gave a string where bytes were expected', 20],
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

test("stop calls the iterator's return", async (t) => {
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

test('ending a playback closes its pending source at once', async (t) => {
  const closed = []
  const failing = (told) => new Readable({ read() {}, destroy: (_, callback) => callback(new Error('late'), told()) })
  const sources = {
    'a Readable': () => new Readable({ read() {}, destroy: (error, callback) => callback(error, closed.push('a Readable')) }),
    'a Readable that fails when it is destroyed': () =>
      failing(() => closed.push('a Readable that fails when it is destroyed')),
    'a web stream': () => new ReadableStream({ cancel: () => void closed.push('a web stream') }),
    'an iterator': () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => ({ done: closed.push('an iterator') })
      })
    }),
    'an iterator that fails when it is closed': () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          closed.push('an iterator that fails when it is closed')
          throw new Error('late')
        }
      })
    })
  }
  const ends = {
    interrupted: (session) => session.interrupt(),
    stopped: (session) => session.stopAudio(),
    replaced: (session) => void session.createStream(RAW),
    closed: (session) => session.close()
  }
  for (const [reason, end] of Object.entries(ends)) {
    const { session } = open(t)
    const request = { ...RAW, stopOther: false }
    const playing = Object.values(sources).map((source) => session.playAudio({ audio: source(), ...request }))
    await sleep(1)
    assert.deepEqual(closed.splice(0), [])
    await end(session)
    assert.deepEqual((await Promise.all(playing)).map((result) => result.reason), playing.map(() => reason))
    await new Promise(setImmediate)
    assert.deepEqual(closed.splice(0).sort(), Object.keys(sources).sort(), reason)
  }
})

test('an ended playback reads no more from its iterator', async (t) => {
  const told = []
  const counted = (count) => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => (told.push('next'), count-- > 0 ? { done: false, value: steady(1000) } : { done: true }),
      return: async () => ({ done: told.push('return') })
    })
  })
  const { session } = open(t)
  const whole = session.playAudio({ audio: counted(2), ...RAW })
  await finish(session)
  assert.equal((await whole).outcome, 'completed')
  await sleep(1)
  assert.deepEqual(told.splice(0), ['next', 'next', 'next'])
  const stopped = session.playAudio({ audio: counted(Infinity), ...RAW })
  await session.advance(100)
  await session.stopAudio()
  await session.advance(100)
  await stopped
  await sleep(1)
  assert.deepEqual([told.indexOf('return'), told.lastIndexOf('next')], [told.length - 1, told.length - 2], told.join())
})

test('an aborted source stops its playback', async (t) => {
  const { session } = open(t)
  const controller = new AbortController()
  const giving = async function* () {
    yield steady(500)
    await sleep(60_000, undefined, { signal: controller.signal })
  }
  const playing = session.playAudio({ audio: giving(), ...RAW })
  await session.advance(300)
  controller.abort()
  await finish(session)
  const { reason, durationMs } = await playing
  assert.equal(reason, 'aborted')
  assert.ok(durationMs >= 300 && durationMs <= 325, `${durationMs} ms were heard`)
})

test('unreadable audio fails with ERR_STREAM whatever it throws', async (t) => {
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
