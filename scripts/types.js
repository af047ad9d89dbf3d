'use strict'

// Regenerates lib/native.d.ts from the Rust binding (`npm run types`). With --check it fails if the committed one is stale.

const { spawnSync } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const { generateTypeDef } = require('@napi-rs/cli')

const root = path.join(__dirname, '..')
const committed = path.join(root, 'lib', 'native.d.ts')

/** Expands the binding's macros, of which napi-derive writes the types to `folder`; a new folder makes cargo run it again. */
function expand(folder) {
  const env = { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: folder }
  const { status } = spawnSync('cargo', ['check', '--release', '--locked', '--lib'], { cwd: root, env, stdio: 'inherit' })
  if (status !== 0) throw new Error(`cargo check ended with code ${status}`)
}

async function main() {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-types-'))
  try {
    expand(folder)
    const { dts } = await generateTypeDef({ typeDefDir: folder, cwd: root })
    if (!dts.includes('NativeSession')) throw new Error('the binding wrote no types')
    if (!process.argv.includes('--check')) writeFileSync(committed, dts)
    else if (dts !== readFileSync(committed, 'utf8')) {
      throw new Error('lib/native.d.ts is stale: run `npm run types` and commit it')
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

main().catch((error) => {
  console.error(`speaker-session: ${error.message}`)
  process.exitCode = 1
})
