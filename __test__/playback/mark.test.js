'use strict'

// Marks: emitted when everything requested before them was heard.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { open } = require('../support/session')
const { RAW, openStream, steady } = require('../support/stream')
const { clips, play } = require('../support/tones')
const { tone } = require('../support/wav')

/** Returns a session's ends and marks, in words. */
function story(session) {
  const words = []
  for (const type of ['completed', 'stopped', 'failed']) session.on(type, ({ requestId, atMs }) => words.push(`${requestId} ${type}@${atMs}`))
  session.on('mark', ({ name, atMs }) => words.push(`${name}@${atMs}`))
  return words
}

test('reaches a mark when everything requested before has ended', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  const words = story(session)
  play(session, 'a')
  play(session, 'b')
  play(session, 'c', { trackId: 1 })
  const reached = session.mark('sentence')
  const third = session.mark('of c', { requestId: 'c' })
  play(session, 'long')
  await session.advance(2000)
  assert.deepEqual(words, ['a completed@500', 'c completed@500', 'of c@500', 'b completed@1000', 'sentence@1000'])
  assert.deepEqual(await reached, { name: 'sentence', atMs: 1000 })
  assert.deepEqual(await third, { name: 'of c', atMs: 500 })
})

test('a mark is reached in silence and after stops', async (t) => {
  const { session } = open(t)
  const words = story(session)
  await session.advance(40)
  assert.deepEqual(await session.mark('empty'), { name: 'empty', atMs: 40 })
  play(session, 'a', { group: 'turn' })
  session.mark('twice', { group: 'turn' })
  session.mark('twice', { trackId: 0 })
  session.mark('nothing there', { group: 'other' })
  await session.advance(100)
  await session.interrupt()
  await session.advance(20)
  assert.deepEqual(words, ['empty@40', 'nothing there@40', 'a stopped@145', 'twice@145', 'twice@145'])
})

test('failures and close reach pending marks', async (t) => {
  const { session } = open(t)
  const words = story(session)
  session.playAudio({ requestId: 'gone', audioUrl: '/no/such/file.wav' })
  const behind = session.mark('behind')
  await session.advance(20)
  await behind
  play(session, 'a')
  const left = session.mark('left')
  await session.close()
  assert.deepEqual(await left, { name: 'left', atMs: 20 })
  assert.deepEqual(words, ['gone failed@0', 'behind@0', 'a stopped@20', 'left@20'])
  await assert.rejects(session.mark('late'), { code: 'ERR_CLOSED' })
})

test('a refused mark gives a reason', async (t) => {
  const { session } = open(t)
  const stream = session.createStream(RAW)
  for (const name of [undefined, '', 7, '\ud800']) {
    await assert.rejects(session.mark(name), { code: 'ERR_INVALID_ARGUMENT', message: /for name/ })
    await assert.rejects(stream.mark(name), { code: 'ERR_INVALID_ARGUMENT', message: /for name/ })
  }
  await assert.rejects(session.mark('m', { track: 1 }), { code: 'ERR_INVALID_ARGUMENT' })
  await assert.rejects(session.mark('m', { trackId: 1, group: 'a' }), { code: 'ERR_INVALID_ARGUMENT' })
  stream.destroy()
})

test('a mark event carries its name, under `event` too', async (t) => {
  const { session } = open(t)
  const all = []
  session.on('event', (event) => all.push(event))
  const [told] = await Promise.all([once(session, 'mark'), session.mark('m')])
  assert.deepEqual(told, [{ seq: 1, atMs: 0, name: 'm' }])
  assert.deepEqual(all, [{ type: 'mark', seq: 1, atMs: 0, name: 'm' }])
})

test("a stream's mark is reached after the written samples", async (t) => {
  for (const [sampleRate, perMs] of [[48000, 48], [24000, 24], [8000, 8]]) {
    const { session, stream } = openStream(t, { sampleRate, stopOther: false })
    const words = story(session)
    await stream.mark('nothing')
    stream.write(Buffer.alloc(2 * 100 * perMs, 1))
    const first = stream.mark('first')
    stream.write(Buffer.alloc(2 * 3000 * perMs, 1)) // more than the stream holds: a part waits in Node
    stream.mark('second')
    stream.end(Buffer.alloc(2 * 50 * perMs, 1))
    stream.mark('third')
    await session.advance(50)
    assert.deepEqual(words.splice(0), ['nothing@0'])
    await session.advance(3200)
    assert.deepEqual(await first, { name: 'first', atMs: 100 })
    assert.deepEqual(words, ['first@100', 'second@3100', 'third@3150', 's completed@3150'], `${sampleRate} Hz`)
    await session.close()
  }
})

test("an underrun or a flush reaches a stream's mark", async (t) => {
  const { session, stream } = openStream(t, { sampleRate: 24000 })
  const words = story(session)
  stream.write(Buffer.alloc(2 * 24 * 100, 1))
  const dry = stream.mark('dry')
  await session.advance(400)
  // Its resampler holds the last samples back for what follows.
  const { atMs } = await dry
  assert.ok(atMs > 50 && atMs <= 100, `at ${atMs} ms`)
  assert.deepEqual(await stream.mark('still dry'), { name: 'still dry', atMs: 400 })
  stream.write(Buffer.alloc(2 * 24 * 1000, 1))
  const dropped = stream.mark('dropped')
  await session.advance(100)
  const flushed = stream.flush()
  assert.deepEqual(await dropped, { name: 'dropped', atMs: 500 })
  stream.end(Buffer.alloc(2 * 24 * 200, 1))
  const behind = stream.mark('behind')
  await flushed
  await session.advance(1000)
  assert.equal((await behind).name, 'behind')
  assert.deepEqual(words.map((word) => word.replace(/@.*/, '')), ['dry', 'still dry', 'dropped', 'behind', 's completed'])
})

test('a stopped or ended stream reaches its marks', async (t) => {
  const { session, stream } = openStream(t)
  stream.on('error', () => {})
  stream.write(steady(100))
  const mark = stream.mark('m')
  await session.advance(20)
  await session.stopAudio()
  await session.advance(20)
  assert.deepEqual(await mark, { name: 'm', atMs: 25 })
  assert.deepEqual(await stream.mark('behind its end'), { name: 'behind its end', atMs: 40 })
})

test('an encoded stream reaches its mark at the end', async (t) => {
  const { session } = open(t)
  const stream = session.createStream({ requestId: 's' })
  const words = story(session)
  stream.write(tone(440, 300))
  stream.mark('m')
  await session.advance(1000)
  stream.end()
  await session.advance(1000)
  const [[completed, at], mark] = words.map((word) => word.split('@'))
  assert.deepEqual([completed, mark], ['s completed', ['m', at]])
})

test('realtime: marks are reached in order', async (t) => {
  const { session } = open(t, { output: { type: 'pcm', clock: 'realtime', onFrame() {} } })
  const words = story(session)
  session.playAudio({ requestId: 'a', audio: clips.a, stopOther: false })
  const stream = session.createStream({ requestId: 's', ...RAW, stopOther: false })
  stream.write(steady(200))
  await Promise.all([stream.mark('half').then(() => stream.end(steady(200))), session.mark('all')])
  const order = words.map((word) => word.replace(/@.*/, ''))
  assert.deepEqual(order.filter((word) => !word.startsWith('a ')), ['half', 's completed', 'all'])
  assert.equal(order.at(-1), 'all')
})
