'use strict'

// What package.json promises: every subpath is there and packed, for `import` and `require`, and no package is needed that is not asked for.

const assert = require('node:assert/strict')
const { existsSync, readFileSync, readdirSync } = require('node:fs')
const { isBuiltin } = require('node:module')
const path = require('node:path')
const { test } = require('node:test')

const ROOT = path.join(__dirname, '..', '..')
const described = require('../../package.json')
const { PREBUILT, packageName } = require('../../lib/platform')
const { notes } = require('../../scripts/release-notes')

/** The files that a value of `exports` names. */
const targets = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(targets))

test('every subpath is there, packed and typed', async () => {
  for (const [subpath, value] of Object.entries(described.exports)) {
    for (const file of targets(value)) {
      assert.ok(existsSync(path.join(ROOT, file)), `${subpath} is ${file}`)
      const isPacked = file === './package.json' || described.files.some((packed) => file === `./${packed}` || file.startsWith(`./${packed}/`))
      assert.ok(isPacked, `${file} is in files`)
    }
    if (subpath.endsWith('.json')) continue
    assert.ok(targets(value).some((file) => /\.d\.m?ts$/.test(file)), `${subpath} has types`)
    const name = path.posix.join('speaker-session', subpath)
    const [imported, required] = [await import(name), require(name)]
    assert.deepEqual(Object.keys(required).filter((key) => !(key in imported)), [], `${name}: what is required can be imported by name`)
  }
})

test('packages of the user are optional', () => {
  assert.deepEqual(Object.keys(described.peerDependenciesMeta).sort(), Object.keys(described.peerDependencies).sort())
  assert.ok(Object.values(described.peerDependenciesMeta).every(({ optional }) => optional))
  assert.equal(described.dependencies, undefined)
  const known = [...Object.keys(described.peerDependencies), ...Object.keys(PREBUILT).map(packageName)]
  const inFolder = (folder) => readdirSync(path.join(ROOT, folder), { recursive: true }).map((name) => path.join(folder, name))
  for (const file of ['index.js', ...['lib', 'adapters', 'bin'].flatMap(inFolder).filter((name) => /\.m?js$/.test(name))]) {
    for (const [, name] of readFileSync(path.join(ROOT, file), 'utf8').matchAll(/(?:require\(|from )'([^'.][^']*)'/g)) {
      const packageName = name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')
      assert.ok(isBuiltin(name) || packageName === described.name || known.includes(packageName), `${file} takes ${name}`)
    }
  }
})

test('its versions are one', () => {
  const [, cargo] = /^version = "(.*)"$/m.exec(readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8'))
  assert.equal(cargo, described.version)
})

test('a release says what its section of the changelog has', () => {
  const changelog = '# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.0] - 2026-01-02\n\n### Added\n\n- this\n\n## [1.1.0]\n\n- before\n'
  assert.equal(notes(changelog, '1.2.0'), '### Added\n\n- this')
  assert.equal(notes(changelog, '1.3.0'), undefined)
})

test('its installation runs nothing', () => {
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(described.scripts[hook], undefined, hook)
})

test('it can be found', () => {
  assert.ok(described.keywords.includes('livekit') && new Set(described.keywords).size === described.keywords.length)
  assert.ok(described.description && described.license && described.engines.node)
})
