'use strict'

// What a prebuilt package is: for one platform, on an old glibc, with the licences of what is in it.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { PREBUILT, platformName } = require('../../lib/platform')
const { licences } = require('../../scripts/licences')
const { describe, newestGlibc } = require('../../scripts/prebuild')

const ADDON = path.join(__dirname, '..', '..', 'speaker-session.node')

test('each is for its platform alone', () => {
  const all = Object.keys(PREBUILT).map((platform) => describe(platform))
  const of = ({ os, cpu, libc }) => [os, cpu, libc ?? []].join(' ')
  assert.equal(new Set(all.map(of)).size, all.length)
  for (const { os, libc } of all) assert.equal(os[0] === 'linux', libc?.length === 1)
  assert.equal(describe('linux-x64-gnu').repository, undefined)
  assert.deepEqual(describe('linux-x64-gnu', 'git+https://example.com/a.git').repository, { type: 'git', url: 'git+https://example.com/a.git' })
})

test('the newest glibc is what the library needs', { skip: platformName().endsWith('-gnu') ? false : 'not on glibc' }, () => {
  // The names of versions stand in the file as text.
  const named = [...readFileSync(ADDON, 'latin1').matchAll(/\0GLIBC_2\.(\d+)(?=[.\0])/g)].map(([, minor]) => Number(minor))
  assert.equal(newestGlibc(ADDON), `2.${Math.max(...named)}`)
})

test('what is linked is named with its licence, C libraries among it', () => {
  const text = licences(PREBUILT['linux-x64-gnu'].target)
  for (const part of [/^tokio [\d.]+: MIT/m, /^opusic-sys [\d.]+: BSD-3-Clause/m, /Xiph\.Org/, /^symphonia [\d.]+: MPL-2\.0/m, /Mozilla Public License/]) assert.match(text, part)
  // Of build scripts, of macros, of tests.
  for (const name of ['cmake', 'cc', 'serde_derive', 'proptest']) assert.doesNotMatch(text, new RegExp(`^${name} [\\d.]+: `, 'm'))
})
