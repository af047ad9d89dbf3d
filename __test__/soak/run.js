'use strict'

// `npm run soak`: ten thousand plays in one session, then two thousand sessions one after the other, from files, buffers, servers
// and streams, with stops and failures, in random order from a fixed seed. Memory must not grow with them, every promise must
// settle, every request must end once, and in the end nothing may be left. `--short` does a part of it; `--leak=<KiB>` leaks that much per
// play, to show that it is detected. Runs on Linux; exit code 1 on a failure. See docs/testing.md.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Readable } = require('node:stream')
const { parseArgs } = require('node:util')

const { SpeakerSession } = require('../..')
const { bodies } = require('../hostile/bodies')
const { holdings, settled } = require('../support/holdings')
const { random } = require('../support/random')
const { RAW, steady } = require('../support/stream')
const { tone } = require('../support/wav')
const { growth } = require('./growth')

const { values: { short, leak } } = parseArgs({ options: { short: { type: 'boolean' }, leak: { type: 'string' } } })
const PLAYS = short ? 1500 : 10_000
const SESSIONS = short ? 300 : 2000
/** The number of memory measurements. (The script in package.json sets one malloc arena: more vary more.) */
const POINTS = 30
const AT_ONCE = 40
const PATIENCE_MS = 60_000
/**
 * The limit of growth over the last two thirds, in MiB. A process without a leak varies by a few; one that leaks 2 KiB per play of ten
 * thousand, or 10 KiB per session of two thousand, exceeds it.
 */
const MAX_GROWTH = 12
const EXPECTED = new Set([
  'completed', 'stopped', 'ERR_FILE', 'ERR_UNSUPPORTED_FORMAT', 'ERR_DECODE', 'ERR_HTTP_STATUS', 'ERR_TRUNCATED',
  'ERR_FETCH_FAILED', 'ERR_EMPTY_SOURCE', 'ERR_STREAM', 'ERR_CLOSED'
])

const folder = mkdtempSync(path.join(os.tmpdir(), 'soak-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const next = random(5)
const pick = (list) => list[next(list.length)]
const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)
const FORMATS = ['tone-cbr.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone-faststart.m4a', 'tone.aac', 'tone.aiff']
const BUFFERS = FORMATS.map((name) => readFileSync(fixture(name)))
const HOSTILE = ['ogg-codebooks', 'wav-channels-65535', 'aiff-channels-65535', 'mp4-many-samples', 'mp4-many-even-samples', 'wav-nan'].map((name) => Buffer.concat([...bodies[name]()]))
const BLIP = tone(440, 20)

/** Ways to play: each returns the promise of a playback. */
function ways(server) {
  const part = () => ({ startMs: next(500), durationMs: 20 + next(40) })
  const url = (place) => `${server}${place}`
  const plays = [
    () => ({ audio: BLIP }),
    () => ({ audioUrl: fixture(pick(FORMATS)), ...part() }),
    () => ({ audio: pick(BUFFERS), ...part() }),
    () => ({ audio: BLIP, loop: 3 }),
    () => ({ audio: pick(HOSTILE) }),
    () => ({ audio: Buffer.from('no audio') }),
    () => ({ audioUrl: fixture('missing.mp3') }),
    () => ({ audioUrl: url(`/body/${pick(['mp3', 'wav', 'mp3-endless', 'wav-endless'])}`), durationMs: 30 }),
    () => ({ audioUrl: url(pick(['/416', '/close', '/close-chunked', '/reset', '/reset-within', '/junk', '/204', '/206'])) }),
    () => ({ audio: Readable.from([steady(10), steady(10)]), ...RAW }),
    () => ({ audio: (async function* () {
      yield steady(20)
      throw new Error('the service is gone')
    })(), ...RAW })
  ].map((request) => (session, options) => session.playAudio({ ...request(), ...options }))
  const written = (end) => (session, options) => {
    const stream = session.createStream({ ...RAW, ...options })
    stream.on('error', () => {})
    stream.write(steady(20))
    end(stream)
    return stream.finished
  }
  return [...plays, written((stream) => stream.end()), written((stream) => stream.destroy()), written((stream) => stream.destroy(new Error('no'))),
    written((stream) => void stream.flush().then(() => stream.end(steady(10)), () => {}))]
}

/** Makes a random call of a user, or none. */
function meddle(session, requestId) {
  const target = { requestId }
  if (next(200) === 0) return next(2) ? session.stopAudio() : session.interrupt()
  const act = pick([
    null, null, null, null,
    () => session.stopAudio(target),
    () => session.setVolume({ ...target, volume: 0.5 }),
    () => session.pauseAudio(target).then(() => session.resumeAudio(target)),
    () => session.seekAudio({ ...target, positionMs: 5 })
  ])
  return act?.()?.catch((error) => {
    if (error.code !== 'ERR_NOT_SEEKABLE' && error.code !== 'ERR_CLOSED') throw error
  })
}

const LEAKED = []
const outcomes = new Map()
const ends = new Map()
let number = 0

/** Opens a session whose terminal events are counted. */
function open(output) {
  const session = new SpeakerSession({ output, maxConcurrent: 100, fetchTimeoutMs: 5000 })
  for (const type of ['completed', 'stopped', 'failed']) {
    session.on(type, ({ requestId }) => ends.set(requestId, (ends.get(requestId) ?? 0) + 1))
  }
  return session
}

/** Plays once, from the request to its end. */
async function play(session, way) {
  const requestId = `it-${number++}`
  if (leak) LEAKED.push(Buffer.alloc(Number(leak) * 1024, 1))
  const ended = way(session, { requestId, stopOther: next(200) === 0, trackId: next(3) })
  const both = Promise.all([ended.then(({ outcome }) => outcome, (error) => error.code), meddle(session, requestId)])
  let patience
  const late = new Promise((resolve) => (patience = setTimeout(resolve, PATIENCE_MS, ['never'])))
  const [outcome] = await Promise.race([both, late])
  clearTimeout(patience)
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const told = ends.get(requestId)
  ends.delete(requestId)
  // A request that is refused because its session is closed has no events.
  if (told !== 1 && !(told === undefined && outcome === 'ERR_CLOSED')) throw new Error(`${requestId} (${outcome}) was told to have ended ${told} times`)
}

/** Calls `one` so many times, some at once. Returns memory measurements at even distances, in MiB. */
async function repeat(count, one) {
  const held = []
  for (let point = 0; point < POINTS; point++) {
    let left = Math.round(count / POINTS)
    const worker = async () => {
      while (left-- > 0) await one()
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    global.gc()
    held.push(process.memoryUsage().rss / 2 ** 20)
  }
  return held
}

async function main() {
  const child = fork(path.join(__dirname, '..', 'hostile', 'server.js'))
  const [port] = await once(child, 'message')
  const all = ways(`http://127.0.0.1:${port}`)
  const pcm = { type: 'pcm', onFrame() {} }
  const outputs = [
    () => pcm, () => ({ ...pcm, sampleRate: 16000 }), () => ({ type: 'memory' }),
    () => ({ type: 'wav', path: path.join(folder, `${next(50)}.wav`) })
  ]
  const wrong = []

  /** Opens and closes a session. Every tenth is on the manual clock, and some are closed while they play. */
  const life = async () => {
    const isManual = next(10) === 0
    const session = open({ ...pick(outputs)(), clock: isManual ? 'manual' : 'realtime' })
    const playing = [play(session, pick(all)), play(session, pick(all))]
    if (isManual) await session.advance(100)
    else if (next(2)) await Promise.all(playing)
    await session.close()
    await Promise.all(playing)
  }

  // First uses every kind of source, before resources are counted.
  for (let n = 0; n < 20; n++) await life()
  const before = await settled(holdings())
  const parts = {
    [`${PLAYS} plays in a session`]: async () => {
      const session = open(pcm)
      const held = await repeat(PLAYS, () => play(session, pick(all)))
      await session.close()
      return held
    },
    [`${SESSIONS} sessions`]: () => repeat(SESSIONS, life)
  }
  for (const [what, part] of Object.entries(parts)) {
    const begun = performance.now()
    const held = await part()
    const grown = growth(held)
    const seconds = Math.round((performance.now() - begun) / 1000)
    console.log(`${what}: ${seconds} s, ${Math.round(held[0])} MiB at first, ${Math.round(held.at(-1))} at last; grows by ${grown.toFixed(1)}`)
    if (grown > MAX_GROWTH) wrong.push(`Expected at most ${MAX_GROWTH} MiB more for ${what} but received ${grown.toFixed(1)} (${held.map(Math.round).join(' ')})`)
  }

  const after = await settled(before)
  console.log(`held before: ${JSON.stringify(before)}, after: ${JSON.stringify(after)}; ${JSON.stringify(SpeakerSession.processStats())}`)
  for (const name of Object.keys(before)) {
    if (after[name] > before[name]) wrong.push(`Expected at most ${before[name]} ${name} in the end but received ${after[name]}`)
  }
  const { sessions, broken } = SpeakerSession.processStats()
  if (sessions > 0 || broken > 0) wrong.push(`${sessions} sessions are open and ${broken} broke`)
  console.log([...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', '))
  for (const outcome of outcomes.keys()) if (!EXPECTED.has(outcome)) wrong.push(`some ended as ${outcome}`)
  for (const outcome of EXPECTED) if (outcome !== 'ERR_CLOSED' && !outcomes.has(outcome)) wrong.push(`none ended as ${outcome}`)
  child.disconnect()
  for (const fault of wrong) console.log(`WRONG: ${fault}`)
  process.exitCode = wrong.length > 0 ? 1 : 0
}

main()
