'use strict'

// The process of soak.test.js: many sessions, and its threads, files and memory before and after. Its parent
// sends `{ url, key, secret, sessions, plays, everyMs, probes }`; it answers once, and ends by itself.

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { accessToken } = require('../../lib/livekit/access-token')
const { holdings, settled } = require('./holdings')
const { random } = require('./random')
const { tone } = require('./wav')

const ROOMS = 20
/** A task that has reported its end exists until its thread has dropped it, which may take a while on a busy machine. */
const PROBE_MS = 100
const TERMINAL = ['completed', 'stopped', 'failed']

const next = random(7)
const MP3 = path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3')
const SOURCES = [
  ...[20, 100, 400, 1500].map((ms) => ({ audio: tone(440, ms) })),
  { audioUrl: MP3 },
  { audioUrl: `${MP3}.missing` },
  { audio: Buffer.from('no audio') }
]
const pick = (list) => list[next(list.length)]

/** Opens a session in one of the rooms, and counts the terminal events of each of its requests. */
function open({ url, ...server }, n, ends) {
  const token = () => accessToken(server, `soak-${n % ROOMS}`, `speaker-${n}`, { canSubscribe: false })
  const session = new SpeakerSession({ output: { type: 'livekit', url, token, connectTimeoutMs: 30_000 } })
  for (const type of TERMINAL) {
    session.on(type, ({ requestId }) => ends.set(`${n} ${requestId}`, (ends.get(`${n} ${requestId}`) ?? 0) + 1))
  }
  return session
}

/** Opens and closes one silent session without a room: when it ends, the log has the number of tasks. */
async function probe() {
  const session = new SpeakerSession({ output: { type: 'memory' } })
  await session.connect()
  await session.close()
}

async function soak({ sessions: count, plays, everyMs, probes, ...server }) {
  const warmUp = open(server, 'first', new Map())
  await warmUp.playAudio({ audioUrl: MP3 })
  await warmUp.close()
  await probe()
  const before = holdings()

  const ends = new Map()
  const sessions = Array.from({ length: count }, (_, n) => open(server, n, ends))
  const playing = []
  const play = (session) => {
    playing.push(session.playAudio({ ...pick(SOURCES), stopOther: next(3) === 0, trackId: next(3), volume: next(3) / 2 }))
  }
  const stop = (session) => {
    return session.stopAudio(pick([{}, { trackId: next(3) }, { requestId: session.playbacks()[0]?.requestId ?? 'nobody' }]))
  }
  for (let due = performance.now(); playing.length < plays; due += everyMs) {
    await sleep(Math.max(0, due - performance.now()))
    pick([play, play, stop])(pick(sessions))
  }
  const during = holdings()
  await Promise.all(sessions.map((session) => session.close()))
  const results = await Promise.allSettled(playing)
  const after = await settled(before)
  for (let n = 0; n < probes; n++) {
    await probe()
    await sleep(PROBE_MS)
  }
  return {
    before, during, after,
    outcomes: results.map(({ value, reason }) => value?.outcome ?? reason.code),
    reasons: [...new Set(results.map(({ reason }) => reason?.message))],
    ends: [...ends.values()]
  }
}

process.once('message', async (load) => {
  process.send(await soak(load))
  process.disconnect()
})
