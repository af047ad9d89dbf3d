'use strict'

// `npm run test:cluster`: what sessions and those who listen notice of a cluster whose nodes die or are shut down, or whose Redis is
// restarted. `--short` takes fewer sessions; `--only=<text>` the faults with the text in their name. Exits with 1 if a row is wrong; see
// docs/operations.md for the columns.

const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { faults } = require('./faults')
const { Scene } = require('./scene')

const { values: { short, only } } = parseArgs({ options: { short: { type: 'boolean' }, only: { type: 'string' } } })

const COUNT = short ? 20 : 100
const EVERY = short ? 2 : 5
/** How long a scene goes on before the fault, and behind it. */
const BEFORE_MS = 3000
const BEHIND_MS = 3000
/** The longest that sessions may take, so that a row ends. */
const BACK_MS = 40_000
const POLL_MS = 50
const STEP_MS = 200
/** All of it, or something hangs. */
const LIMIT_MS = 15 * 60_000

process.once('SIGINT', () => process.exit(130))
setTimeout(() => {
  console.error(`it is not over after ${LIMIT_MS / 60_000} minutes`)
  process.exit(1)
}, LIMIT_MS).unref()

const POLICIES = ['pause', 'continue', 'drop']

/** Returns true if these are the events of a session that has its room. */
function isBack(events) {
  return events.findLast(({ type }) => type === 'reconnecting' || type === 'reconnected')?.type === 'reconnected'
}

/** Returns what is wrong with a speaker's events since the fault, as text. */
function wrongEvents({ n, events }, isCutOff) {
  const policy = POLICIES[n % POLICIES.length]
  let [isLost, hasFailed] = [false, false]
  const wrong = []
  for (const { type, code, reason, unheardMs } of events) {
    if (type === 'reconnecting' && !isLost) isLost = true
    else if (type === 'reconnected' && isLost) isLost = false
    else if (type === 'failed' && policy === 'drop' && isLost && code === 'ERR_DISCONNECTED' && !hasFailed) hasFailed = true
    else if (type === 'started' && hasFailed) hasFailed = false
    else if (type === 'stopped' && reason === 'closed') {
      // What was not heard is told where time goes on meanwhile, and only there.
      const isTold = unheardMs > 0
      if (policy === 'pause' ? isTold : policy === 'continue' && isCutOff && !isTold) wrong.push(`${policy}: ${unheardMs} ms unheard`)
    } else if (!(type === 'disconnected' && reason === 'closed')) wrong.push(`${policy}: ${type} ${code ?? reason ?? ''}`)
  }
  if (isLost) wrong.push(`${policy}: never back`)
  return wrong
}

/** Polls until it is true, or too late. */
async function until(condition, ms) {
  const end = performance.now() + ms
  while (!(await condition()) && performance.now() < end) await sleep(POLL_MS)
}

/** Returns the speakers that do not play. */
async function silent(scene) {
  const before = await scene.states()
  await sleep(STEP_MS)
  const after = await scene.states()
  const moves = (n) => before[n].playbacks[0]?.positionMs !== after[n].playbacks[0]?.positionMs
  return scene.speakers.filter(({ n }) => after[n].connection !== 'connected' || after[n].playbacks[0]?.state !== 'playing' || !moves(n))
}

const COLUMNS = [
  ['fault: of what is hit', 62], ['sessions', 9], ['back', 6], ['median ms', 11], ['longest ms', 12], ['silent ms', 11], ['goal ms', 9], ['theirs', 9], ['wrong', 7]
]

function line(cells) {
  console.log(cells.map((cell, n) => (n === 0 ? String(cell).padEnd(COLUMNS[n][1]) : String(cell).padStart(COLUMNS[n][1]))).join('').trimEnd())
}

const most = (values) => (values.length > 0 ? Math.round(Math.max(...values)) : '-')
const middle = (values) => (values.length > 0 ? Math.round([...values].sort((a, b) => a - b)[values.length >> 1]) : '-')

/** Runs one fault, and prints its rows. Returns what is wrong. */
async function run(fault) {
  const scene = await Scene.open({ count: COUNT, every: EVERY, ...fault.cluster })
  const found = []
  try {
    await sleep(BEFORE_MS)
    await scene.forget()
    const groups = fault.groups(scene)
    const at = Date.now()
    await fault.harm(scene)
    const hit = groups.filter(({ returns }) => returns).flatMap(({ speakers }) => speakers)
    await until(() => hit.every(({ events }) => isBack(events)), BACK_MS)
    // A listener may notice later than a speaker that its connection is lost.
    await until(async () => (await scene.heard()).every(({ kind, hears }) => kind !== 'ours' || hears), BACK_MS)
    await sleep(BEHIND_MS)
    const stuck = await silent(scene)
    const ears = await scene.heard()
    await until(() => scene.isReady(), BACK_MS)
    const fresh = await scene.freshEars(groups.flatMap(({ speakers }) => speakers.slice(0, 1)))
    const faulty = [await fault.after?.(scene)]
    await scene.end()
    faulty.push(await fault.behind?.(scene))
    found.push(...faulty.filter(Boolean).map((text) => `${fault.what}: ${text}`))
    for (const { who, speakers, returns, isCutOff, goalMs, limitMs } of groups) {
      if (speakers.length === 0) continue
      const backs = speakers.map(({ events }) => events.findLast(({ type }) => type === 'reconnected')?.at - at).filter((ms) => !Number.isNaN(ms))
      const near = (kind) => ears.filter((ear) => ear.kind === kind && speakers.some(({ room }) => room === ear.room))
      const silentMs = most(near('ours').map((ear) => ear.silentMs))
      const theirs = near('theirs').some(({ hasLeft }) => hasLeft) ? 'left' : most(near('theirs').map((ear) => ear.silentMs))
      const wrong = speakers.flatMap((speaker) => wrongEvents(speaker, isCutOff))
      const name = `${fault.what}: ${who}`
      line([name, speakers.length, returns ? backs.length : '-', middle(backs), most(backs), silentMs, goalMs, theirs, wrong.length])
      const fail = (text) => found.push(`${name}: ${text}`)
      if (wrong.length > 0) fail(wrong.slice(0, 5).join('; '))
      if (returns && backs.length < speakers.length) fail(`${speakers.length - backs.length} are not back`)
      const dumb = stuck.filter((speaker) => speakers.includes(speaker))
      if (dumb.length > 0) fail(`${dumb.length} do not play`)
      if (isCutOff && most(backs) > limitMs) fail(`the last is back after ${most(backs)} ms, not ${limitMs}`)
      if (silentMs > limitMs) fail(`${silentMs} ms of silence, not ${limitMs}`)
    }
    console.log(`  new ears of LiveKit's client hear something after ${most(fresh)} ms at most`)
  } finally {
    await scene.close()
  }
  return found
}

async function main() {
  const chosen = faults.filter(({ what }) => !only || what.includes(only))
  line(COLUMNS.map(([name]) => name))
  const failed = []
  for (const fault of chosen) {
    const found = await run(fault).catch((error) => [`${fault.what}: ${error.stack}`])
    for (const text of found) console.log(`  WRONG: ${text}`)
    failed.push(...found)
  }
  console.log(failed.length > 0 ? `${failed.length} are wrong` : `${chosen.length} faults, all as they must be`)
  process.exit(failed.length > 0 ? 1 : 0)
}

main()
