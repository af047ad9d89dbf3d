'use strict'

// What rows need from the machine.

const { spawnSync } = require('node:child_process')

const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

const NEEDS = {
  linux: () => process.platform === 'linux' || 'needs Linux',
  root: () => process.getuid?.() === 0 || 'needs root',
  prlimit: () => has('prlimit') || 'needs prlimit (util-linux)',
  unshare: () => (has('unshare') && spawnSync('unshare', ['-m', 'true']).status === 0) || 'needs unshare, and to be allowed it',
  ip: () => has('ip') || 'needs ip (iproute2)',
  cc: () => has('cc') || 'needs a C compiler'
}

/** Returns the missing needs in words, undefined if there are none. */
function missing(needs) {
  return needs.map((need) => NEEDS[need]()).find((answer) => answer !== true)
}

module.exports = { missing }
