'use strict'

// Where scripts keep what they build or install for tests: in the user's cache directory, outside the work tree.

const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** Returns the folder of this name in the cache, which need not exist. */
function cached(name) {
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'speaker-session', name)
}

/**
 * Makes a folder whole or not at all, for others may look for it meanwhile: `make(draft)` fills a folder beside it, and returns what is to be
 * the folder. Of two who do it at once the first has done it.
 */
function makeWhole(folder, make) {
  mkdirSync(path.dirname(folder), { recursive: true })
  const draft = mkdtempSync(`${folder}-`)
  try {
    const made = make(draft)
    if (!existsSync(folder)) renameSync(made, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

module.exports = { cached, makeWhole }
