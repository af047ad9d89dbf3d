'use strict'

// Time and CPU of mixing ten overlapping 30 s MP3s into one 48 kHz mono WAV: this addon (A) against ffmpeg (B), alternately, so that other
// load on the machine affects both. Each is a whole process from start to exit, threads and kernel included, as bash's `time` measures
// it (wait4); the time of starting alone is shown beside. It only reports: no time makes it fail.

const { spawnSync } = require('node:child_process')
const { existsSync, mkdirSync, readFileSync, renameSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { operands, save } = require('./results')

// `node bench/mix.js [ROUNDS]`
const [ROUNDS = 5] = operands().map(Number)
const INPUTS = 10
const SECONDS = 30
const HUNG_MS = 60_000
const folder = path.join(os.tmpdir(), 'speaker-session-bench')
const outA = path.join(folder, 'a.wav')
const outB = path.join(folder, 'b.wav')

/** Runs a command. Returns its wall and CPU time in seconds. */
function run(command, ...args) {
  // The command's errors go to stderr, and the times to a pipe of their own.
  const timed = `TIMEFORMAT='%R %U %S'; { time "$@" 2>&4; } 4>&2 2>&3`
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe']
  const child = spawnSync('bash', ['-c', timed, 'bash', command, ...args], { encoding: 'utf8', timeout: HUNG_MS, stdio })
  if (child.error) throw child.error
  if (child.status !== 0) throw new Error(`${command} ended with ${child.status ?? child.signal}\n${child.stderr}`)
  const [wall, user, system] = child.output[3].trim().split(' ').map(Number)
  return { wall, cpu: user + system }
}

const ffmpeg = (...args) => run('ffmpeg', '-nostdin', '-loglevel', 'error', '-y', ...args)

/** Returns one of ten different inputs: two swelling voices and some noise, quiet enough that their sum never clips. */
function input(n) {
  const file = path.join(folder, `in${n}.mp3`)
  if (existsSync(file)) return file
  const pitch = 110 * 2 ** (n / 5)
  const voice = (hz, swell) => `0.03*sin(2*PI*${hz}*t+3*sin(2*PI*5*t))*(0.6+0.4*sin(2*PI*${swell}*t))`
  const noise = '0.02*(random(0)-0.5)*(0.5+0.5*sin(2*PI*3*t))'
  const left = `${voice(pitch, 0.5 + n / 10)}+${noise}`
  const right = `${voice(pitch * 1.5, 0.7 + n / 10)}+${noise}`
  const source = `aevalsrc=exprs='${left}|${right}':s=44100:d=${SECONDS}`
  ffmpeg('-f', 'lavfi', '-i', source, '-c:a', 'libmp3lame', '-b:a', '128k', '-f', 'mp3', `${file}.part`)
  renameSync(`${file}.part`, file) // only a complete file is reused
  return file
}

/** Returns the programs that are measured, by name. */
function contestants(inputs) {
  const all = inputs.flatMap((file) => ['-i', file])
  const mix = ['-filter_complex', `amix=inputs=${INPUTS}:normalize=0`, '-ar', '48000', '-ac', '1', '-c:a', 'pcm_s16le']
  return {
    ours: () => run(process.execPath, path.join(__dirname, 'render.js'), outA, ...inputs),
    ffmpeg: () => ffmpeg(...all, ...mix, outB),
    nodeAlone: () => run(process.execPath, '-e', '0'),
    ffmpegAlone: () => ffmpeg('-f', 'lavfi', '-i', 'anullsrc=d=0.01', '-f', 'null', '-')
  }
}

/** Returns the length and level of a 16-bit mono WAV. */
function measure(file) {
  const bytes = readFileSync(file)
  let at = 12
  while (bytes.toString('latin1', at, at + 4) !== 'data') at += 8 + bytes.readUInt32LE(at + 4)
  const end = at + 8 + bytes.readUInt32LE(at + 4)
  let [peak, power, samples] = [0, 0, 0]
  for (at += 8; at < end; at += 2, samples++) {
    const value = bytes.readInt16LE(at) / 32768
    peak = Math.max(peak, Math.abs(value))
    power += value * value
  }
  return { seconds: samples / 48000, peak, rms: Math.sqrt(power / samples) }
}

const sorted = (values) => [...values].sort((a, b) => a - b)
const median = (values) => sorted(values)[values.length >> 1]

function row(name, runs, file) {
  const walls = sorted(runs.map(({ wall }) => wall))
  const times = [walls[0], median(walls), walls.at(-1), median(runs.map(({ cpu }) => cpu))]
  const columns = times.map((time) => time.toFixed(3).padStart(8)).join('')
  console.log(`${name.padEnd(18)}${columns}   ${file ? sound(file) : ''}`.trimEnd())
  return { wall_s: times[1], cpu_s: times[3] }
}

function sound(file) {
  const { seconds, peak, rms } = measure(file)
  const level = (value) => `${(20 * Math.log10(value)).toFixed(2)} dBFS`
  return `${seconds.toFixed(3)} s, peak ${level(peak)}, rms ${level(rms)}`
}

function main() {
  const { stdout, error } = spawnSync('ffmpeg', ['-version'], { encoding: 'utf8' })
  if (error) {
    console.error('ffmpeg is missing, and it is what is compared with (Debian: apt-get install ffmpeg)')
    process.exit(1)
  }
  const version = stdout.split(' ', 3)[2]
  mkdirSync(folder, { recursive: true })
  const runs = Object.entries(contestants(Array.from({ length: INPUTS }, (_, n) => input(n + 1))))
  const round = () => Object.fromEntries(runs.map(([name, measured]) => [name, measured()]))
  round() // fills the file caches
  const rounds = Array.from({ length: ROUNDS }, round)
  const of = (name) => rounds.map((round) => round[name])

  console.log(`${INPUTS} MP3s of ${SECONDS} s, mixed ${ROUNDS} times each; in seconds, of whole processes, CPU the median`)
  console.log(' '.repeat(18) + ['min', 'median', 'max', 'CPU'].map((title) => title.padStart(8)).join(''))
  const rows = {
    ours: row('A speaker-session', of('ours'), outA),
    ffmpeg: row('B ffmpeg', of('ffmpeg'), outB),
    nodeAlone: row('  node alone', of('nodeAlone')),
    ffmpegAlone: row('  ffmpeg alone', of('ffmpegAlone'))
  }
  const ratio = (time) => median(rounds.map(({ ours, ffmpeg }) => ours[time] / ffmpeg[time]))
  const [wallRatio, cpuRatio] = [ratio('wall'), ratio('cpu')]
  console.log(`A/B, medians of the pairs: ${wallRatio.toFixed(2)} of the time, ${cpuRatio.toFixed(2)} of the CPU; B is ffmpeg ${version}`)
  save('mix', { ...rows, wallRatio, cpuRatio, ffmpegVersion: version, rounds: ROUNDS })
}

main()
