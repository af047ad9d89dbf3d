'use strict'

// How long ten overlapping 30 s MP3s take to become one 48 kHz mono WAV: this addon (A) against ffmpeg (B), each from
// process start to exit, in turns, so that whatever else the machine does hits both. It reports; nothing fails on time.

const { spawnSync } = require('node:child_process')
const { existsSync, mkdirSync, readFileSync, renameSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const ROUNDS = 5
const INPUTS = 10
const SECONDS = 30
const HUNG_MS = 60_000
const folder = path.join(os.tmpdir(), 'speaker-session-bench')
const outA = path.join(folder, 'a.wav')
const outB = path.join(folder, 'b.wav')

function run(command, args) {
  const start = process.hrtime.bigint()
  const child = spawnSync(command, args, { encoding: 'utf8', timeout: HUNG_MS })
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  if (child.error) throw child.error
  if (child.status !== 0) throw new Error(`${command} ended with ${child.status ?? child.signal}\n${child.stderr}`)
  return { seconds, ...child }
}

/** Ten different mixes of two voices that swell and some noise, quiet enough that their sum never clips. */
function input(n) {
  const file = path.join(folder, `in${n}.mp3`)
  if (existsSync(file)) return file
  const pitch = 110 * 2 ** (n / 5)
  const voice = (hz, swell) => `0.03*sin(2*PI*${hz}*t+3*sin(2*PI*5*t))*(0.6+0.4*sin(2*PI*${swell}*t))`
  const noise = '0.02*(random(0)-0.5)*(0.5+0.5*sin(2*PI*3*t))'
  const left = `${voice(pitch, 0.5 + n / 10)}+${noise}`
  const right = `${voice(pitch * 1.5, 0.7 + n / 10)}+${noise}`
  const source = `aevalsrc=exprs='${left}|${right}':s=44100:d=${SECONDS}`
  const encode = ['-c:a', 'libmp3lame', '-b:a', '128k', '-f', 'mp3', `${file}.part`]
  run('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', source, ...encode])
  renameSync(`${file}.part`, file) // only a whole file is found again
  return file
}

function addon(inputs) {
  const { seconds, stdout } = run(process.execPath, [path.join(__dirname, 'render.js'), outA, ...inputs])
  return { seconds, cpu: Number(stdout) }
}

function ffmpeg(inputs, log = ['-loglevel', 'error']) {
  const mix = ['-filter_complex', `amix=inputs=${INPUTS}:normalize=0`, '-ar', '48000', '-ac', '1', '-c:a', 'pcm_s16le']
  return run('ffmpeg', [...log, '-y', ...inputs.flatMap((file) => ['-i', file]), ...mix, outB])
}

/** ffmpeg tells its CPU time only where it tells much else, so that is asked in the warm-up. */
function ffmpegCpu(inputs) {
  const { stderr } = ffmpeg(inputs, ['-benchmark', '-nostats'])
  const [, user, system] = /utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr)
  return Number(user) + Number(system)
}

/** Length and level of a 16-bit mono WAV. */
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

function row(name, values, cpu, file) {
  const times = [sorted(values)[0], median(values), sorted(values).at(-1), cpu]
  const columns = times.map((time) => time.toFixed(3).padStart(8)).join('')
  const { seconds, peak, rms } = measure(file)
  const level = (value) => `${(20 * Math.log10(value)).toFixed(2)} dBFS`
  console.log(`${name.padEnd(18)}${columns}   ${seconds.toFixed(3)} s, peak ${level(peak)}, rms ${level(rms)}`)
}

function main() {
  if (spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' }).error) {
    console.error('ffmpeg is missing, and it is what is compared with (Debian: apt-get install ffmpeg)')
    process.exit(1)
  }
  mkdirSync(folder, { recursive: true })
  const inputs = Array.from({ length: INPUTS }, (_, n) => input(n + 1))
  addon(inputs)
  const cpuB = ffmpegCpu(inputs)
  const rounds = Array.from({ length: ROUNDS }, () => ({ a: addon(inputs), b: ffmpeg(inputs) }))

  console.log(`${INPUTS} MP3s of ${SECONDS} s, mixed ${ROUNDS} times each, in seconds`)
  console.log(' '.repeat(18) + ['min', 'median', 'max', 'cpu'].map((title) => title.padStart(8)).join(''))
  row('A speaker-session', rounds.map(({ a }) => a.seconds), median(rounds.map(({ a }) => a.cpu)), outA)
  row('B ffmpeg', rounds.map(({ b }) => b.seconds), cpuB, outB)
  const ratio = median(rounds.map(({ a, b }) => a.seconds / b.seconds))
  console.log(`A/B, median of the pairs: ${ratio.toFixed(2)}`)
}

main()
