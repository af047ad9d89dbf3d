'use strict'

// The cost of a speaking session in a LiveKit room: this addon against @livekit/rtc-node, N sessions in one process, each in a room of its
// own without listeners, sending the same sound as one Opus track of 64 kbit/s, each from another position on, and against libopus alone,
// which encodes as much, all in one phase (bench/encode.rs). Each packet is sent once, except in the row with RED, which is the addon's
// default. The addon plays a WAV file; then a clip that all sessions share; for one N also with RED, and an MP3 file; and once beside ten
// endless decoders. Then the cost of a thousand sessions that have spoken and are silent. The median of several rounds is shown.
//
// A session of the addon publishes three tracks (0 to 2) as it joins, of which one is spoken on; rtc-node publishes that one. Speaking
// sessions connect ten at a time; "ready" is the time at which the first frame was sent (addon) or the track was published (rtc-node).
// Late frames were mixed more than 20 ms after they were due. The server is its own process and not counted. It only
// reports: no time makes it fail.

const { execFileSync, fork, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { mkdirSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { AccessToken } = require('livekit-server-sdk')

const { operands, save } = require('./results')
const { wavFile } = require('../__test__/support/wav')
const { startServer } = require('../scripts/livekit-server')

// `node bench/sessions.js [COUNTS [SILENT [ROUNDS]]]`
const [COUNTS = '1,10,40,100,300', SILENT = '1000', ROUNDS = '1'] = operands()
const EXTRAS_AT = 40
const BUSY_AT = 150
const DECODERS = 10
const OFFICIAL_MAX = 30 // with 100 on two cores it sent next to nothing, and did not finish in time
const WINDOW_MS = 10_000
const HUNG_MS = 120_000
const RATE = 48000
const SECONDS = 30
const MB = 1e6
const FRAMES = 50 // a second
const noise = path.join(os.tmpdir(), 'speaker-session-bench', 'noise.wav')
const mp3 = path.join(os.tmpdir(), 'speaker-session-bench', 'noise.mp3')

/** Writes a file like speech: harmonics of a wandering voice and some breath, in syllables. It is the same each time. */
function writeNoise() {
  const samples = new Float64Array(SECONDS * RATE)
  let [phase, seed] = [0, 1]
  for (let n = 0; n < SECONDS * RATE; n++) {
    const t = n / RATE
    phase += (2 * Math.PI * (130 + 30 * Math.sin(2 * Math.PI * 0.7 * t))) / RATE
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    let value = 0.1 * (seed / 2 ** 31 - 1)
    for (let harmonic = 1; harmonic <= 20; harmonic++) value += (0.3 / harmonic) * Math.sin(harmonic * phase)
    const syllable = 0.15 + 0.85 * Math.sin(Math.PI * 4 * t) ** 2
    samples[n] = 0.3 * syllable * value
  }
  mkdirSync(path.dirname(noise), { recursive: true })
  writeFileSync(noise, wavFile(samples, RATE))
  if (spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' }).error) {
    throw new Error('ffmpeg is missing, which makes the MP3 file that is played (Debian: apt-get install ffmpeg)')
  }
  // In stereo at 44.1 kHz, as most files are.
  const encode = ['-ac', '2', '-ar', '44100', '-c:a', 'libmp3lame', '-b:a', '128k', mp3]
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-i', noise, ...encode])
}

const root = path.join(__dirname, '..')
const encode = path.join(root, 'target', 'release', 'examples', 'encode')

/** Measures the CPU that libopus alone takes for the sound of one of `count` sessions, in cores. */
function bareEncode(count) {
  const [bitrate, complexity] = ['64000', '5'] // as session-load.js has it
  return Number(execFileSync(encode, [noise, String(count), bitrate, complexity, String(WINDOW_MS / 1000)]))
}

let rooms = 0

function token(server) {
  const access = new AccessToken(server.key, server.secret, { identity: 'speaker', ttl: '1h' })
  access.addGrant({ roomJoin: true, room: `bench-${++rooms}`, canSubscribe: false })
  return access.toJwt()
}

/** Returns the round with the median cost; undefined if none finished. */
function median(results) {
  const sorted = results.filter(Boolean).sort((a, b) => a.cores - b.cores)
  return sorted[Math.floor(sorted.length / 2)]
}

/** Runs one load in its own process; one that hangs is killed. */
async function load(server, kind, count, sound = {}) {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
  const child = fork(path.join(__dirname, 'session-load.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
  let result
  child.on('message', (message) => (result = message))
  const tokens = await Promise.all(Array.from({ length: count }, () => token(server)))
  child.send({ kind, url: server.url, tokens, noise, windowMs: WINDOW_MS, ...sound })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) console.error(`${kind} with ${count} sessions ended with ${code ?? signal}`)
  return result
}

const COLUMNS = [8, 8, 8, 14, 12, 8, 8, 12, 8, 10]
const HEADS = ['sessions', 'ready s', 'CPU %', 'CPU %/session', 'us/frame', 'late', 'RSS MB', 'MB/session', 'threads', 'real time']

const number = (value, digits) => (value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits))

function line(name, cells) {
  console.log(name.padEnd(18) + cells.map((cell, n) => String(cell).padStart(COLUMNS[n] + 1)).join(''))
}

/** The results, for the line of JSON. */
const found = []

/** Prints a load. `MB/session` is the memory that each session adds to a process with only the first. */
function row(name, result, one = result) {
  if (!result) return line(name, ['none'])
  const { sessions, readyMs, cores, sound, late, rss, threads, errors, odd } = result
  const percent = (100 * cores) / sessions
  const added = sessions > one.sessions ? (rss - one.rss) / (sessions - one.sessions) / MB : NaN
  const speaking = sound > 0
  const us = speaking ? (1e6 * cores) / sound / FRAMES : NaN
  line(name, [
    sessions, number(readyMs / 1000, 2), number(100 * cores, 1), number(percent, speaking ? 2 : 4), number(us, 1),
    late === undefined ? '' : `${number(100 * late, 2)} %`, number(rss / MB, 0), number(added, 2), threads,
    speaking ? `${number((100 * sound) / sessions, 1)} %` : ''
  ])
  if (errors.length > 0) console.log(`  ${errors.length} did not join: ${errors[0]}`)
  if (odd.length > 0) console.log(`  ${odd.join(', ')}`)
  found.push({ name, sessions, readyMs, percentOfCoreEach: percent, usPerFrame: us, lateShare: late, rssMB: rss / MB, addedMB: added, threads })
  return { percent, added, late: sound / sessions < 0.95 }
}

function ratio(name, one, other, digits = 2) {
  const value = one.percent / other.percent
  line(name, ['', '', '', number(value, digits), '', '', '', number(one.added / other.added, 3)])
  found.push({ name, ratio: value })
}

async function main() {
  writeNoise()
  execFileSync('cargo', ['build', '--release', '--locked', '--example', 'encode'], { cwd: root, stdio: 'inherit' })
  const server = await startServer()
  try {
    console.log(`${os.cpus().length} cores; CPU over ${WINDOW_MS / 1000} s, in % of one core`)
    line('', HEADS)
    const one = {}
    for (const count of COUNTS.split(',').map(Number)) {
      const loads = { ours: [], bare: [], clip: [], official: [] }
      for (let round = 0; round < Number(ROUNDS); round++) {
        loads.ours.push(await load(server, 'ours', count))
        loads.bare.push({ cores: bareEncode(count) })
        loads.clip.push(await load(server, 'ours', count, { play: 'clip' }))
        if (count <= OFFICIAL_MAX) loads.official.push(await load(server, 'official', count))
      }
      const ours = median(loads.ours)
      one.ours ??= ours
      const a = row('A speaker-session', ours, one.ours)
      const bare = { percent: 100 * median(loads.bare).cores }
      line('C libopus alone', ['', '', '', number(bare.percent, 2), number((bare.percent * 1e4) / FRAMES, 1)])
      if (a) ratio('A/C', a, bare)
      const clip = row('A, one clip', median(loads.clip), one.ours)
      if (clip) ratio('A, one clip/C', clip, bare)
      if (count === EXTRAS_AT) row('A, RED', await load(server, 'ours', count, { red: true }), one.ours)
      if (count === EXTRAS_AT) row('A, an MP3', await load(server, 'ours', count, { play: 'file', file: mp3 }), one.ours)
      if (count > OFFICIAL_MAX) {
        console.log(`${'B rtc-node'.padEnd(18)} not done with more than ${OFFICIAL_MAX}`)
        continue
      }
      const official = median(loads.official)
      one.official ??= official
      const b = row('B rtc-node', official, one.official)
      if (!a || !b) continue
      ratio('A/B', a, b, 3)
      if (clip) ratio('A, one clip/B', clip, b, 3)
      if (b.late) console.log('  B fell behind: what it did not send cost it nothing, so the ratio is too kind to it')
    }
    row(`A, ${DECODERS} decoders`, await load(server, 'ours', BUSY_AT, { decoders: DECODERS, decoded: mp3 }), one.ours)
    // All at once, to measure how long it takes until each is ready.
    row('A silent', await load(server, 'ours', Number(SILENT), { play: 'nothing', atOnce: 100 }), one.ours)
    save('sessions', found)
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
