'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const ROOT = path.join(__dirname, '..')

/**
 * Builds the addon; returns the path of the library. `command` is cargo or what stands in for it, with `args`, the first of which is its subcommand;
 * the profile is among them.
 */
function buildLibrary(command, args, env = {}) {
  const { status, error, stdout } = spawnSync(command, [...args, '--locked', '--lib', '--message-format', 'json-render-diagnostics'], {
    cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 28
  })
  if (status !== 0) throw new Error(`${path.basename(command)} ${args[0]} ended with ${error?.message ?? `code ${status}`}.`)
  const built = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'speaker_session')
    .flatMap(({ filenames }) => filenames)
    .find((name) => /\.(so|dylib|dll)$/.test(name))
  if (!built) throw new Error(`${path.basename(command)} ${args[0]} made no library`)
  return built
}

module.exports = { buildLibrary }
