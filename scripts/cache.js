'use strict'

// Where scripts keep what they build or install for tests: in the user's cache directory, outside the work tree.

const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** Returns the folder of this name in the cache, or a file in it, which need not exist. */
function cached(...names) {
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'speaker-session', ...names)
}

/**
 * Makes a folder completely or not at all, because other processes may look for it meanwhile: `make(draft)` fills a folder beside it, and
 * returns the one that is to be moved there. If two processes do so at once, the first wins.
 */
function makeAtomically(folder, make) {
  mkdirSync(path.dirname(folder), { recursive: true })
  const draft = mkdtempSync(`${folder}-`)
  try {
    const made = make(draft)
    if (!existsSync(folder)) renameSync(made, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

module.exports = { cached, makeAtomically }
