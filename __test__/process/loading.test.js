'use strict'

// The addon in modules and worker threads, and its log.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { memory, root, run } = require('../support/process')

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

test('worker threads can be terminated while playing', async (t) => {
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

test('the only worker can be terminated', async (t) => {
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

test('SPEAKER_SESSION_LOG logs to stderr', async (t) => {
  const { err } = await run(t, `
    process.env.SPEAKER_SESSION_LOG = 'debug'
    new SpeakerSession(${memory}).playAudio({ requestId: 'logged', audioUrl: 'clip.wav' })
  `)
  assert.match(err, /DEBUG .*logged.*Completed/)
})
