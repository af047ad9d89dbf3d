'use strict'

// Builds the fuzzer (tests/fuzz/) and runs it: `npm run fuzz -- --seconds 60`. docs/fuzzing.md lists the options.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')
const args = process.argv.slice(2)
const guided = args.includes('--guided')
const rest = args.filter((argument) => argument !== '--guided')
const command = rest[0] === 'replay' ? rest : ['fuzz', ...rest]

const env = { ...process.env }
if (guided) {
  env.RUSTC_WRAPPER = path.join(__dirname, 'guide.js')
  // A folder of its own: cargo does not see that the wrapper compiles otherwise.
  env.CARGO_TARGET_DIR = path.join(root, 'target', 'guided')
}
const cargo = ['test', '--release', '--locked', '--quiet', '--test', 'fuzz', '--', ...command]
const { status, error } = spawnSync('cargo', cargo, { cwd: root, env, stdio: 'inherit' })
if (error) console.error(`fuzz: cargo can't be run: ${error.message}`)
process.exitCode = status ?? 1
