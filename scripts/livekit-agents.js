'use strict'

// Runs the tests of the adapter for @livekit/agents beside the version of @livekit/rtc-node that @livekit/agents requires: a copy of this
// package, among the packages of a user (__test__/adapters/livekit-agents-peers). Those are installed into the user's cache directory once.

const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs')
const path = require('node:path')

const { cached, makeWhole } = require('./cache')

const ROOT = path.join(__dirname, '..')
const PEERS = path.join(ROOT, '__test__', 'adapters', 'livekit-agents-peers')
const WANTED = ['package.json', 'package-lock.json']
const PACKAGE = ['package.json', 'index.js', 'speaker-session.node', 'lib', 'adapters', 'scripts', 'bench', '__test__']

/** Runs a command in a folder; throws if it fails. */
function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `ended with code ${status}`}`)
}

/** Returns the folder in whose `node_modules` the peers are. */
function installed() {
  const hash = createHash('sha256')
  for (const name of WANTED) hash.update(readFileSync(path.join(PEERS, name)))
  const folder = cached(`livekit-agents-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  console.error(`installing @livekit/agents into ${folder} (once)`)
  makeWhole(folder, (draft) => {
    for (const name of WANTED) cpSync(path.join(PEERS, name), path.join(draft, name))
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], draft)
    return draft
  })
  return folder
}

const copy = mkdtempSync(path.join(installed(), 'run-'))
try {
  for (const name of PACKAGE) cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true })
  run(process.execPath, ['--test', '--test-reporter=spec', '__test__/adapters/livekit-agents-output.test.js',
    '__test__/adapters/livekit-agents-background.test.js', '__test__/livekit/agents.test.js'], copy)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
