'use strict'

// What a process holds, as Linux counts it.

const { readdirSync, readlinkSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')

/** Tokio keeps a thread that looked up a name for ten seconds. */
const SETTLE_MS = 15_000
const LOOK_MS = 200

/** Counts the threads, files and sockets of this process. */
function holdings() {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // the listing's own
    }
  })
  return {
    threads: readdirSync('/proc/self/task').length,
    fds: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length
  }
}

/** Looks until nothing is held that was not before; says what is held then, or at last. */
async function settled(before) {
  let now = holdings()
  for (const begun = performance.now(); performance.now() - begun < SETTLE_MS; now = holdings()) {
    if (Object.keys(before).every((name) => now[name] <= before[name])) break
    await sleep(LOOK_MS)
  }
  return now
}

module.exports = { holdings, settled }
