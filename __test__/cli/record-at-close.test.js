'use strict'

// A recording agrees with the emitted events: a playback that started before close starts in the replay too.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { random } = require('../support/random')
const { recording, replayed } = require('../support/recording')
const { RAW, steady } = require('../support/stream')
const { tone } = require('../support/wav')

const SESSIONS = 30

/** Plays several requests and closes right after one has started. */
async function perform(session, next) {
  const plays = 1 + next(4)
  for (let n = 0; n < plays; n++) {
    const request = { requestId: `${n}`, stopOther: next(3) === 0, trackId: next(2) }
    if (next(5) === 0) session.createStream({ ...request, ...RAW }).on('error', () => {}).end(steady(300))
    else session.playAudio({ ...request, audio: tone(300 + n, [30, 300, 2000][next(3)]), fadeInMs: next(2) * 40 })
    await sleep(next(60))
    if (next(6) === 0) await session.stopAudio({ trackId: next(2) })
  }
  const started = once(session, 'started')
  session.playAudio({ requestId: 'last', audio: tone(880, 500), stopOther: next(2) === 0, trackId: next(2) })
  await started
  if (next(2)) await sleep(next(25))
  await session.close()
}

test('what started before close starts in the replay', async (t) => {
  const files = await Promise.all(Array.from({ length: SESSIONS }, async (_, n) => {
    const { session, told, file } = recording(t, { output: { clock: 'realtime' }, overlap: ['mix', 'queue', 'replace'][n % 3] })
    await perform(session, random(n))
    return { told, file }
  }))
  for (const [n, { told, file }] of files.entries()) {
    const started = told.filter(({ type }) => type === 'started').map(({ requestId }) => requestId)
    const { playbacks } = await replayed(file)
    const again = playbacks.filter(({ startedAtMs }) => startedAtMs !== undefined).map(({ requestId }) => requestId)
    for (const requestId of started) assert.ok(again.includes(requestId), `session ${n}: ${requestId} does not start`)
  }
})
