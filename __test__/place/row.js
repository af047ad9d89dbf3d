'use strict'

// What run.js lets run for each row: healthy sessions that play, and beside them what the row does. Its parent says which row; it
// answers once, and ends.
//
// A row is { what, run } and, as needed:
//   short   true: also in the short form
//   needs   what it needs of the machine, by the names in needs.js
//   env     variables of the process, or a function of the row's folder that returns them
//   under   a function of the row's folder that returns the command under which Node runs, such as ['prlimit', '--nofile=128:128']
//   alone   true: without healthy sessions, for what must come before the first of them
// `run({ folder, healthy })` throws if something is not as it must be, and may return a word to be shown. `folder` is the row's own,
// with an empty folder `slow` in it; `healthy` are the sessions beside it, as in support/healthy.js.

const { setTimeout: sleep } = require('node:timers/promises')

const HEALTHY = 10
const SETTLE_MS = 400
/** Frames that are later than this are silence to whoever plays them at once; below it a busy machine is to blame. */
const LATE_MS = 250

async function main({ file, index, folder, steady }) {
  const row = require(`./rows/${file}`)[index]
  const others = []
  if (!row.alone) {
    const { healthy } = require('../support/healthy')
    for (let n = 0; n < HEALTHY; n++) others.push(await healthy(steady[n % steady.length]))
    await sleep(SETTLE_MS)
    others.forEach(({ forget }) => forget())
  }
  let [wrong, said] = [undefined, undefined]
  try {
    said = await row.run({ folder, healthy: others })
  } catch (error) {
    wrong = error.message
  }
  const late = Math.max(0, ...others.map((other) => other.lateMs()))
  const silentMs = Math.max(0, ...others.map((other) => other.silentMs()), late > LATE_MS ? late : 0)
  return { wrong, said, silentMs }
}

process.once('message', async (load) => {
  const result = await main(load)
  // It may hold what never answers: it is not waited for.
  process.send(result, () => process.exit(0))
})
