'use strict'

// What a process sees: when it stays, when it goes, and what is left behind.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { open } = require('./support/session')
const { readWav, tone } = require('./support/wav')

const root = path.join(__dirname, '..')

/** Runs a script in a process of its own, in a folder that holds clip.wav (0.4 s) and long.wav (20 s). */
async function run(t, script, { esm = false, load = true, kill } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(path.join(folder, 'clip.wav'), tone(440, 400))
  writeFileSync(path.join(folder, 'long.wav'), tone(440, 20_000))
  const head = esm
    ? `import { SpeakerSession, SpeakerError } from ${JSON.stringify(path.join(root, 'index.js'))}\n`
    : `const { SpeakerSession, SpeakerError } = require(${JSON.stringify(root)})\n`
  const file = path.join(folder, esm ? 'script.mjs' : 'script.js')
  writeFileSync(file, load ? head + script : script)
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.on('data', (data) => {
    out += data
    if (kill && out.includes('now')) child.kill(kill)
  })
  child.stderr.on('data', (data) => (err += data))
  const [code, signal] = await once(child, 'close')
  return { code, signal, out, err, folder }
}

const memory = `{ output: { type: 'memory' } }`

test('an idle session lets the process go, connected or not', async (t) => {
  const { code, out, err } = await run(t, `
    const idle = new SpeakerSession(${memory})
    const connected = new SpeakerSession(${memory})
    connected.connect().then(() => console.log('connected'))
  `)
  assert.deepEqual([code, out, err], [0, 'connected\n', ''])
})

test('a pending playAudio keeps it, and then it goes without close', async (t) => {
  const { code, out } = await run(t, `
    const session = new SpeakerSession(${memory})
    session.playAudio({ audioUrl: 'clip.wav' }).then(({ outcome, durationMs }) => console.log(outcome, durationMs))
  `)
  assert.deepEqual([code, out], [0, 'completed 400\n'])
})

test('a tap does not keep it, while it is read either', async (t) => {
  const { code, out, err } = await run(t, `
    const session = new SpeakerSession(${memory})
    let frames = 0
    session.tap().on('data', () => frames++).on('end', () => console.log('ended'))
    session.playAudio({ audioUrl: 'clip.wav' }).then(() => console.log(frames))
  `)
  assert.deepEqual([code, out, err], [0, '20\n', ''])
})

test('a session that nobody holds goes on playing what is awaited', async (t) => {
  const { code, out } = await run(t, `
    require('node:v8').setFlagsFromString('--expose-gc')
    const gc = require('node:vm').runInNewContext('gc')
    const playing = new SpeakerSession(${memory}).playAudio({ audioUrl: 'clip.wav' })
    setImmediate(gc)
    playing.then(({ outcome }) => console.log(outcome))
  `)
  assert.deepEqual([code, out], [0, 'completed\n'])
})

test('a session that nobody holds and nobody awaits is collected and closes its file', async (t) => {
  const { code, out, folder } = await run(t, `
    require('node:v8').setFlagsFromString('--expose-gc')
    const gc = require('node:vm').runInNewContext('gc')
    let collected = false
    const registry = new FinalizationRegistry(() => (collected = true))
    ;(async () => {
      await (async () => {
        const session = new SpeakerSession({ output: { type: 'wav', path: 'mix.wav' } })
        registry.register(session)
        await session.playAudio({ audioUrl: 'clip.wav' })
      })()
      for (let n = 0; n < 50 && !collected; n++) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      console.log(collected)
    })()
  `)
  assert.deepEqual([code, out], [0, 'true\n'])
  assert.ok(readWav(path.join(folder, 'mix.wav')).samples.length >= 400 * 48)
})

test('import works as require does, and await using closes', async (t) => {
  const { code, out, err } = await run(t, `
    const session = new SpeakerSession(${memory})
    session.on('disconnected', ({ reason }) => console.log('disconnected', reason))
    await session.connect()
    await session[Symbol.asyncDispose]()
    console.log(new SpeakerError('ERR_CLOSED', 'x') instanceof Error)
  `, { esm: true })
  assert.deepEqual([code, out, err], [0, 'disconnected closed\ntrue\n', ''])
})

test('a failed playback that nobody awaits does not end the process', async (t) => {
  const { code, out } = await run(t, `
    const session = new SpeakerSession(${memory})
    session.on('failed', ({ code }) => console.log(code))
    session.playAudio({ audioUrl: 'missing.wav' })
    session.playAudio({ volume: 7 })
  `)
  assert.deepEqual([code, out], [0, 'ERR_FILE\n'])
})

test('a listener that throws ends nothing but its own turn', async (t) => {
  const { code, out } = await run(t, `
    process.on('uncaughtException', (error) => console.log(error.message))
    const session = new SpeakerSession(${memory})
    session.on('completed', () => { throw new Error('mine') })
    session.playAudio({ audioUrl: 'clip.wav' }).then(({ outcome }) => console.log(outcome))
  `)
  assert.equal(code, 0)
  assert.deepEqual(out.split('\n').filter(Boolean).sort(), ['completed', 'mine'])
})

for (const kill of ['SIGINT', 'SIGKILL']) {
  test(`${kill} during play leaves a valid file`, async (t) => {
    const { signal, folder } = await run(t, `
      const session = new SpeakerSession({ output: { type: 'wav', path: 'mix.wav' }, progressIntervalMs: 700 })
      session.on('progress', () => console.log('now'))
      session.playAudio({ audioUrl: 'long.wav' })
    `, { kill })
    assert.equal(signal, kill)
    const file = readFileSync(path.join(folder, 'mix.wav'))
    const announced = file.readUInt32LE(file.indexOf('data') + 4)
    assert.ok(announced >= 400 * 96 && announced <= file.length - 44, `${announced} of ${file.length}`)
  })
}

test('worker threads load the addon, and may be terminated while playing', async (t) => {
  const { code, signal, out, err } = await run(t, `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads')
    async function main() {
      for (let round = 0; round < 5; round++) {
        const workers = Array.from({ length: 3 }, () => new Worker(__filename))
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      const session = new SpeakerSession(${memory})
      console.log((await session.playAudio({ audioUrl: 'clip.wav' })).outcome)
    }
    if (isMainThread) main()
    else {
      const session = new SpeakerSession(${memory})
      session.on('started', () => parentPort.postMessage('started'))
      session.playAudio({ audioUrl: 'long.wav' })
    }
  `)
  assert.deepEqual([code, signal, out, err], [0, null, 'completed\n', ''])
})

test('a worker that alone loaded the addon may end while it plays', async (t) => {
  const { code, signal, out, err } = await run(t, `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads')
    if (isMainThread) {
      const worker = new Worker(__filename)
      worker.once('message', async () => {
        await worker.terminate()
        setTimeout(() => console.log('alive'), 300)
      })
    } else {
      const { SpeakerSession } = require(${JSON.stringify(root)})
      const session = new SpeakerSession(${memory})
      session.on('started', () => parentPort.postMessage('started'))
      session.playAudio({ audioUrl: 'long.wav' })
    }
  `, { load: false })
  assert.deepEqual([code, signal, out, err], [0, null, 'alive\n', ''])
})

test('logs if asked', async (t) => {
  const { err } = await run(t, `
    process.env.SPEAKER_SESSION_LOG = 'debug'
    new SpeakerSession(${memory}).playAudio({ requestId: 'logged', audioUrl: 'clip.wav' })
  `)
  assert.match(err, /DEBUG .*logged.*Completed/)
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

test('close ends what plays, loads and waits, once each, and settles every promise', async (t) => {
  const { session, told, terminal } = open(t, { output: { clock: 'realtime' }, overlap: 'queue' })
  const playing = ['a', 'b', 'c'].map((requestId) =>
    session.playAudio({ requestId, audio: tone(440, 5000), stopOther: false })
  )
  await once(session, 'started')
  const closing = [session.close(), session.close(), session.connect().catch(({ code }) => code)]
  for (const { outcome, reason } of await Promise.all(playing)) {
    assert.deepEqual([outcome, reason], ['stopped', 'closed'])
  }
  assert.deepEqual(await Promise.all(closing), [undefined, undefined, 'ERR_CLOSED'])
  for (const requestId of ['a', 'b', 'c']) assert.equal(terminal(requestId).length, 1)
  assert.equal(told.at(-1).type, 'disconnected')
  await session.close()
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_CLOSED' })
  assert.deepEqual(session.playbacks(), [])
})

test('close before anything happened, and while a source never comes', async (t) => {
  const untouched = open(t)
  await untouched.session.close()
  assert.deepEqual(untouched.told, [], 'it was never connected')

  const server = require('node:http').createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const held = open(t)
  const playing = held.session.playAudio({ audioUrl: `http://127.0.0.1:${server.address().port}/` })
  const advancing = held.session.advance(1000)
  const later = held.session.playAudio({ audio: tone(440, 20), stopOther: false })
  await held.session.close()
  assert.equal((await playing).reason, 'closed')
  assert.equal((await later).reason, 'closed')
  await advancing.catch(({ code }) => assert.equal(code, 'ERR_CLOSED'))
})

test('a session in real time takes as long as the sound', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const begun = performance.now()
  await session.playAudio({ audio: tone(440, 500) })
  // All but the last 20 ms, which are handed over when they are due to begin.
  assert.ok(performance.now() - begun >= 470)
})
