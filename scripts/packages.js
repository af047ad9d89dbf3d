'use strict'

// Packages for tests that do not belong beside this one's own: installed from a lockfile into the user's cache directory, without their scripts.

const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { cpSync, existsSync, readFileSync } = require('node:fs')
const path = require('node:path')

const { cached, makeAtomically } = require('./cache')

const WANTED = ['package.json', 'package-lock.json']

/** Returns the folder in whose `node_modules` the packages are that the package.json in `folder` names. */
function installPackages(folder) {
  const hash = createHash('sha256')
  for (const name of WANTED) hash.update(readFileSync(path.join(folder, name)))
  const { name, dependencies } = require(path.join(folder, 'package.json'))
  const installed = cached(`${name}-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(installed)) return installed
  console.error(`installing ${Object.keys(dependencies).join(', ')} into ${installed} (once)`)
  makeAtomically(installed, (draft) => {
    for (const name of WANTED) cpSync(path.join(folder, name), path.join(draft, name))
    const { status, error } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: draft, stdio: ['ignore', 'ignore', 'inherit'] })
    if (status !== 0) throw new Error(`npm ci: ${error?.message ?? `ended with code ${status}`}`)
    return draft
  })
  return installed
}

module.exports = { installPackages }
