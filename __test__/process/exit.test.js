'use strict'

// What keeps a process alive, and what it leaves behind.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const { collects, memory, root, run } = require('../support/process')
const { readWav } = require('../support/wav')

test('an idle session lets the process exit', async (t) => {
  const { code, out, err } = await run(t, `
    const idle = new SpeakerSession(${memory})
    const connected = new SpeakerSession(${memory})
    connected.connect().then(() => console.log('connected'))
  `)
  assert.deepEqual([code, out, err], [0, 'connected\n', ''])
})

test('a pending playAudio keeps the process', async (t) => {
  const { code, out } = await run(t, `
    const session = new SpeakerSession(${memory})
    session.playAudio({ audioUrl: 'clip.wav' }).then(({ outcome, durationMs }) => console.log(outcome, durationMs))
  `)
  assert.deepEqual([code, out], [0, 'completed 400\n'])
})

test('a tap does not keep the process', async (t) => {
  const { code, out, err } = await run(t, `
    const session = new SpeakerSession(${memory})
    let frames = 0
    session.tap().on('data', () => frames++).on('end', () => console.log('ended'))
    session.playAudio({ audioUrl: 'clip.wav' }).then(() => console.log(frames))
  `)
  assert.deepEqual([code, out, err], [0, '20\n', ''])
})

for (const [how, script, clock = 'realtime'] of [
  ['completes', `play('clip.wav')`],
  ['fails', `play('missing.wav')`],
  ['is stopped in the queue', `play('long.wav'); play('clip.wav'); session.stopAudio()`],
  ['is stopped on a clock that stands', `play('clip.wav'); session.pauseAudio(); session.stopAudio()`, 'manual']
]) {
  test(`the tap of a playback that ${how} ends before the process`, async (t) => {
    const { code, out, err } = await run(t, `
      const session = new SpeakerSession({ overlap: 'queue', output: { type: 'memory', clock: '${clock}' } })
      let [requests, pending] = [0, 0]
      function play(audioUrl) {
        const requestId = String(++requests)
        pending += 2
        const ends = () => pending--
        session.playAudio({ requestId, audioUrl }).then(ends, ends)
        session.tap({ requestId }).on('data', () => {}).on('end', ends)
      }
      ${script}
      process.on('exit', () => console.log(pending))
    `)
    assert.deepEqual([code, out, err], [0, '0\n', ''])
  })
}

test('a server and its clients do not keep the process', async (t) => {
  const { code, out, err } = await run(t, `
    const http = require('node:http')
    const session = new SpeakerSession({ output: { type: 'http', codec: 'opus' } })
    session.connect().then(() => {
      http.get(session.url, (response) => {
        response.once('data', ({ length }) => {
          console.log(length > 0)
          response.socket.unref()
        })
      })
    })
  `)
  assert.deepEqual([code, out, err], [0, 'true\n', ''])
})

test('an awaited playback keeps its session', async (t) => {
  const { code, out } = await run(t, `
    ${collects}
    const playing = new SpeakerSession(${memory}).playAudio({ audioUrl: 'clip.wav' })
    setImmediate(gc)
    playing.then(({ outcome }) => console.log(outcome))
  `)
  assert.deepEqual([code, out], [0, 'completed\n'])
})

test('a playback keeps no reference to its caller', async (t) => {
  const { code, out } = await run(t, `
    ${collects}
    class Caller {
      ask(session) {
        session.playAudio({ audioUrl: 'long.wav' })
      }
    }
    let collected = false
    const registry = new FinalizationRegistry(() => (collected = true))
    const ask = (session, caller = new Caller()) => {
      registry.register(caller)
      caller.ask(session)
    }
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      ask(session)
      for (let n = 0; n < 50 && !collected; n++) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      console.log(collected, session.playbacks().length)
      await session.close()
    })()
  `)
  assert.deepEqual([code, out], [0, 'true 1\n'])
})

test('an unreferenced session is collected and closes its file', async (t) => {
  const { code, out, folder } = await run(t, `
    ${collects}
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

test('an unhandled failure does not end the process', async (t) => {
  const { code, out } = await run(t, `
    const session = new SpeakerSession(${memory})
    session.on('failed', ({ code }) => console.log(code))
    session.playAudio({ audioUrl: 'missing.wav' })
    session.playAudio({ volume: 7 })
  `)
  assert.deepEqual([code, out], [0, 'ERR_FILE\n'])
})

test('a throwing listener breaks nothing else', async (t) => {
  const { code, out } = await run(t, `
    process.on('uncaughtException', (error) => console.log(error.message))
    const session = new SpeakerSession(${memory})
    session.on('completed', () => { throw new Error('mine') })
    session.playAudio({ audioUrl: 'clip.wav' }).then(({ outcome }) => console.log(outcome))
  `)
  assert.equal(code, 0)
  assert.deepEqual(out.split('\n').filter(Boolean).sort(), ['completed', 'mine'])
})

test('a throwing listener of `event` stops no other', async (t) => {
  const { code, out } = await run(t, `
    process.on('uncaughtException', (error) => console.log(error.message))
    const session = new SpeakerSession(${memory})
    session.on('event', ({ type }) => { if (type === 'started' || type === 'completed') throw new Error('mine') })
    for (const type of ['started', 'completed']) session.on(type, () => console.log('heard', type))
    const playing = session.playAudio({ audioUrl: 'clip.wav' })
    playing.started.then((started) => console.log(started))
    playing.then(({ outcome }) => console.log(outcome))
  `)
  assert.equal(code, 0)
  const expected = ['completed', 'heard completed', 'heard started', 'mine', 'mine', 'true']
  assert.deepEqual(out.split('\n').filter(Boolean).sort(), expected)
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

test('an open stream keeps the process', async () => {
  const script = (rest) => `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'memory' } })
    const [a, b, c] = [1, 2, 3].map(() => session.createStream({ format: 'pcm16', sampleRate: 48000, stopOther: false }))
    for (const stream of [a, b, c]) stream.finished.then(({ outcome }) => console.log(outcome))
    a.end(Buffer.alloc(9600))
    b.write(Buffer.alloc(1e6))
    b.destroy()
    ${rest}`
  const evaluate = (rest, options) => promisify(execFile)(process.execPath, ['-e', script(rest)], options)
  const { stdout } = await evaluate('session.stopAudio({ requestId: c.requestId })')
  assert.deepEqual(stdout.split('\n').sort(), ['', 'completed', 'stopped', 'stopped'])
  await assert.rejects(evaluate('', { timeout: 1500 }), ({ killed, stdout }) => killed && /completed/.test(stdout))
})
