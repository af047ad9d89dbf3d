'use strict'

// `npm run prebuild [-- PLATFORM --repository URL]`: makes the package of a platform (lib/platform.js), by default that of this machine, in npm/PLATFORM: the addon, and
// the licences of all that is linked into it. On Linux it is built by zig, against an old glibc or musl, so that it runs on older systems than this one;
// zig and cargo-zigbuild come from PyPI into the user's cache directory. The checkout's `target` and `speaker-session.node` stay as they are.

const { spawnSync } = require('node:child_process')
const { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { gzipSync } = require('node:zlib')

const { version, license, engines } = require('../package.json')
const { OLDEST_GLIBC, PREBUILT, packageName, platformName } = require('../lib/platform')
const { cached, makeAtomically } = require('./cache')
const { buildLibrary } = require('./cargo')
const { licences } = require('./licences')

const ROOT = path.join(__dirname, '..')
const ZIG = 'ziglang==0.17.0'
const ZIGBUILD = 'cargo-zigbuild==0.24.0'
/**
 * Inlines small functions only: LLVM's own threshold is 225. With fat LTO that costs no time (`npm run bench:mix`, `npm run bench:sessions`); without, hyper takes three
 * times as long to read the heads of answers.
 */
const SMALLER = '-Cllvm-args=-inline-threshold=30'
/** Rust links musl into programs and libraries alike, but Node has its own already. */
const DYNAMIC_MUSL = '-Ctarget-feature=-crt-static'

/** Runs a command; returns what it printed. */
function run(command, args, options) {
  const { status, error, stdout } = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', ...options })
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `ended with code ${status}`}`)
  return stdout
}

/** Returns the folder that has zig and cargo-zigbuild. */
function installZig() {
  const folder = cached(`${ZIG}-${ZIGBUILD}`.replaceAll('==', '-'))
  if (existsSync(folder)) return folder
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0)
  if (!python) throw new Error(`There is no python3 with pip, by which ${ZIG} and ${ZIGBUILD} are installed (Debian: apt-get install python3-pip)`)
  console.error(`installing ${ZIG} and ${ZIGBUILD} into ${folder} (once)`)
  makeAtomically(folder, (draft) => {
    run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:', '--target', draft, ZIG, ZIGBUILD])
    return draft
  })
  return folder
}

/** Builds the addon; returns the path of the library. */
function build({ os, libc, target }) {
  const folder = ['--profile', 'prebuilt', '--target-dir', cached('prebuild')]
  const name = target.replaceAll('-', '_')
  const flags = { [`CARGO_TARGET_${name.toUpperCase()}_RUSTFLAGS`]: libc === 'musl' ? `${SMALLER} ${DYNAMIC_MUSL}` : SMALLER }
  if (os !== 'linux') return buildLibrary('cargo', ['build', '--target', target, ...folder], { MACOSX_DEPLOYMENT_TARGET: '11.0', ...flags })
  const zig = installZig()
  const args = ['zigbuild', '--target', libc === 'glibc' ? `${target}.${OLDEST_GLIBC}` : target, ...folder]
  return buildLibrary(path.join(zig, 'bin', 'cargo-zigbuild'), args, {
    CARGO_ZIGBUILD_ZIG_PATH: path.join(zig, 'ziglang', 'zig'),
    CARGO_ZIGBUILD_CACHE_DIR: cached('zigbuild'),
    [`CMAKE_TOOLCHAIN_FILE_${name}`]: toolchain(name),
    ...flags
  })
}

/** Writes a description of zig for CMake, like cargo-zigbuild's own, which would take the place of opus.cmake (.cargo/config.toml). */
function toolchain(name) {
  const file = path.join(cached('prebuild'), `${name}.cmake`)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, [
    'set(CMAKE_SYSTEM_NAME Linux)',
    `set(CMAKE_SYSTEM_PROCESSOR ${name.split('_unknown')[0]})`,
    `set(CMAKE_C_COMPILER $ENV{CC_${name}})`,
    `set(CMAKE_CXX_COMPILER $ENV{CXX_${name}})`,
    `set(CMAKE_RANLIB $ENV{RANLIB_${name}})`,
    ...['PROGRAM NEVER', 'LIBRARY ONLY', 'INCLUDE ONLY', 'PACKAGE ONLY'].map((mode) => `set(CMAKE_FIND_ROOT_PATH_MODE_${mode})`),
    `include("${path.join(ROOT, 'opus.cmake')}")`, ''
  ].join('\n'))
  return file
}

/** Returns the newest glibc that a library asks for. */
function newestGlibc(library) {
  const needs = run('readelf', ['--version-info', '--wide', library], { env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 28 })
  const versions = [...needs.matchAll(/\bGLIBC_(\d+(?:\.\d+)+)/g)].map(([, version]) => version)
  return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

/** Returns the package.json of a platform's package. */
function describe(platform, repository) {
  const { os, cpu, libc } = PREBUILT[platform]
  const addon = `speaker-session.${platform}.node`
  return {
    name: packageName(platform),
    version,
    description: `The addon of speaker-session for ${platform}`,
    license,
    ...(repository && { repository: { type: 'git', url: repository } }),
    type: 'commonjs',
    main: addon,
    files: [addon, 'THIRD-PARTY-LICENSES'],
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    // Yarn's archives can't be loaded from.
    preferUnplugged: true
  }
}

/** Makes the package; returns its folder. */
function makePackage(platform, library, repository) {
  const folder = path.join(ROOT, 'npm', platform)
  const described = describe(platform, repository)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const write = (file, text) => writeFileSync(path.join(folder, file), text)
  copyFileSync(library, path.join(folder, described.main))
  copyFileSync(path.join(ROOT, 'LICENSE'), path.join(folder, 'LICENSE'))
  write('THIRD-PARTY-LICENSES', licences(PREBUILT[platform].target))
  write('README.md', `# ${described.name}\n\n${described.description}. That package installs it, on this platform alone.\n`)
  write('package.json', `${JSON.stringify(described, null, 2)}\n`)
  return folder
}

function main() {
  const { values: { repository }, positionals: [platform = platformName()] } = parseArgs({ options: { repository: { type: 'string' } }, allowPositionals: true })
  if (PREBUILT[platform] === undefined) throw new Error(`Expected one of ${Object.keys(PREBUILT).join(', ')} but received ${platform}`)
  console.error(`building the addon for ${platform} in ${cached('prebuild')} (minutes the first time)`)
  const library = build(PREBUILT[platform])
  if (PREBUILT[platform].libc === 'glibc') {
    const newest = newestGlibc(library)
    if (newest === undefined || newest.localeCompare(OLDEST_GLIBC, 'en', { numeric: true }) > 0) {
      throw new Error(`Expected symbols of glibc ${OLDEST_GLIBC} or older, but ${library} asks for ${newest ?? 'none'}`)
    }
    console.error(`asks for glibc ${newest}`)
  }
  const folder = makePackage(platform, library, repository)
  const bytes = readFileSync(library)
  const megabytes = (size) => `${(size / 1e6).toFixed(1)} MB`
  console.error(`the addon has ${megabytes(bytes.length)}, ${megabytes(gzipSync(bytes, { level: 9 }).length)} packed`)
  console.log(path.relative(process.cwd(), folder))
}

module.exports = { describe, newestGlibc }

if (require.main === module) {
  try {
    main()
  } catch ({ message }) {
    console.error(`speaker-session: ${message}`)
    process.exitCode = 1
  }
}
