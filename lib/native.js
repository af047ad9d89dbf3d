'use strict'

// Loads the addon: the one that was built from source in this package, or else the one of the platform's prebuilt package.

const path = require('node:path')

const { version } = require('../package.json')
const { broken, mismatched, missing } = require('./load-error')
const { packageName, platformName } = require('./platform')

const BUILT = path.join(__dirname, '..', 'speaker-session.node')

function load() {
  try {
    return require(BUILT)
  } catch (cause) {
    if (cause.code !== 'MODULE_NOT_FOUND') throw broken(BUILT, cause)
  }
  const platform = platformName()
  const found = prebuiltVersion(platform)
  if (found === undefined) throw missing(platform)
  if (found !== version) throw mismatched(platform, found)
  return loadPrebuilt(platform)
}

/** Returns the version of the platform's prebuilt package, if that is installed. */
function prebuiltVersion(platform) {
  try {
    return require(`${packageName(platform)}/package.json`).version
  } catch {
    return undefined
  }
}

/** The names are literals so that bundlers and tracers of files find them, and within `try` so that they do not ask for all of them. */
function loadPrebuilt(platform) {
  try {
    switch (platform) {
      case 'darwin-arm64': return require('@speaker-session/darwin-arm64')
      case 'darwin-x64': return require('@speaker-session/darwin-x64')
      case 'linux-arm64-gnu': return require('@speaker-session/linux-arm64-gnu')
      case 'linux-arm64-musl': return require('@speaker-session/linux-arm64-musl')
      case 'linux-x64-gnu': return require('@speaker-session/linux-x64-gnu')
      case 'linux-x64-musl': return require('@speaker-session/linux-x64-musl')
      case 'win32-x64-msvc': return require('@speaker-session/win32-x64-msvc')
    }
  } catch (cause) {
    throw broken(packageName(platform), cause)
  }
}

module.exports = load()

// A thread writes the log: waiting lines are written before the process ends.
process.once('exit', module.exports.flushLog)
