'use strict'

// The loads that sessions.js and scale.js measure: N sessions in a process of its own, and libopus alone.

const { execFileSync, fork, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { mkdirSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { AccessToken } = require('livekit-server-sdk')

const { wavFile } = require('../__test__/support/wav')

const WINDOW_MS = 10_000
const HUNG_MS = 300_000
const RATE = 48000
const SECONDS = 30
const noise = path.join(os.tmpdir(), 'speaker-session-bench', 'noise.wav')
const mp3 = path.join(os.tmpdir(), 'speaker-session-bench', 'noise.mp3')

/** Writes the files that are played, a WAV and an MP3, like speech: harmonics of a wandering voice and some breath, in syllables. It is the same each time. */
function writeSounds() {
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

/** Builds what measures libopus. */
function buildEncoder() {
  execFileSync('cargo', ['build', '--release', '--locked', '--example', 'encode'], { cwd: root, stdio: 'inherit' })
}

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

/** Runs one load in its own process, whose pid `started` is called with; one that hangs is killed. */
async function load(server, kind, count, sound = {}, started = () => {}) {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
  const child = fork(path.join(__dirname, 'session-load.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
  started(child.pid)
  let result
  child.on('message', (message) => (result = message))
  const tokens = await Promise.all(Array.from({ length: count }, () => token(server)))
  child.send({ kind, url: server.url, tokens, noise, windowMs: WINDOW_MS, ...sound })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) console.error(`${kind} with ${count} sessions ended with ${code ?? signal}`)
  return result
}

module.exports = { WINDOW_MS, bareEncode, buildEncoder, load, mp3, writeSounds }
