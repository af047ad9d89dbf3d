'use strict'

// The destination of log lines: the logger of their session, the listeners for all lines, or standard error.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { root, run: start } = require('../support/process')

/** Runs a script that logs at this level; `log` collects lines there, and `print` prints its argument as JSON. */
async function run(t, level, script) {
  const before = process.env.SPEAKER_SESSION_LOG
  process.env.SPEAKER_SESSION_LOG = level
  try {
    return await start(t, `
      const log = []
      const collect = (more) => Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, (known, message) => log.push({ level, ...known, message, ...more })]))
      const print = (value) => console.log(JSON.stringify(value))
      const manual = (options) => new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, ...options })
      const play = async (session, request) => {
        const playing = session.playAudio({ audioUrl: 'clip.wav', durationMs: 5, ...request })
        playing.catch(() => {})
        await session.advance(100)
      }
      ;(async () => { ${script} })()
    `)
  } finally {
    if (before === undefined) delete process.env.SPEAKER_SESSION_LOG
    else process.env.SPEAKER_SESSION_LOG = before
  }
}

test('a logger gets only the lines of its session', async (t) => {
  const { out, err, code } = await run(t, 'debug', `
    const own = manual({ logger: collect() })
    const other = manual()
    await play(own, { requestId: 'mine' })
    await play(other, { requestId: 'theirs' })
    await own.close()
    await other.close()
    print({ ids: [own.id, other.id], log })
  `)
  assert.equal(code, 0, err)
  const { ids: [own, other], log } = JSON.parse(out)
  assert.notEqual(own, other)
  assert.ok(log.every(({ session }) => session === own), out)
  const told = log.filter(({ event }) => event).map(({ level, target, requestId, event }) => `${level} ${target} ${requestId} ${event.split(' ')[0]}`)
  assert.deepEqual(told.slice(0, 4), [
    'debug speaker_session::engine::handle undefined Connected',
    'debug speaker_session::engine::handle mine Started',
    'debug speaker_session::engine::handle mine Completed',
    'debug speaker_session::engine::handle undefined Disconnected'
  ])
  assert.ok(log.some(({ level, message, open }) => level === 'info' && message === 'a session ended' && open === 1))
  assert.doesNotMatch(err, /mine/)
  assert.match(err, new RegExp(`DEBUG speaker_session::engine::handle: session=${other} request_id="theirs" event=Started`))
})

test('SpeakerSession.on takes the lines of all sessions', async (t) => {
  const { out, err, code } = await run(t, 'debug', `
    const listener = (line) => log.push(line)
    SpeakerSession.on('log', listener)
    const session = manual()
    await play(session, { requestId: 'first' })
    await new Promise(setImmediate)
    SpeakerSession.off('log', listener)
    await play(session, { requestId: 'second' })
    await session.close()
    print(log)
  `)
  assert.equal(code, 0, err)
  const log = JSON.parse(out)
  assert.ok(log.some(({ requestId, session, level, event, time }) => requestId === 'first' && session === 1 && level === 'debug' && event.startsWith('Completed') && time > 1e12), out)
  assert.ok(!/second/.test(out) && /second/.test(err) && !/first"/.test(err), err)
})

test('a listener without the variable gets info lines', async (t) => {
  const { out, err, code } = await run(t, '', `
    SpeakerSession.on('log', (line) => log.push(line))
    const session = manual()
    await play(session)
    await session.close()
    await new Promise(setImmediate)
    print(log.map(({ level, message, session }) => [level, message, session]))
  `)
  assert.deepEqual([JSON.parse(out), err, code], [[['info', 'a session ended', 1]], '', 0])
})

test('levels by target', async (t) => {
  const { out, code, err } = await run(t, 'error,speaker_session::engine::handle=info', `
    const session = manual({ logger: collect() })
    await play(session)
    await play(session, { audioUrl: '/nowhere' })
    await session.close()
    print(log.map(({ level, target }) => [level, target]))
  `)
  assert.deepEqual([JSON.parse(out), code], [[['info', 'speaker_session::engine::handle']], 0], err)
})

test('a panic is logged with session and request', async (t) => {
  const fault = require('node:path').join(__dirname, '..', '..', 'tests', 'fuzz', 'regressions', 'm4a-aac', 'first-sample-of-no-duration.m4a')
  const { out, err, code } = await run(t, 'error', `
    const session = manual({ logger: collect() })
    await play(session, { audioUrl: ${JSON.stringify(fault)}, requestId: 'bad', durationMs: undefined })
    await session.close()
    print({ log, panics: SpeakerSession.metrics().panics })
  `)
  assert.equal(code, 0, err)
  const { log, panics } = JSON.parse(out)
  assert.deepEqual(log.map(({ level, session, requestId }) => [level, session, requestId]), [['error', 1, 'bad']])
  assert.equal(panics, 1)
})

test('a failing logger is reported once', async (t) => {
  for (const fault of [`() => { throw new Error('full') }`, `async () => { throw new Error('full') }`]) {
    const { out, err, code } = await run(t, 'debug', `
      const fault = ${fault}
      const session = manual({ logger: { debug: fault, info: fault, warn: fault, error: fault } })
      SpeakerSession.on('log', ${fault})
      for (let n = 0; n < 20; n++) await play(session)
      await play(manual())
      await session.close()
      await new Promise(setImmediate)
      print(session.stats().completed)
    `)
    assert.deepEqual([out, code], ['20\n', 0], err)
    assert.equal(err.match(/SpeakerSessionWarning: a logger failed: full/g).length, 2, err)
  }
})

test('a busy listener loses lines, which are counted', async (t) => {
  const { out, err, code } = await run(t, 'debug', `
    const { Worker } = require('node:worker_threads')
    SpeakerSession.on('log', (line) => log.push(line))
    const real = new SpeakerSession({ output: { type: 'memory' } })
    const playing = real.playAudio({ audioUrl: 'clip.wav' })
    const done = new Int32Array(new SharedArrayBuffer(4))
    // Some 4 MB of lines, while this thread takes none.
    const worker = new Worker(\`
      const { workerData: [root, done] } = require('node:worker_threads')
      const { SpeakerSession } = require(root)
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: 'queue', maxQueued: 2000 })
      for (let n = 0; n < 2000; n++) session.playAudio({ audioUrl: 'clip.wav', stopOther: false, requestId: 'y'.repeat(2000) + n }).catch(() => {})
      session.close().then(() => {
        Atomics.store(done, 0, 1)
        Atomics.notify(done, 0)
      })
    \`, { eval: true, workerData: [require.resolve(${JSON.stringify(root)}), done] })
    // First waits for the worker's own event that it has begun.
    await require('node:events').once(worker, 'online')
    Atomics.wait(done, 0, 0, 60_000)
    const until = performance.now() + 20_000
    while (real.playbacks().length > 0 && performance.now() < until);
    print([done[0], real.playbacks().length])
    await playing
    while (!log.some(({ message }) => / lines of the log were lost here/.test(message))) await new Promise(setImmediate)
    await real.close()
    print(log.some(({ requestId }) => requestId === 'y'.repeat(2000) + 1))
  `)
  assert.deepEqual([out, code], ['[1,0]\ntrue\n', 0], err)
})

test('a logger does not delay exit, and gets the last lines', async (t) => {
  for (const end of ['', 'process.exit()']) {
    const { out, code } = await run(t, 'debug', `
      const logger = collect()
      logger.debug = ({ event }) => event?.startsWith('Failed') && console.log('failed')
      const session = manual({ logger })
      SpeakerSession.on('log', () => {})
      session.playAudio({ audioUrl: '/nowhere' }).catch(() => {})
      session.once('failed', () => { ${end} })
    `)
    assert.deepEqual([out, code], ['failed\n', 0])
  }
})

test('invalid loggers and events are refused', () => {
  const output = { type: 'memory' }
  for (const logger of [null, 1, 'x', {}, { debug() {}, info() {}, warn() {} }]) {
    assert.throws(() => new SpeakerSession({ output, logger }), { code: 'ERR_INVALID_ARGUMENT', message: /logger/ })
  }
  assert.throws(() => SpeakerSession.on('logs', () => {}), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => SpeakerSession.on('log'), { code: 'ERR_INVALID_ARGUMENT' })
  assert.doesNotThrow(() => SpeakerSession.off('log', () => {}))
})
