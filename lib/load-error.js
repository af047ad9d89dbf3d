'use strict'

// The errors of loading the addon: what was looked for, why it is not there or does not load, and the command that helps, of the package manager in use.

const { existsSync, readFileSync } = require('node:fs')
const path = require('node:path')

const { version } = require('../package.json')
const { OLDEST_GLIBC, PREBUILT, glibcVersion, packageName } = require('./platform')

const ROOT = path.join(__dirname, '..')

/**
 * Package managers, each with what it is known by: its own file in `node_modules`, and its lockfile. `install` installs what was left out, `add` a
 * version of a package, and `run` a package's command. Yarn 1 comes last of the two: it always
 * leaves its own file, its successors need not.
 */
const MANAGERS = [
  { own: '.modules.yaml', lockfile: 'pnpm-lock.yaml', install: 'pnpm install', add: 'pnpm add', run: 'pnpm exec' },
  { own: '.yarn-state.yml', lockfile: 'yarn.lock', install: 'yarn install', add: 'yarn add', run: 'yarn run' },
  { own: '.yarn-integrity', lockfile: 'yarn.lock', install: 'yarn install --force', add: 'yarn add', run: 'yarn run' },
  { own: '.bun', lockfile: 'bun.lock', install: 'bun install', add: 'bun add', run: 'bunx' },
  { own: '.package-lock.json', lockfile: 'package-lock.json', install: 'npm install --include=optional', add: 'npm install', run: 'npx' }
]
const NPM = MANAGERS.at(-1)

/** Returns the error where the package of this platform is not installed. */
function missing(platform) {
  const name = packageName(platform)
  if (isRepository()) return failure(`there is neither speaker-session.node nor the package ${name}`, [fromSource()])
  if (PREBUILT[platform] === undefined) return failure(`there is no prebuilt package for ${platform}`, [fromSource()])
  return failure(`the package ${name}@${version} is not installed`, [reason(name), fromSource()])
}

/** Returns why a package is not installed, and what helps. */
function reason(name) {
  const { folder, manager, lockfile } = findProject()
  const run = `run \`${manager.install}\` in ${folder}`
  const other = Object.keys(PREBUILT).map(packageName).find(isInstalled)
  if (other) return `${other} is: node_modules was installed on another platform or by another Node. Delete node_modules, and ${run}.`
  if (lockfile?.includes(name) === false) {
    return `${manager.lockfile} does not have it: that was written on another platform, or without optional dependencies. Delete it and node_modules, and ${run}.`
  }
  return `Optional dependencies were left out: ${run}.`
}

/** Returns the error where the package of this platform has another version. */
function mismatched(platform, found) {
  const { folder, manager } = findProject()
  return failure(`Expected ${packageName(platform)}@${version} but found ${found}`, [
    `An addon works with its own version alone: run \`${manager.add} speaker-session@${version}\` in ${folder}.`, fromSource()
  ])
}

/** Returns the error where an addon does not load: a file that was built here, or the package of a platform. */
function broken(addon, cause) {
  const remedies = [fromSource()]
  const glibc = glibcVersion()
  if (path.isAbsolute(addon)) remedies.unshift('It was built on another platform, or with a newer C library: was node_modules copied from there?')
  else if (glibc && isOlder(glibc, OLDEST_GLIBC)) remedies.unshift(`It needs glibc ${OLDEST_GLIBC} or newer; this is glibc ${glibc}.`)
  return failure(cause.message, remedies, { cause })
}

function failure(what, remedies, options) {
  return new Error(`The speaker-session addon could not be loaded: ${what}\n${remedies.map((line) => `  - ${line}`).join('\n')}`, options)
}

/** Returns how the addon is built from source. */
function fromSource() {
  if (isRepository()) return 'In a copy of the repository, `npm run build:addon` builds it.'
  const { folder, manager } = findProject()
  return `It can be built from source, with Rust, cmake and a C compiler, in minutes: \`${manager.run} speaker-session build\` in ${folder}.`
}

/** Returns true in a copy of the repository, which was not installed as a package. */
function isRepository() {
  return !ROOT.split(path.sep).includes('node_modules')
}

/**
 * Returns the project that this package is installed in: its folder, its package manager and the text of its lockfile, if any. What a manager leaves in
 * `node_modules` tells more than a lockfile, of which a repository may have several; and it is there where lockfiles are not deployed.
 */
function findProject() {
  const folders = []
  for (let folder = path.dirname(ROOT); folder !== path.dirname(folder); folder = path.dirname(folder)) folders.push(folder)
  for (const folder of folders) {
    const has = (file) => existsSync(path.join(folder, file))
    const manager = MANAGERS.find(({ own }) => has(path.join('node_modules', own))) ?? MANAGERS.find(({ lockfile }) => has(lockfile))
    if (manager) return { folder, manager, lockfile: read(path.join(folder, manager.lockfile)) }
  }
  const outermost = folders.filter((folder) => path.basename(folder) === 'node_modules').at(-1)
  return { folder: path.dirname(outermost ?? ROOT), manager: NPM }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function isInstalled(name) {
  try {
    return Boolean(require.resolve(`${name}/package.json`))
  } catch {
    return false
  }
}

/** Compares versions such as 2.9 and 2.28. */
function isOlder(version, than) {
  return version.localeCompare(than, 'en', { numeric: true }) < 0
}

module.exports = { broken, mismatched, missing }
