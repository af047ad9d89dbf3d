'use strict'

// Two hundred sessions in one process play in rooms of one server for a minute, in random order from a fixed seed. Then
// every promise has settled, every request has one terminal event, and the process has no more threads, files and memory than before.

const assert = require('node:assert/strict')
const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')

const { startServer } = require('../../scripts/livekit-server')
const { present, until } = require('../support/room')

const SESSIONS = 200
const PLAYS = 2000
/** Two of three calls are plays. */
const EVERY_MS = 18
/** The number of counts of tasks at the end. */
const PROBES = 20
const EXPECTED = ['completed', 'stopped', 'ERR_FILE', 'ERR_UNSUPPORTED_FORMAT']

const skip = process.platform !== 'linux' && 'what a process holds is counted in /proc'

test('two hundred sessions leave nothing behind', { skip }, async (t) => {
  const server = await startServer()
  t.after(() => server.stop())
  const env = { ...process.env, SPEAKER_SESSION_LOG: 'info' }
  const stdio = ['ignore', 'inherit', 'pipe', 'ipc']
  const child = fork(path.join(__dirname, '..', 'support', 'soak-process.js'), { env, stdio })
  t.after(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.on('data', (data) => (log += data))
  let result
  child.on('message', (message) => (result = message))
  const { url, key, secret } = server
  child.send({ url, key, secret, sessions: SESSIONS, plays: PLAYS, everyMs: EVERY_MS, probes: PROBES })
  assert.deepEqual(await once(child, 'close'), [0, null], log)

  const { before, during, after, outcomes, reasons, ends } = result
  assert.equal(outcomes.length, PLAYS)
  for (const outcome of EXPECTED) assert.ok(outcomes.includes(outcome), `none ${outcome}`)
  assert.deepEqual([...new Set(outcomes)].filter((outcome) => !EXPECTED.includes(outcome)), [], reasons.join('\n'))
  assert.equal(ends.length, PLAYS)
  assert.ok(ends.every((count) => count === 1), 'a request ended twice')

  for (const name of Object.keys(before)) {
    const counts = `${before[name]} before, ${during[name]} meanwhile, ${after[name]} after`
    assert.ok(after[name] <= before[name], `${name}: ${counts}`)
  }
  assert.ok(during.sockets >= SESSIONS, `they held ${during.sockets} sockets`)
  const tasks = [...log.matchAll(/a session ended session=\d+ tasks=(\d+) open=\d+/g)].map(([, count]) => Number(count))
  assert.equal(tasks.length, SESSIONS + 2 + PROBES)
  assert.equal(tasks.at(-1), 1, 'a task is left besides that of the session that ended last')

  // One may be left: see livekit.test.js.
  await until(async () => (await present(server)).length <= 1, 'the server sees them gone', 30_000)
})
