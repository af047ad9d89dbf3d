'use strict'

// Random calls from a fixed seed on many sessions in real time, with a misbehaving server: every promise settles,
// every request has exactly one terminal event, and no event follows it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { random } = require('../support/random')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const SESSIONS = 24
const ROUNDS = 150
const ROLES = ['system', 'voice', 'media', 'ambient']
const TERMINAL = ['completed', 'stopped', 'failed']

/** A server that answers properly, late, halfway or not at all. */
async function serve(t, clip) {
  const server = http.createServer((request, response) => {
    if (request.url === '/good') response.end(clip)
    if (request.url === '/late') setTimeout(() => response.end(clip), 40)
    if (request.url === '/half') {
      response.setHeader('content-length', clip.length)
      response.write(clip.subarray(0, 3000), () => response.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return ['/good', '/late', '/half', '/never'].map((page) => `http://127.0.0.1:${server.address().port}${page}`)
}

for (const overlap of ['mix', 'queue', 'replace']) {
  test(`random plays and stops all settle with overlap ${overlap}`, async (t) => {
    const next = random(overlap.length)
    const clips = [3, 30, 100, 400].map((ms) => tone(440, ms, { sampleRate: ms === 30 ? 22050 : 48000 }))
    const urls = await serve(t, clips[2])
    const opened = Array.from({ length: SESSIONS }, () =>
      open(t, {
        output: { clock: 'realtime' }, overlap, maxQueued: 5, maxDurationMs: 300, fetchTimeoutMs: 250, queueTimeoutMs: 400, duck: {},
        crossfadeMs: 30
      })
    )
    const sources = [
      () => ({ audio: clips[next(4)] }),
      () => ({ audio: clips[next(4)] }),
      () => ({ audioUrl: urls[next(4)] }),
      () => ({ audio: Buffer.from('no audio') })
    ]
    const source = () => sources[next(4)]()
    const target = () => [{}, { trackId: next(3) }, { requestId: `same${next(3)}` }][next(3)]
    const playing = []
    const actions = [
      (session) => session.playAudio({ ...source(), stopOther: next(4) === 0, trackId: next(3), volume: next(3) / 2, role: ROLES[next(4)] }),
      (session) => session.playAudio({ ...source(), stopOther: false, requestId: `same${next(3)}`, fadeInMs: next(50), priority: next(3), loop: 1 + next(2) }),
      (session) => session.stopAudio({ ...target(), fadeOutMs: next(100) }),
      (session) => session.playbacks().length + session.stats().playing,
      (session) => session.moveAudio({ requestId: session.playbacks().at(-1)?.requestId ?? 'nobody', queuePosition: 1 + next(3) }),
      (session) => session.interrupt({ keep: ROLES.slice(next(5)) }),
      (session) => session.pauseAudio(target()),
      (session) => session.resumeAudio(target()),
      (session) => session.seekAudio({ ...target(), positionMs: next(500) }).catch(({ code }) => code),
      (session) => session.setVolume({ ...target(), volume: next(5) / 4, fadeMs: next(80) })
    ]
    for (let round = 0; round < ROUNDS; round++) {
      for (const { session } of opened) {
        const action = [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9][next(15)]
        const result = actions[action](session)
        if (action < 2) playing.push(result)
      }
      if (round % 3 === 0) await sleep(next(9))
    }
    const last = opened.map(({ session }, index) => (index % 2 ? session.close() : sleep(800).then(() => session.close())))
    await Promise.all(last)
    const results = await Promise.allSettled(playing)
    const refused = results.filter(({ reason }) => reason?.code === 'ERR_DUPLICATE_REQUEST').length
    for (const { reason } of results) if (reason) assert.match(reason.code, /^ERR_[A-Z_]+$/, reason.stack)

    const all = opened.flatMap(({ told }) => told)
    assert.equal(all.filter(({ type }) => TERMINAL.includes(type)).length, playing.length - refused)
    for (const { told, seqs } of opened) {
      assert.deepEqual(seqs, seqs.map((_, index) => index + 1))
      const live = new Map()
      for (const { type, requestId, queuePosition } of told.filter((event) => event.requestId)) {
        // Events of one id: its queue positions, then started, then its end, then perhaps the id again.
        // (An id may be reused while the earlier playback fades out.)
        const isShared = requestId.startsWith('same')
        if (type === 'queued' && !isShared) assert.notEqual(live.get(requestId), 'started', `${requestId} waits after it started`)
        if (TERMINAL.includes(type)) live.delete(requestId)
        else live.set(requestId, queuePosition ?? type)
      }
      assert.deepEqual([...live.keys()], [], 'started and never ended')
      for (let n = 1; n < told.length; n++) assert.ok(told[n].atMs >= told[n - 1].atMs - 20, 'time runs backwards')
    }
    for (const { session } of opened) assert.deepEqual(session.playbacks(), [])
  })
}
