'use strict'

// `flush` drops what was written but not heard yet.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { openStream, steady } = require('../support/stream')

const MS = 48
const fixture = (name) => readFileSync(path.join(__dirname, '..', 'fixtures', name))

/** Returns the samples that `playAudio` makes of a file. */
async function played(t, audio) {
  const { session, heard } = open(t)
  session.playAudio({ audio })
  await finish(session)
  return heard()
}

test('flush drops what was not heard', async (t) => {
  const { session, stream: s, heard, of } = openStream(t)
  s.write(steady(3000))
  await session.advance(100)
  s.write(Buffer.alloc(1)) // half a sample
  const flushed = s.flush()
  s.write(steady(100, -0.25))
  s.end()
  await flushed
  await session.advance(200)
  assert.deepEqual(await s.finished, { requestId: 's', outcome: 'completed', durationMs: 205, positionMs: 205 })
  assert.deepEqual(of('s'), ['started@0', 'completed@205'])
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(100), at(102.5), at(105), at(107.5), at(110), at(204)], [0.5, 0.25, 0, -0.125, -0.25, -0.25])
})

test('flush works before the start, in a stall and at the end', async (t) => {
  const { session, stream: s, heard, of } = openStream(t)
  await s.flush()
  s.write(steady(100))
  await s.flush()
  await session.advance(50)
  assert.deepEqual(of('s'), [])
  s.write(steady(50, 0.25))
  await session.advance(100)
  await s.flush()
  await session.advance(50)
  s.write(steady(50, 0.125))
  await session.advance(20)
  s.flush()
  s.end()
  await session.advance(20)
  assert.deepEqual(of('s'), ['started@50', 'stalled@100', 'completed@225'])
  const at = (ms) => heard()[ms * MS]
  assert.deepEqual([at(60), at(205), at(225)], [0.25, 0.125, 0])
  await s.flush()

  const never = openStream(t)
  never.stream.write(steady(100))
  never.stream.flush()
  never.stream.end()
  await never.session.advance(10)
  assert.equal((await never.stream.finished).durationMs, 0, 'something was written, so it is not empty')
})

test('a new file may begin after a flush', async (t) => {
  const { session, stream: s, heard } = openStream(t, { format: 'mp3', sampleRate: undefined })
  const mp3 = fixture('tone-cbr.mp3')
  s.write(mp3.subarray(0, 5001))
  await session.advance(100)
  await s.flush()
  s.end(mp3)
  await finish(session)
  const whole = await played(t, mp3)
  const start = 105 * MS
  assert.deepEqual(heard().subarray(start + 5 * MS, start + 300 * MS), whole.subarray(5 * MS, 300 * MS))
})

test('flush empties Node’s own queue too', async (t) => {
  const { session, stream: s, heard } = openStream(t)
  const written = []
  for (let n = 0; n < 5; n++) s.write(steady(700), () => written.push(n))
  assert.ok(s.writableLength > 0)
  await s.flush()
  assert.equal(s.writableLength, 0)
  s.end(steady(100, 0.25))
  await session.advance(200)
  assert.deepEqual(written.sort(), [0, 1, 2, 3, 4])
  assert.ok(heard().subarray(0, 100 * MS).every((sample) => sample === 0.25))
  assert.equal((await s.finished).durationMs, 100)
})
