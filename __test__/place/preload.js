'use strict'

// C libraries that change what the system does to a row's process. Each is compiled once, into the cache.

const { execFileSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { existsSync, mkdirSync, readFileSync, renameSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** Compiles `<name>.c` of this folder if that is not done yet. Returns the library's path. */
function library(name) {
  const source = path.join(__dirname, `${name}.c`)
  const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'speaker-session')
  const file = path.join(cache, `${name}-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)}.so`)
  if (!existsSync(file)) {
    mkdirSync(cache, { recursive: true })
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', `${file}.${process.pid}`, source, '-ldl'])
    renameSync(`${file}.${process.pid}`, file)
  }
  return file
}

module.exports = { library }
