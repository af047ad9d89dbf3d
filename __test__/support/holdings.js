'use strict'

// The threads, files and sockets of a process, as Linux counts them.

const { readdirSync, readlinkSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')

/** Tokio keeps a thread for ten seconds after a name look-up. */
const SETTLE_MS = 15_000
const LOOK_MS = 200

/** Counts the threads, files and sockets of this process. */
function holdings() {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // that of the listing itself
    }
  })
  return {
    threads: readdirSync('/proc/self/task').length,
    fds: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length
  }
}

/** Polls until nothing more is held than `before`, or for a limited time. Returns the last counts. */
async function settled(before) {
  let now = holdings()
  for (const begun = performance.now(); performance.now() - begun < SETTLE_MS; now = holdings()) {
    if (Object.keys(before).every((name) => now[name] <= before[name])) break
    await sleep(LOOK_MS)
  }
  return now
}

module.exports = { holdings, settled }
