'use strict'

// Time and memory of the replay of a day: users whose requests are spread over it, each for an MP3 of some seconds. It runs the command
// line as a user does, from start to exit. It only reports: no time makes it fail.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { createWriteStream, mkdirSync, readFileSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { operands, save } = require('./results')

// `node bench/replay.js [USERS] [PLAYS OF EACH]`
const [USERS = 10_000, PLAYS = 10] = operands().map(Number)
const DAY_MS = 24 * 3600 * 1000
const PROGRAM = path.join(__dirname, '..', 'bin', 'speaker-session.js')
const AUDIO = path.join(__dirname, '..', 'examples', 'audio', 'welcome.mp3')

/** Writes the log in order of time: all users have their first request, then all their second, and so on. */
async function writeLog(file) {
  const log = createWriteStream(file)
  for (let play = 0; play < PLAYS; play++) {
    for (let user = 0; user < USERS; user++) {
      const atMs = Math.floor(((play + user / USERS) * DAY_MS) / (PLAYS + 1))
      const line = JSON.stringify({ user: `user-${user}`, atMs, type: 'play', audioUrl: AUDIO, trackId: play % 3 })
      if (!log.write(`${line}\n`)) await once(log, 'drain')
    }
  }
  log.end()
  await once(log, 'close')
}

/** Replays a log. Returns the time and the peak memory, as Linux counts it. */
async function replay(log, report) {
  const begun = performance.now()
  const child = spawn(process.execPath, [PROGRAM, 'replay', log, '--report', report], { stdio: ['ignore', 'ignore', 'inherit'] })
  let peakKb = 0
  const look = setInterval(() => (peakKb = Math.max(peakKb, peakOf(child.pid))), 100)
  const [code, signal] = await once(child, 'exit')
  clearInterval(look)
  if (code !== 0) throw new Error(`the replay ended with ${code ?? signal}`)
  return { seconds: (performance.now() - begun) / 1000, peakMb: peakKb / 1024 }
}

function peakOf(pid) {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0 // it has just ended
  }
}

async function main() {
  const folder = path.join(os.tmpdir(), `speaker-session-bench-${process.pid}`)
  mkdirSync(folder)
  try {
    const [log, report] = ['day.jsonl', 'day.json'].map((name) => path.join(folder, name))
    await writeLog(log)
    const { seconds, peakMb } = await replay(log, report)
    const { totals } = JSON.parse(readFileSync(report, 'utf8'))
    const hours = totals.heardMs / 3_600_000
    console.log(`${totals.users} users, ${totals.plays} plays, ${hours.toFixed(1)} h of sound in ${seconds.toFixed(1)} s, ${peakMb.toFixed(0)} MB at most`)
    save('replay', { users: totals.users, plays: totals.plays, heard_h: hours, seconds, peak_mb: peakMb })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
