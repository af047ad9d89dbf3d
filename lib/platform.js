'use strict'

// The platforms that the addon is prebuilt for, and the one that this process runs on. Their names are napi-rs's; each has a package of its own.

const { execFileSync } = require('node:child_process')
const { readFileSync } = require('node:fs')

/** Each with what its package says of itself, by which package managers choose (`os`, `cpu`, `libc`), and Rust's name of it. */
const PREBUILT = {
  'darwin-arm64': { os: 'darwin', cpu: 'arm64', target: 'aarch64-apple-darwin' },
  'darwin-x64': { os: 'darwin', cpu: 'x64', target: 'x86_64-apple-darwin' },
  'linux-arm64-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc', target: 'aarch64-unknown-linux-gnu' },
  'linux-arm64-musl': { os: 'linux', cpu: 'arm64', libc: 'musl', target: 'aarch64-unknown-linux-musl' },
  'linux-x64-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc', target: 'x86_64-unknown-linux-gnu' },
  'linux-x64-musl': { os: 'linux', cpu: 'x64', libc: 'musl', target: 'x86_64-unknown-linux-musl' },
  'win32-x64-msvc': { os: 'win32', cpu: 'x64', target: 'x86_64-pc-windows-msvc' }
}

/** The oldest glibc that prebuilt packages run on: that of RHEL 8, Debian 10 and Ubuntu 18.10. */
const OLDEST_GLIBC = '2.28'

function packageName(platform) {
  return `@speaker-session/${platform}`
}

/** Returns the name of this process's platform, whether the addon is prebuilt for it or not. */
function platformName() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

/**
 * Returns true if this process runs on musl. Its report is asked first: it needs no permission, and knows the C library of the process. The system
 * may have both.
 */
function isMusl() {
  if (glibcVersion() !== undefined) return false
  if (report().sharedObjects?.some((file) => /libc\.musl-|ld-musl-/.test(file))) return true
  try {
    return readFileSync('/usr/bin/ldd', 'latin1').includes('musl')
  } catch {
    return lddOutput().includes('musl')
  }
}

/** Returns the version of the glibc that this process runs on, if it does. */
function glibcVersion() {
  return report().header?.glibcVersionRuntime
}

/** Returns Node's report on this process, without the network: the names of its peers are looked up, which can take seconds. */
function report() {
  const { excludeNetwork } = process.report ?? {}
  try {
    process.report.excludeNetwork = true
    return process.report.getReport()
  } catch {
    return {}
  } finally {
    if (process.report) process.report.excludeNetwork = excludeNetwork
  }
}

/** Returns what ldd prints about itself. That of musl fails, with its name on stderr. */
function lddOutput() {
  try {
    return execFileSync('ldd', ['--version'], { encoding: 'utf8', stdio: 'pipe' })
  } catch ({ stderr }) {
    return stderr ?? ''
  }
}

module.exports = { OLDEST_GLIBC, PREBUILT, glibcVersion, packageName, platformName }
