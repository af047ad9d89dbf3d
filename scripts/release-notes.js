'use strict'

// `node scripts/release-notes.js v1.2.3`: prints what CHANGELOG.md says of a release; fails if the tag is not the version of everything that is released.

const { readFileSync } = require('node:fs')
const path = require('node:path')

const read = (name) => readFileSync(path.join(__dirname, '..', name), 'utf8')

/** Returns the text below the heading of a version, up to the next one's; undefined if there is none. */
function notes(changelog, version) {
  const [, text] = changelog.split(`\n## [${version}]`)
  return text?.split('\n## ')[0].replace(/^.*\n/, '').trim()
}

function check(tag) {
  const versions = { 'package.json': JSON.parse(read('package.json')).version, 'Cargo.toml': /^version = "(.*)"$/m.exec(read('Cargo.toml'))[1] }
  for (const [file, version] of Object.entries(versions)) {
    if (tag !== `v${version}`) throw new Error(`Expected the tag v${version}, as in ${file}, but received ${tag}`)
  }
  const text = notes(read('CHANGELOG.md'), versions['package.json'])
  if (!text) throw new Error(`Expected a section [${versions['package.json']}] in CHANGELOG.md but found none`)
  return text
}

module.exports = { notes }

if (require.main === module) {
  try {
    console.log(check(process.argv[2]))
  } catch ({ message }) {
    console.error(`speaker-session: ${message}`)
    process.exitCode = 1
  }
}
