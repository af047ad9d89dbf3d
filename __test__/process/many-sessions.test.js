'use strict'

// Two hundred sessions of one thread share one bell, and each gets its own messages.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { memory, run } = require('../support/process')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const COUNT = 200

test('200 sessions get their own events and promises', async (t) => {
  const sessions = Array.from({ length: COUNT }, (_, n) => ({ n, frames: [], ...open(t, {
    output: n % 4 === 3
      ? { type: 'pcm', clock: 'manual', onFrame: (frame) => sessions[n].frames.push(frame) }
      : { clock: n % 4 === 0 ? 'realtime' : 'manual' },
    progressIntervalMs: 20
  }) }))
  await Promise.all(sessions.map(async ({ n, session, told, seqs, frames }) => {
    const tap = session.tap()
    let tapped = 0
    tap.on('data', () => (tapped += 1))
    const durationMs = 40 + n
    const playing = session.playAudio({ requestId: `of ${n}`, audio: tone(440, durationMs) })
    const failing = session.playAudio({ requestId: `bad ${n}`, audio: Buffer.from('no audio, however long it is read'), stopOther: false })
    if (n % 4) await session.advance(durationMs)
    assert.deepEqual(await playing, { requestId: `of ${n}`, outcome: 'completed', durationMs, positionMs: durationMs })
    await assert.rejects(failing, { code: 'ERR_UNSUPPORTED_FORMAT', requestId: `bad ${n}` })
    await session.close()
    assert.deepEqual(new Set(told.map(({ requestId }) => requestId)), new Set([undefined, `of ${n}`, `bad ${n}`]))
    assert.deepEqual(seqs, seqs.map((_, index) => index + 1))
    assert.equal(told.filter(({ type }) => type === 'progress').length, Math.floor(durationMs / 20))
    assert.equal(told.at(-1).type, 'disconnected')
    assert.ok(tapped >= Math.floor(durationMs / 20), `${tapped} frames of ${durationMs} ms`)
    if (n % 4 === 3) assert.ok(frames.length >= Math.floor(durationMs / 20))
  }))
})

test('listeners may open and close sessions', async (t) => {
  const ends = []
  const sessions = Array.from({ length: 40 }, () => open(t, { output: { clock: 'realtime' } }))
  for (const [n, { session }] of sessions.entries()) {
    ends.push(session.playAudio({ requestId: `${n}`, audio: tone(440, 20) }))
    session.once('started', () => {
      const { session: other } = open(t, { output: { clock: 'realtime' } })
      ends.push(other.playAudio({ requestId: 'other', audio: tone(440, 20) }))
      other.once('completed', () => ends.push(other.close()))
    })
    session.once('completed', () => ends.push(session.close()))
  }
  for (let n = 0; n < ends.length; n++) await ends[n]
  for (const [n, { told }] of sessions.entries()) {
    assert.deepEqual(told.map(({ type, requestId }) => `${type} ${requestId ?? ''}`.trim()), ['connected', `started ${n}`, `completed ${n}`, 'disconnected'])
  }
})

/** The script of a thread with many sessions. */
const crowd = `
  const told = []
  const sessions = Array.from({ length: ${COUNT} }, (_, n) => {
    const session = new SpeakerSession(${memory})
    session.on('started', ({ requestId }) => told.push([n, requestId]))
    return session
  })
  const started = sessions.map((session) => new Promise((resolve) => session.once('started', resolve)))
  sessions.forEach((session, n) => session.playAudio({ requestId: 'of ' + n, audioUrl: 'long.wav' }))
  const whole = Promise.all(started).then(() => told.length === ${COUNT} && told.every(([n, requestId]) => requestId === 'of ' + n))
`

for (const end of ['terminate', 'return', 'exit', 'throw']) {
  test(`a worker may end by ${end} while 200 sessions are open`, async (t) => {
    const ending = { terminate: '', return: 'parentPort.close()', exit: 'process.exit()', throw: `setImmediate(() => { throw new Error('mine') })` }
    const { code, signal, out, err } = await run(t, `
      const { Worker, isMainThread, parentPort } = require('node:worker_threads')
      if (isMainThread) {
        ${crowd}
        const worker = new Worker(__filename)
        worker.on('error', ({ message }) => console.log('error ' + message))
        worker.on('message', async (message) => {
          console.log('worker ' + message)
          ${end === 'terminate' ? 'await worker.terminate()' : `${end === 'return' ? `worker.postMessage('return')` : ''}`}
        })
        worker.once('exit', async () => {
          console.log('main ' + await whole)
          console.log('all ' + SpeakerSession.processStats().broken)
          await Promise.all(sessions.map((session) => session.close()))
          console.log('closed')
        })
      } else {
        ${crowd}
        whole.then((message) => {
          parentPort.postMessage(message)
          ${end === 'return' ? `sessions.forEach((session) => session.stopAudio())` : ending[end]}
        })
        ${end === 'return' ? `parentPort.once('message', () => {})` : ''}
      }
    `)
    const lines = out.trim().split('\n')
    assert.deepEqual([code, signal, err], [0, null, ''], out)
    if (end === 'throw') assert.ok(lines.includes('error mine'), out)
    assert.deepEqual(lines.filter((line) => !line.startsWith('error')), [
      // A thread that exits may not be in time to report it.
      ...(end === 'exit' && !lines.includes('worker true') ? [] : ['worker true']), 'main true', 'all 0', 'closed'
    ])
  })
}
