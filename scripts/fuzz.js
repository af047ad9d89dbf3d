'use strict'

// Builds the fuzzer (tests/fuzz/) and runs it: `npm run fuzz -- --seconds 60`. docs/fuzzing.md lists the options. SPEAKER_SESSION_FEATURES is as of build.js.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')

/** Compiles it, and returns its path. */
function build(guided) {
  const env = { ...process.env }
  if (guided) {
    env.RUSTC_WRAPPER = path.join(__dirname, 'guide.js')
    // Its own folder, because cargo does not know that the wrapper compiles differently.
    env.CARGO_TARGET_DIR = path.join(root, 'target', 'guided')
  }
  const features = process.env.SPEAKER_SESSION_FEATURES ?? ''
  const args = ['test', '--release', '--locked', '--features', features, '--test', 'fuzz', '--no-run', '--message-format', 'json-render-diagnostics']
  const options = { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] }
  const { status, stdout, error } = spawnSync('cargo', args, options)
  if (error) throw new Error(`cargo can't be run: ${error.message}`)
  if (status !== 0) throw new Error(`cargo ended with code ${status}`)
  const messages = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))
  return messages.find(({ executable, target }) => executable && target.name === 'fuzz').executable
}

function main() {
  const args = process.argv.slice(2)
  const rest = args.filter((argument) => argument !== '--guided')
  const program = build(rest.length < args.length)
  const { status } = spawnSync(program, rest[0] === 'replay' ? rest : ['fuzz', ...rest], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}

try {
  main()
} catch (error) {
  console.error(`fuzz: ${error.message}`)
  process.exitCode = 1
}
