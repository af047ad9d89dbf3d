'use strict'

// The log on standard error: nothing waits for its reader, and the last lines are written too.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')

const { root } = require('../support/process')

const clip = path.join(root, '__test__', 'fixtures', 'tone-s16.wav')

/** Starts a script; by default it logs everything. */
function start(t, script, level = 'trace') {
  const env = { ...process.env, SPEAKER_SESSION_LOG: level }
  const head = `const { SpeakerSession } = require(${JSON.stringify(root)})\n`
  const child = spawn(process.execPath, ['-e', head + script], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** Plays so many short clips one after the other, and prints when it is done. */
const play = (count) => `
  ;(async () => {
    const session = new SpeakerSession({ output: { type: 'memory' } })
    for (let n = 0; n < ${count}; n++) {
      const stream = session.createStream({ format: 'pcm16', sampleRate: 48000, requestId: 'x'.repeat(2000) + n })
      stream.end(Buffer.alloc(9600))
      await stream.finished
    }
    await session.close()
    console.log('played')
  })()`

async function said(child) {
  let out = ''
  child.stdout.on('data', (data) => (out += data))
  const [code, signal] = await once(child, 'close')
  return { out, code, signal }
}

test('realtime: a closed reader stops nothing', async (t) => {
  const child = start(t, play(5))
  child.stderr.destroy()
  assert.deepEqual(await said(child), { out: 'played\n', code: 0, signal: null })
})

test('realtime: a stalled reader stops nothing', async (t) => {
  // Some 8 MB of events; the queue holds 1 MiB, and a pipe less.
  const child = start(t, `
    const many = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
    for (let n = 0; n < 2000; n++) many.createStream({ format: 'pcm16', sampleRate: 48000, requestId: 'y'.repeat(2000) + n })
    ${play(1)}
    setInterval(() => {}, 1000)`)
  const [played] = await once(child.stdout, 'data')
  assert.equal(String(played), 'played\n')
  let log = ''
  child.stderr.on('data', (data) => (log += data))
  while (!/\d+ lines of the log were lost here/.test(log)) await once(child.stderr, 'data')
})

test('the last lines are written before exit', async (t) => {
  for (const end of ['process.exit()', '']) {
    const child = start(t, `
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      session.playAudio({ audioUrl: '/nowhere' })
      session.once('failed', () => { ${end} })`)
    let log = ''
    child.stderr.on('data', (data) => (log += data))
    await once(child, 'close')
    assert.match(log, /request_id="playback-1" event=Failed/)
  }
})

test('an unread log does not delay exit', async (t) => {
  const child = start(t, `
    const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
    for (let n = 0; n < 200; n++) session.createStream({ format: 'pcm16', sampleRate: 48000, requestId: 'y'.repeat(2000) + n }).destroy()`)
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
})

test('a panic fails its playback and prints one line', async (t) => {
  // It makes a decoder panic.
  const fault = path.join(root, 'tests', 'fuzz', 'regressions', 'm4a-aac', 'first-sample-of-no-duration.m4a')
  const script = `
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      console.log(await session.playAudio({ audioUrl: ${JSON.stringify(fault)} }).catch(({ code }) => code))
      const playing = session.playAudio({ audioUrl: ${JSON.stringify(clip)} })
      await session.advance(1000)
      console.log((await playing).outcome)
      await session.close()
    })()`
  for (const isRead of [true, false]) {
    const child = start(t, script, '')
    let log = ''
    if (isRead) child.stderr.on('data', (data) => (log += data))
    else child.stderr.destroy()
    assert.deepEqual(await said(child), { out: 'ERR_DECODE\ncompleted\n', code: 0, signal: null })
    if (isRead) assert.match(log, /^speaker-session: thread 'speaker-decode-\d+' panicked at [^\n]+\n$/)
  }
})
