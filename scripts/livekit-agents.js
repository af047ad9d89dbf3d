'use strict'

// Runs the tests of the adapter for @livekit/agents beside the version of @livekit/rtc-node that @livekit/agents requires: a copy of this
// package, among the packages of a user (__test__/adapters/livekit-agents-peers). Those are installed into the user's cache directory once.

const { spawnSync } = require('node:child_process')
const { cpSync, mkdtempSync, rmSync } = require('node:fs')
const path = require('node:path')

const { installPackages } = require('./packages')

const ROOT = path.join(__dirname, '..')
const PEERS = path.join(ROOT, '__test__', 'adapters', 'livekit-agents-peers')
const PACKAGE = ['package.json', 'index.js', 'speaker-session.node', 'lib', 'adapters', 'scripts', 'bench', '__test__']

/** Runs a command in a folder; throws if it fails. */
function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `ended with code ${status}`}`)
}

const copy = mkdtempSync(path.join(installPackages(PEERS), 'run-'))
try {
  for (const name of PACKAGE) cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true })
  run(process.execPath, ['--test', '--test-reporter=spec', '__test__/adapters/livekit-agents-output.test.js',
    '__test__/adapters/livekit-agents-background.test.js', '__test__/livekit/agents.test.js'], copy)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
