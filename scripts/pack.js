'use strict'

// `node scripts/pack.js FOLDER [TARGET]`: packs a folder as `npm pack` does, into TARGET (else the present folder), and prints the file's path. It is compressed
// anew by gzip: Node's zlib, with which npm does it, is faster, and makes the addon 2.5 % larger.

const { execFileSync } = require('node:child_process')
const { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { gunzipSync } = require('node:zlib')

const MOST_BYTES = 1 << 28

/** Returns the path of the package's file. */
function pack(folder, target) {
  const draft = mkdtempSync(path.join(target, 'pack-'))
  try {
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', draft, path.resolve(folder)], { stdio: ['ignore', 'ignore', 'inherit'] })
    const [name] = readdirSync(draft)
    const tar = gunzipSync(readFileSync(path.join(draft, name)))
    const file = path.join(target, name)
    writeFileSync(file, execFileSync('gzip', ['-9', '--no-name'], { input: tar, maxBuffer: MOST_BYTES }))
    return file
  } finally {
    rmSync(draft, { recursive: true })
  }
}

module.exports = { pack }

if (require.main === module) {
  const [folder, target = '.'] = process.argv.slice(2)
  if (folder === undefined) throw new Error('Expected node scripts/pack.js FOLDER [TARGET]')
  console.log(pack(folder, target))
}
