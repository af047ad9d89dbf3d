'use strict'

// Programs for tests with the real thing: on PATH, or else downloaded from Debian with apt and unpacked into the user's cache
// directory, outside the work tree. Nothing is installed, and root is not needed.

const { spawnSync } = require('node:child_process')
const { existsSync, readdirSync } = require('node:fs')
const path = require('node:path')

const { cached, makeAtomically } = require('./cache')

/**
 * The executable `name`, from the package of that name at `file` in it; throws with the reason if there is none. `withLibraries`: the packages that
 * it depends on and this system lacks are unpacked beside it (`libraries` returns where).
 */
function executable(name, file, { withLibraries = false } = {}) {
  if (isInstalled(name)) return name
  const folder = cached(name)
  const unpacked = path.join(folder, file)
  if (!existsSync(unpacked)) unpack(name, folder, withLibraries)
  return unpacked
}

/**
 * Returns the folders with the libraries of an executable that was unpacked, for LD_LIBRARY_PATH; none for one on PATH. A folder within the usual
 * ones counts too: a library finds its private ones (libpulse: `pulseaudio`) by the path at which they would be installed.
 */
function libraries(name, program) {
  const folder = cached(name)
  if (!program.startsWith(folder)) return []
  const all = path.join(folder, 'usr', 'lib')
  const usual = foldersIn(all).filter((each) => each.endsWith('-linux-gnu'))
  return [all, ...usual.flatMap((each) => [each, ...foldersIn(each)])]
}

function foldersIn(folder) {
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries.filter((each) => each.isDirectory()).map(({ name }) => path.join(folder, name))
}

function isInstalled(tool) {
  return !spawnSync(tool, ['--version'], { stdio: 'ignore' }).error
}

function unpack(name, folder, withLibraries) {
  for (const tool of ['apt-get', 'dpkg-deb']) {
    if (!isInstalled(tool)) throw new Error(`There is no ${name}: install it, or ${tool}, with which Debian's package is unpacked`)
  }
  console.error(`unpacking Debian's package of ${name} into ${folder} (once)`)
  makeAtomically(folder, (draft) => {
    run('apt-get', ['download', ...(withLibraries ? missing(name) : [name])], { name, cwd: draft })
    for (const file of readdirSync(draft).filter((each) => each.endsWith('.deb'))) run('dpkg-deb', ['-x', file, 'all'], { name, cwd: draft })
    return path.join(draft, 'all')
  })
}

/** Returns the packages that an installation would add, as `apt-get` prints them: `'address' name_version_architecture.deb size hash`. */
function missing(name) {
  const printed = run('apt-get', ['install', '--print-uris', '--yes', '-qq', '--no-install-recommends', name], { name })
  return [...printed.matchAll(/^'[^']*' ([^_\s]+)_\S+\.deb /gm)].map(([, each]) => each)
}

function run(tool, args, { name, cwd }) {
  const { status, stdout, stderr } = spawnSync(tool, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`There is no ${name}: ${tool} ${args.join(' ')} ended with code ${status}: ${stderr.trim()}`)
  return stdout
}

/** Returns the reason why a program is not available, or `false` if it is. For `skip`. */
function whyUnavailable(executable) {
  try {
    executable()
    return false
  } catch ({ message }) {
    return message
  }
}

module.exports = { executable, isInstalled, libraries, whyUnavailable }
