'use strict'

// The process that run.js starts for each row: healthy sessions play beside what the row does. The parent names the row; this
// process answers once and ends.
//
// A row is { what, run } and, as needed:
//   short   true: also part of the short form
//   needs   what it needs from the machine, by the names in needs.js
//   env     variables of the process, or a function of the row's folder that returns them
//   under   a function of the row's folder that returns the command that starts Node, such as ['prlimit', '--nofile=128:128']
//   alone   true: without healthy sessions, for tests that must run before the first of them
// `run({ folder, healthy })` throws if something is wrong, and may return a note to be printed. `folder` is the row's own, with an
// empty folder `slow` in it; `healthy` are the sessions beside it, as in support/healthy.js.

const { setTimeout: sleep } = require('node:timers/promises')

const HEALTHY = 10
const SETTLE_MS = 400
/** Frames later than this are silence for a listener in real time; below it a busy machine is to blame. */
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
  // It may hold something that never answers, so it is not waited for.
  process.send(result, () => process.exit(0))
})
