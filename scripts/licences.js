'use strict'

// The licences of what is linked into the addon for a target, as cargo knows them: an expression for each crate, and the texts that crates come with.

const { spawnSync } = require('node:child_process')
const { readFileSync, readdirSync } = require('node:fs')
const path = require('node:path')

const ROOT = path.join(__dirname, '..')
const IS_LICENCE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i

/** Returns the text of a file with all licences. */
function licences(target) {
  const crates = linkedCrates(target)
  const unnamed = crates.filter(({ license, license_file: file }) => !license && !file)
  if (unnamed.length > 0) throw new Error(`Crates without a licence: ${unnamed.map(({ name }) => name).join(', ')}`)
  const texts = new Map()
  for (const crate of crates) {
    for (const text of licenceTexts(crate)) {
      const key = text.replace(/\s+/g, ' ').trim()
      if (!texts.has(key)) texts.set(key, { text: text.trim(), names: new Set() })
      texts.get(key).names.add(`${crate.name} ${crate.version}`)
    }
  }
  return [
    'The addon in this package has parts under these licences. Its own is in LICENSE. The source code of all crates is in the registry of Rust\'s packages, that of',
    'the two which are changed (MPL-2.0) in the folder `crates` of the package speaker-session. Rust\'s standard library is under MIT OR Apache-2.0; the parts of',
    'LLVM\'s libunwind and compiler-rt are under Apache-2.0 WITH LLVM-exception.\n',
    ...crates.map(({ name, version, license, authors }) => `${name} ${version}: ${license}${authors.length > 0 ? `, ${authors.join(', ')}` : ''}`),
    ...[...texts.values()].map(({ text, names }) => `\n${'-'.repeat(80)}\n${[...names].join(', ')}:\n\n${text}`), ''
  ].join('\n')
}

/** Returns the crates that are linked: neither those of build scripts nor macros, which run in the compiler. */
function linkedCrates(target) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target]
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`cargo metadata ended with code ${status}: ${stderr}`)
  const { packages, resolve } = JSON.parse(stdout)
  const crates = new Map(packages.map((crate) => [crate.id, crate]))
  const dependencies = new Map(resolve.nodes.map(({ id, deps }) => [id, deps]))
  const linked = new Set()
  const visit = (id) => {
    if (linked.has(id) || crates.get(id).targets.some(({ kind }) => kind.includes('proc-macro'))) return
    linked.add(id)
    for (const { pkg, dep_kinds: kinds } of dependencies.get(id)) if (kinds.some(({ kind }) => kind === null)) visit(pkg)
  }
  visit(resolve.root)
  linked.delete(resolve.root)
  return [...linked].map((id) => crates.get(id)).sort((a, b) => a.name.localeCompare(b.name, 'en'))
}

/** Returns the texts in a crate's folder, and in those of the C libraries in it. Of a choice that has MIT in it, that is taken. */
function licenceTexts({ manifest_path: manifest, license }) {
  const folder = path.dirname(manifest)
  const files = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isFile()) return IS_LICENCE.test(entry.name) ? [entry.name] : []
    const inner = readdirSync(path.join(folder, entry.name), { withFileTypes: true })
    return inner.filter((each) => each.isFile() && IS_LICENCE.test(each.name)).map(({ name }) => path.join(entry.name, name))
  })
  const isMit = (file) => /mit/i.test(file)
  const chosen = /\bOR\b/.test(license ?? '') && !/\bAND\b/.test(license) && files.some(isMit) ? files.filter((file) => isMit(file) || !/licen[cs]e/i.test(file)) : files
  return chosen.map((file) => readFileSync(path.join(folder, file), 'utf8'))
}

module.exports = { licences }
