'use strict'

// A disk that is slow or hangs, for the process of a row: see slow-disk.c. It is compiled once, into the cache.

const { execFileSync } = require('node:child_process')
const { mkdirSync, readFileSync, renameSync, existsSync, writeFileSync } = require('node:fs')
const { createHash } = require('node:crypto')
const os = require('node:os')
const path = require('node:path')

const source = path.join(__dirname, 'slow-disk.c')

/** Compiles it, if that was not done yet. Returns the library's path. */
function library() {
  const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'speaker-session')
  const name = `slow-disk-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)}.so`
  const file = path.join(cache, name)
  if (!existsSync(file)) {
    mkdirSync(cache, { recursive: true })
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', `${file}.${process.pid}`, source, '-ldl'], { stdio: ['ignore', 'ignore', 'inherit'] })
    renameSync(`${file}.${process.pid}`, file)
  }
  return file
}

/** What a row adds to itself, so that its folder `slow` is such a disk. */
const onSlowDisk = {
  needs: ['linux', 'cc'],
  env: (folder) => ({ LD_PRELOAD: library(), SLOW_DISK: path.join(folder, 'slow') })
}

/** Sets how long each call to a file in the row's folder `slow` takes from now on, in ms; -1 is for ever, until it is set anew. */
function setDelay(folder, ms) {
  // Renamed, so that nobody reads half of it.
  writeFileSync(path.join(folder, 'ms'), String(ms))
  renameSync(path.join(folder, 'ms'), path.join(folder, 'slow', '.ms'))
}

module.exports = { onSlowDisk, setDelay }
