'use strict'

// Many silent sessions of one process, each in a room of its own, while their server is gone, and when it is back: how often they try to
// reconnect, what that costs, and how soon all have. In the place of the server, a dead one ends each connection and counts it. The
// server is its own process and not counted; attempts are counted in a third.
// It only reports: no time makes it fail.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { DeadServer } = require('../__test__/support/dead-server')
const { accessToken } = require('../lib/livekit/access-token')
const { startServer } = require('../scripts/livekit-server')
const { operands, save } = require('./results')

// `node bench/lost-server.js [SESSIONS [SECONDS]]`
const [SESSIONS = 1000, SECONDS = 60] = operands().map(Number)
const SECOND_MS = 1000
const RETURN_MS = 120_000
/** The last seconds of the loss, which show the steady state. */
const LAST = 10

/** The sessions, in their own process. */
class Sessions {
  /** The time at which each came back, in ms, and the reason of each that was lost for good. */
  returns = []
  lost = []
  #child
  #ended
  #answers = []

  static async join(server, count) {
    const sessions = new Sessions()
    sessions.#child = fork(path.join(__dirname, 'lost-server-sessions.js'))
    const ended = once(sessions.#child, 'exit').then(([code, signal]) => {
      throw new Error(`the sessions ended with ${code ?? signal}`)
    })
    ended.catch(() => {})
    sessions.#ended = ended
    sessions.#child.on('message', ({ back, lost, ...answer }) => {
      if (back) sessions.returns.push(performance.now())
      else if (lost) sessions.lost.push(lost)
      else sessions.#answers.shift()(answer)
    })
    const tokens = await Promise.all(Array.from({ length: count }, (_, n) => accessToken(server, `lost-${n}`, `speaker-${n}`)))
    const { joined, errors } = await sessions.#ask({ url: server.url, tokens })
    console.log(`${joined} sessions joined${errors.length > 0 ? `, ${errors.length} did not: ${errors[0]}` : ''}`)
    return sessions
  }

  #ask(question) {
    const answer = new Promise((resolve) => this.#answers.push(resolve))
    this.#child.send(question)
    return Promise.race([answer, this.#ended])
  }

  /** Returns the CPU time of its process, in ms. */
  async cpuMs() {
    return (await this.#ask({ cpu: true })).cpuMs
  }

  async end() {
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }
}

/** Calls `each(second, CPU of the sessions in % of a core)` at the end of each second. */
async function everySecond(count, sessions, each) {
  const begun = performance.now()
  let [fromMs, cpuMs] = [begun, await sessions.cpuMs()]
  for (let second = 1; second <= count; second++) {
    await sleep(begun + second * SECOND_MS - performance.now())
    const [toMs, now] = [performance.now(), await sessions.cpuMs()]
    each(second, (100 * (now - cpuMs)) / (toMs - fromMs))
    ;[fromMs, cpuMs] = [toMs, now]
  }
}

function row(...cells) {
  console.log(cells.map((cell, n) => String(cell).padStart(n === 0 ? 6 : 12)).join(''))
}

/** Counts the attempts at a dead server by the second. */
async function gone(server, sessions) {
  await server.stop()
  const dead = await DeadServer.open(server.config.port)
  console.log(`\nthe server is gone for ${SECONDS} s`)
  row('second', 'attempts', 'CPU %')
  const bySecond = []
  let [seen, cpu] = [0, 0]
  await everySecond(SECONDS, sessions, (second, percent) => {
    const attempts = dead.attempts.length - seen
    bySecond.push(attempts)
    ;[seen, cpu] = [seen + attempts, cpu + percent]
    row(second, attempts, percent.toFixed(1))
  })
  const gaps = [...dead.byIdentity().values()].map((times) => times.slice(1).map((atMs, n) => atMs - times[n]))
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
  const [first, last] = [gaps.map((each) => each[0] ?? NaN), gaps.map((each) => each.at(-1) ?? NaN)].map(median)
  const [most, mostLast] = [bySecond, bySecond.slice(-LAST)].map((counts) => Math.max(...counts))
  console.log(`in all: ${seen} attempts, ${(seen / SESSIONS).toFixed(1)} a session; CPU ${(cpu / SECONDS).toFixed(1)} % of a core`)
  console.log(`most within a second: ${most}; in the last ${LAST} s: ${mostLast}`)
  console.log(`between two attempts of a session, median: ${first.toFixed(0)} ms at first, ${last.toFixed(0)} ms in the end`)
  await dead.close()
  const bySession = { firstGap_ms: first, lastGap_ms: last }
  return { attempts: seen, mostInASecond: most, mostInTheLastSeconds: mostLast, cpuPercent: cpu / SECONDS, ...bySession }
}

/** Measures how soon all sessions are back once the server is. */
async function back(server, sessions) {
  await server.restart()
  const begun = performance.now()
  const ended = () => sessions.returns.length + sessions.lost.length
  while (ended() < SESSIONS && performance.now() - begun < RETURN_MS) await sleep(100)
  const times = sessions.returns.map((atMs) => (atMs - begun) / SECOND_MS)
  const bySecond = []
  for (const time of times) bySecond[Math.max(0, Math.floor(time))] = (bySecond[Math.max(0, Math.floor(time))] ?? 0) + 1
  console.log('\nthe server is back')
  row('second', 'returned')
  Array.from(bySecond, (count = 0, second) => row(second + 1, count))
  console.log(`${times.length} of ${SESSIONS} are back, the last after ${(times.at(-1) ?? NaN).toFixed(1)} s`)
  if (sessions.lost.length > 0) console.log(`${sessions.lost.length} were lost for good: ${sessions.lost[0]}`)
  return { returned: times.length, last_s: times.at(-1) }
}

async function main() {
  console.log(`${os.cpus().length} cores`)
  const server = await startServer()
  try {
    const sessions = await Sessions.join(server, SESSIONS)
    const rows = { gone: await gone(server, sessions), back: await back(server, sessions) }
    await sessions.end()
    save('lost-server', { sessions: SESSIONS, seconds: SECONDS, ...rows })
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
