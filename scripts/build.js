'use strict'

// Builds the addon with cargo (release profile) and copies it beside index.js, from where it is loaded in place of a prebuilt one. Run by
// `npm run build:addon` and before the tests and the demo; in an installed package by `speaker-session build` alone, and never by its installation.
// If nothing has changed, it takes a second: build products stay in cargo's target directory, except in an installed package.
// SPEAKER_SESSION_FEATURES=he-aac builds with features of Cargo.toml: see docs/formats.md.

const { spawnSync } = require('node:child_process')
const { copyFileSync, existsSync, renameSync, rmSync, statSync, utimesSync } = require('node:fs')
const path = require('node:path')

const { buildLibrary } = require('./cargo')

const root = path.join(__dirname, '..')
const addon = path.join(root, 'speaker-session.node')
const isInstalled = root.split(path.sep).includes('node_modules')

function fail(message) {
  console.error(`speaker-session: ${message}`)
  process.exit(1)
}

function missing(tool, remedy) {
  const { error } = spawnSync(tool, ['--version'], { stdio: 'ignore' })
  if (error) fail(`${tool} was not found, and the addon is built from source. ${remedy}`)
}

function build() {
  const features = process.env.SPEAKER_SESSION_FEATURES ?? ''
  try {
    return buildLibrary('cargo', ['build', '--release', '--features', features])
  } catch ({ message }) {
    const remedies = features.includes('he-aac')
      ? ' he-aac needs libclang, by which bindings to libxaac are made (Debian: apt-get install libclang-dev; LIBCLANG_PATH says where another one is).'
      : ''
    return fail(`${message}${remedies}`)
  }
}

missing('cargo', 'Install Rust 1.95 or newer: https://rustup.rs')
missing('cmake', 'Install cmake and a C compiler (Debian: apt-get install cmake build-essential); they build libopus.')

const built = build()

// Replaced by a rename: a process that has loaded the old addon keeps its file. One with other features may be older.
const { atime, mtime } = statSync(built)
if (!existsSync(addon) || Math.trunc(statSync(addon).mtimeMs) !== Math.trunc(mtime.getTime())) {
  copyFileSync(built, `${addon}.new`)
  utimesSync(`${addon}.new`, atime, mtime)
  renameSync(`${addon}.new`, addon)
}

// Near a gigabyte, where nobody would look for it.
if (isInstalled && !process.env.CARGO_TARGET_DIR) rmSync(path.join(root, 'target'), { recursive: true, force: true })
