'use strict'

// The `memory` output: what it holds, what silence costs, and where it ends.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { runLimited } = require('../support/limited')
const { finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const root = path.join(__dirname, '..', '..')
const HOUR_MS = 3_600_000
const MS = 48

test('advance rejects a day and the session goes on', async (t) => {
  const { session, told, heard } = open(t)
  const playing = session.playAudio({ requestId: 'a', audio: tone(440, 100) })
  const day = session.advance(24 * HOUR_MS)
  const other = session.advance(50)
  await assert.rejects(day, {
    code: 'ERR_OUTPUT',
    message: 'Expected at most 22369621 ms, all that the recording still holds, for advance but received 86400000'
  })
  await other
  assert.equal(session.stats().timeMs, 50)
  await session.advance(50)
  assert.equal((await playing).outcome, 'completed')
  assert.equal(heard().length, 100 * MS)
  assert.ok(told.every(({ type }) => type !== 'error' && type !== 'failed'))
})

test('pending advances count, and the last sample fits', async (t) => {
  const { session } = open(t, { output: { channels: 2 } })
  const half = session.advance(11_000_000)
  await assert.rejects(session.advance(184_811), { code: 'ERR_OUTPUT', message: /at most 184810 ms/ })
  await half
  await session.advance(184_810)
  assert.equal(session.recording().samples.length, 2 * MS * 11_184_810)
})

test('a pcm output keeps nothing, so a day passes', async (t) => {
  const { session } = open(t, { output: { type: 'pcm', onFrame: () => {} } })
  await session.advance(24 * HOUR_MS)
  assert.equal(session.stats().timeMs, 24 * HOUR_MS)
})

test('hours of silence take no memory', async (t) => {
  const { session, heard } = open(t)
  const before = process.memoryUsage().rss
  session.playAudio({ audio: tone(440, 100) })
  await finish(session)
  await session.advance(5 * HOUR_MS)
  session.playAudio({ audio: tone(440, 100) })
  await finish(session)
  const samples = heard()
  const grown = process.memoryUsage().rss - before
  // As samples it would be 3.5 GB, and so would a copy in which the silence was written.
  assert.ok(grown < 100e6, `${grown} bytes`)
  assert.equal(samples.length, session.stats().timeMs * MS)
  const clip = samples.slice(0, 100 * MS)
  assert.ok(clip.some((sample) => sample !== 0))
  const second = samples.length - samples.subarray(-200 * MS).length
  const begins = samples.subarray(second).findIndex((sample) => sample !== 0) + second - 1
  assert.deepEqual(samples.slice(begins, begins + 100 * MS), clip)
})

test('a recording is a copy', async (t) => {
  const { session } = open(t)
  session.playAudio({ audio: tone(440, 100) })
  await session.advance(50)
  const first = session.recording().samples
  const kept = first.slice()
  first.fill(7)
  await session.advance(50)
  assert.deepEqual(session.recording().samples.slice(0, 50 * MS), kept)
})

test('recording throws if there is no memory for it', { skip: process.platform !== 'linux' }, async () => {
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
    session.advance(${6 * HOUR_MS}).then(async () => {
      try {
        session.recording()
      } catch ({ code, message }) {
        console.log(code, message)
      }
      await session.advance(20)
      await session.close()
      console.log('closed')
    })`
  const { exitCode, stdout } = await runLimited('-v 3000000', ['-e', script])
  assert.equal(exitCode, 0)
  assert.match(stdout, /^ERR_OUTPUT Expected memory for 1036800000 samples for recording but received none: .*\nclosed\n$/)
})
