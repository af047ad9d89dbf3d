'use strict'

// The cost of an event or a frame on the JavaScript thread, while other sessions of the process are idle. Ten
// sessions play into `pcm` outputs and emit `progress` every 20 ms; 0, 1,000 and 4,000 sessions do nothing. Idle sessions
// should cost nothing, so the ratios to the first row should be about 1.
//
// Every case runs in its own process, alternating with the others, and the medians of all rounds are printed:
//
//   CPU µs    time on the CPU of the JavaScript thread for each event or frame (Linux; /proc)
//   loop µs   time that the event loop was not waiting, for each (eventLoopUtilization); grows if other processes run
//   process   CPU time of the whole process for each, in µs, mixing included
//
// It only reports: no time makes it fail. `node bench/events.js [--quick]`: one short round.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const os = require('node:os')
const { setTimeout: sleep } = require('node:timers/promises')

const { tone } = require('../__test__/support/wav')
const { save } = require('./results')

const IDLE = [0, 1000, 4000]
const PLAYING = 10
const EVERY_MS = 20
const WARM_UP_MS = 1500
const HUNG_MS = 120_000

const QUICK = { rounds: 1, windowMs: 2000 }
const FULL = { rounds: 3, windowMs: 6000 }

/** Returns the CPU time of the main thread so far, in µs; undefined where there is no /proc. */
function threadCpu() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ', 1)[0]) / 1000
  } catch {
    return undefined
  }
}

/** Measures one case in this process, and sends the result to the parent. */
async function measure({ idle, windowMs }) {
  const { SpeakerSession } = require('..')
  const held = Array.from({ length: idle }, () => new SpeakerSession({ output: { type: 'memory', clock: 'manual' } }))
  let [frames, events] = [0, 0]
  const audio = tone(440, WARM_UP_MS + windowMs + 5000)
  for (let n = 0; n < PLAYING; n++) {
    const output = { type: 'pcm', onFrame: () => frames++ }
    const session = new SpeakerSession({ output, progressIntervalMs: EVERY_MS })
    session.on('progress', () => events++)
    session.playAudio({ audio })
  }
  await sleep(WARM_UP_MS)
  ;[frames, events] = [0, 0]
  const [thread, cpu, loop] = [threadCpu(), process.cpuUsage(), performance.eventLoopUtilization()]
  await sleep(windowMs)
  const { active } = performance.eventLoopUtilization(loop)
  const { user, system } = process.cpuUsage(cpu)
  const calls = frames + events
  process.send({
    idle: held.length,
    perSecond: (calls * 1000) / windowMs,
    threadUs: thread === undefined ? NaN : (threadCpu() - thread) / calls,
    loopUs: (active * 1000) / calls,
    processUs: (user + system) / calls
  }, () => process.exit())
}

/** Runs one case in its own process; one that hangs is killed. */
async function run(test) {
  const child = fork(__filename, ['--case'], { timeout: HUNG_MS, killSignal: 'SIGKILL' })
  let result
  child.on('message', (message) => (result = message))
  child.send(test)
  const [code, signal] = await once(child, 'exit')
  if (!result) throw new Error(`the case of ${test.idle} idle sessions ended with ${code ?? signal}`)
  return result
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}

const COLUMNS = [12, 12, 9, 7, 10, 7, 10, 7]

function row(cells) {
  console.log(cells.map((cell, n) => String(cell).padStart(COLUMNS[n])).join(''))
}

async function main() {
  const { rounds, windowMs } = process.argv.includes('--quick') ? QUICK : FULL
  const results = []
  for (let round = 0; round < rounds; round++) {
    for (const idle of IDLE) results.push(await run({ idle, windowMs }))
  }
  const rows = IDLE.map((idle) => {
    const own = results.filter((result) => result.idle === idle)
    const of = (name) => median(own.map((result) => result[name]))
    return { idle, perSecond: of('perSecond'), threadUs: of('threadUs'), loopUs: of('loopUs'), processUs: of('processUs') }
  })
  console.log(
    `${os.cpus().length} cores; ${PLAYING} sessions play, medians of ${rounds} × ${windowMs / 1000} s, for each event or frame`
  )
  row(['idle', 'calls/s', 'CPU µs', 'ratio', 'loop µs', 'ratio', 'process', 'ratio'])
  const [first] = rows
  for (const { idle, perSecond, ...costs } of rows) {
    const cells = Object.entries(costs).flatMap(([name, cost]) => [cost.toFixed(1), (cost / first[name]).toFixed(2)])
    row([idle, perSecond.toFixed(0), ...cells])
  }
  save('events', { playing: PLAYING, rounds, rows })
}

function fail(error) {
  console.error(error)
  process.exit(1)
}

if (process.argv.includes('--case')) process.once('message', (test) => measure(test).catch(fail))
else main().catch(fail)
