'use strict'

// `node scripts/pack.js FOLDER [TARGET]`: packs a folder as `npm pack` does, into TARGET (else the present folder), and prints the file's path. It is compressed
// anew by gzip: Node's zlib, with which npm does it, is faster, and makes the addon 2.5 % larger.

const { execFileSync } = require('node:child_process')
const { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { gunzipSync } = require('node:zlib')

const MOST_BYTES = 1 << 28

/** Packs a folder by npm into an empty one. Returns the path of the package's file. */
function packByNpm(folder, empty) {
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', empty, path.resolve(folder)], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [name] = readdirSync(empty)
  return path.join(empty, name)
}

/** Packs a folder, smaller than npm does. Returns the path of the package's file. */
function pack(folder, target) {
  const draft = mkdtempSync(path.join(target, 'pack-'))
  try {
    const packed = packByNpm(folder, draft)
    const tar = gunzipSync(readFileSync(packed))
    const file = path.join(target, path.basename(packed))
    writeFileSync(file, execFileSync('gzip', ['-9', '--no-name'], { input: tar, maxBuffer: MOST_BYTES }))
    return file
  } finally {
    rmSync(draft, { recursive: true })
  }
}

module.exports = { pack, packByNpm }

if (require.main === module) {
  const [folder, target = '.'] = process.argv.slice(2)
  if (folder === undefined) throw new Error('Expected node scripts/pack.js FOLDER [TARGET]')
  console.log(pack(folder, target))
}
