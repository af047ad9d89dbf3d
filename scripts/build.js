'use strict'

// Builds the addon with cargo (release profile) and copies it beside index.js. Run by `npm install` and before the tests;
// if nothing has changed, it takes a second. Build products stay in cargo's target directory.
// SPEAKER_SESSION_FEATURES=he-aac builds with features of Cargo.toml: see docs/formats.md.

const { spawnSync } = require('node:child_process')
const { copyFileSync, existsSync, renameSync, statSync, utimesSync } = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const addon = path.join(root, 'speaker-session.node')

function fail(message) {
  console.error(`speaker-session: ${message}`)
  process.exit(1)
}

function missing(tool, remedy) {
  const { error } = spawnSync(tool, ['--version'], { stdio: 'ignore' })
  if (error) fail(`${tool} was not found, and the addon is built from source. ${remedy}`)
}

missing('cargo', 'Install Rust 1.95 or newer: https://rustup.rs')
missing('cmake', 'Install cmake and a C compiler (Debian: apt-get install cmake build-essential); they build libopus.')

const features = process.env.SPEAKER_SESSION_FEATURES ?? ''
const remedies = features.includes('he-aac')
  ? ' he-aac needs libclang, by which bindings to libxaac are made (Debian: apt-get install libclang-dev; LIBCLANG_PATH says where another one is).'
  : ''

const cargo = spawnSync(
  'cargo',
  ['build', '--release', '--locked', '--lib', '--features', features, '--message-format', 'json-render-diagnostics'],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 28 }
)
if (cargo.status !== 0) fail(`cargo build ended with ${cargo.error?.message ?? `code ${cargo.status}`}.${remedies}`)

const built = cargo.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'speaker_session')
  .flatMap(({ filenames }) => filenames)
  .find((name) => /\.(so|dylib|dll)$/.test(name))
if (!built) fail('cargo build made no library')

// Replaced by a rename: a process that has loaded the old addon keeps its file. One with other features may be older.
const { atime, mtime } = statSync(built)
if (!existsSync(addon) || Math.trunc(statSync(addon).mtimeMs) !== Math.trunc(mtime.getTime())) {
  copyFileSync(built, `${addon}.new`)
  utimesSync(`${addon}.new`, atime, mtime)
  renameSync(`${addon}.new`, addon)
}
