'use strict'

// Many sessions or streams leave no threads, files or memory behind.

const assert = require('node:assert/strict')
const { readdirSync } = require('node:fs')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { memory, run } = require('../support/process')
const { RAW, steady } = require('../support/stream')

test('a thousand small streams leave nothing behind', async (t) => {
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

test('a thousand idle sessions add no threads', async (t) => {
  const { code, out } = await run(t, `
    const { readdirSync } = require('node:fs')
    const threads = () => readdirSync('/proc/self/task').length
    ;(async () => {
      const one = new SpeakerSession(${memory})
      await one.playAudio({ audioUrl: 'clip.wav' })
      const before = threads()
      const sessions = Array.from({ length: 1000 }, () => new SpeakerSession(${memory}))
      await Promise.all(sessions.map((session) => session.connect()))
      console.log(threads() - before)
      await Promise.all(sessions.map((session) => session.close()))
    })()
  `)
  assert.deepEqual([code, out], [0, '0\n'])
})
