'use strict'

// Programs for tests with the real thing: on PATH, or else downloaded from Debian with apt and unpacked into the user's cache
// directory, outside the work tree. Nothing is installed, and root is not needed.

const { spawnSync } = require('node:child_process')
const { existsSync, readdirSync } = require('node:fs')
const path = require('node:path')

const { cached, makeWhole } = require('./cache')

/** The executable `name`, from the package of that name at `file` in it; throws with the reason if there is none. */
function executable(name, file) {
  if (isThere(name)) return name
  const folder = cached(name)
  const unpacked = path.join(folder, file)
  if (!existsSync(unpacked)) unpack(name, folder)
  return unpacked
}

function isThere(tool) {
  return !spawnSync(tool, ['--version'], { stdio: 'ignore' }).error
}

function unpack(name, folder) {
  for (const tool of ['apt-get', 'dpkg-deb']) {
    if (!isThere(tool)) throw new Error(`There is no ${name}: install it, or ${tool}, with which Debian's package is unpacked`)
  }
  console.error(`unpacking Debian's package of ${name} into ${folder} (once)`)
  makeWhole(folder, (draft) => {
    run('apt-get', ['download', name], { name, cwd: draft })
    const file = readdirSync(draft).find((name) => name.endsWith('.deb'))
    run('dpkg-deb', ['-x', file, 'all'], { name, cwd: draft })
    return path.join(draft, 'all')
  })
}

function run(tool, args, { name, cwd }) {
  const { status, stderr } = spawnSync(tool, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`There is no ${name}: ${tool} ${args.join(' ')} ended with code ${status}: ${stderr.trim()}`)
}

/** Returns the reason why a program is not available, or `false` if it is. For `skip`. */
function reasonForNone(executable) {
  try {
    executable()
    return false
  } catch ({ message }) {
    return message
  }
}

module.exports = { executable, reasonForNone }
