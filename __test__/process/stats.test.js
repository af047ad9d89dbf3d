'use strict'

// `SpeakerSession.processStats()`: statistics of this process.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { SpeakerSession } = require('../..')
const { collects, memory, root, run } = require('../support/process')
const { tone } = require('../support/wav')

const manual = { output: { type: 'memory', clock: 'manual' } }
const none = { sessions: 0, broken: 0, clips: 0, clipBytes: 0 }

test('processStats counts sessions, open and closed', async () => {
  assert.deepEqual(SpeakerSession.processStats(), none)
  const sessions = Array.from({ length: 20 }, (_, n) => new SpeakerSession(n % 2 ? manual : { output: { type: 'memory' } }))
  assert.deepEqual(SpeakerSession.processStats(), { ...none, sessions: 20 })
  sessions[0].playAudio({ audio: tone(440, 5000) })
  await sessions[2].connect()
  for (const [n, session] of sessions.entries()) {
    await session.close()
    await session.close()
    assert.deepEqual(SpeakerSession.processStats(), { ...none, sessions: 19 - n }, `${n}`)
  }
})

test('a session refused by its options is not counted', () => {
  assert.throws(() => new SpeakerSession({ output: { type: 'mp3' } }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.deepEqual(SpeakerSession.processStats(), none)
})

test('a session whose output failed is counted till close', async () => {
  const session = new SpeakerSession({ output: { type: 'wav', path: '/nowhere/mix.wav' } })
  await assert.rejects(session.connect(), { code: 'ERR_OUTPUT' })
  assert.deepEqual(SpeakerSession.processStats(), { ...none, sessions: 1 })
  await session.close()
  assert.deepEqual(SpeakerSession.processStats(), none)
})

test('sessions of worker threads are counted too', async () => {
  const worker = new Worker(`
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const { parentPort } = require('node:worker_threads')
    const sessions = [1, 2, 3].map(() => new SpeakerSession(${memory}))
    parentPort.postMessage(SpeakerSession.processStats())
    parentPort.once('message', async () => {
      await Promise.all(sessions.map((session) => session.close()))
      parentPort.postMessage('closed')
    })
  `, { eval: true })
  assert.deepEqual((await once(worker, 'message'))[0], { ...none, sessions: 3 })
  assert.deepEqual(SpeakerSession.processStats(), { ...none, sessions: 3 })
  worker.postMessage('close')
  await once(worker, 'message')
  assert.deepEqual(SpeakerSession.processStats(), none)
  await worker.terminate()
})

test('collected sessions are not counted', async (t) => {
  const { code, out, err } = await run(t, `
    ${collects}
    ;(async () => {
      await (async () => {
        for (let n = 0; n < 10; n++) await new SpeakerSession(${memory}).playAudio({ audioUrl: 'clip.wav', durationMs: 1 })
      })()
      for (let n = 0; n < 100 && SpeakerSession.processStats().sessions > 0; n++) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      console.log(JSON.stringify(SpeakerSession.processStats()))
    })()
  `)
  assert.deepEqual([code, out, err], [0, `${JSON.stringify(none)}\n`, ''])
})
