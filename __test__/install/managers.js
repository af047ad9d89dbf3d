'use strict'

// The package managers that run.js installs with: how each is started, told of the registry, and asked for an installation. What each keeps is in `home`.

const { execFileSync } = require('node:child_process')
const { existsSync, readdirSync, realpathSync } = require('node:fs')
const path = require('node:path')

const { installPackages } = require('../../scripts/packages')

const installed = path.join(installPackages(path.join(__dirname, 'managers')), 'node_modules')
const inModules = (...names) => path.join(installed, ...names)
/** npm 12 needs a newer Node than our oldest. */
const NODE_24 = [inModules('node-24', 'bin', 'node')].find(existsSync) ?? process.execPath
const NODE = process.execPath
const OUR_NPM = realpathSync(execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim())

/** Another platform than ours, whichever that is. */
const ELSEWHERE = process.platform === 'win32' ? ['--os=darwin', '--cpu=arm64'] : ['--os=win32', '--cpu=x64']

const npmrc = (registry) => ({ '.npmrc': `registry=${registry}\n` })
/** The program in the package of this platform, the only one of its scope that is installed. */
const program = (scope, ...names) => inModules(scope, readdirSync(inModules(scope))[0], ...names)
const PNPM = program('@pnpm', 'pnpm')
const BUN = program('@oven', 'bin', 'bun')
const YARN = [NODE, inModules('yarn', 'bin', 'yarn.js')]
const npmWords = (folder, node) => ({ npm: [node, path.join(folder, 'bin', 'npm-cli.js')], npx: [node, path.join(folder, 'bin', 'npx-cli.js')] })

/**
 * Each: its `command`; the `files` of a project that it needs; the arguments that `install`, and those by which the package of this platform is left out
 * (`without`) or that of another is taken (`elsewhere`), if it has them, with the programs that its `words` are; the `node` that runs what it installs, and
 * the arguments with which that runs a `script`, if they are not the script alone; `runtime` where it runs scripts itself; `downloadsAll` where it downloads
 * every optional package and only then looks at its platform.
 */
const MANAGERS = [
  {
    name: 'npm, without scripts', command: [NODE, path.join(OUR_NPM, 'npm', 'bin', 'npm-cli.js')], files: npmrc,
    install: ['install', '--ignore-scripts', '--no-audit', '--no-fund'], without: ['--omit=optional'], elsewhere: ELSEWHERE,
    words: npmWords(path.join(OUR_NPM, 'npm'), NODE)
  },
  {
    name: 'npm 12', command: [NODE_24, inModules('npm-12', 'bin', 'npm-cli.js')], node: NODE_24, files: npmrc,
    install: ['install', '--no-audit', '--no-fund'], without: ['--omit=optional'], elsewhere: ELSEWHERE,
    words: npmWords(inModules('npm-12'), NODE_24)
  },
  {
    name: 'pnpm', command: [PNPM], files: npmrc,
    install: ['install', '--no-frozen-lockfile'], without: ['--no-optional'], elsewhere: ELSEWHERE, words: { pnpm: [PNPM] }
  },
  {
    name: 'Yarn 1', command: YARN, files: npmrc,
    install: ['install', '--no-progress'], without: ['--ignore-optional'], words: { yarn: YARN }, downloadsAll: true
  },
  {
    name: 'Yarn 4', command: [NODE, inModules('@yarnpkg', 'cli-dist', 'bin', 'yarn.js')],
    files: (registry) => ({ '.yarnrc.yml': yarnrc(registry, 'node-modules'), 'yarn.lock': '' }), install: ['install']
  },
  {
    name: 'Yarn 4, Plug\'n\'Play', command: [NODE, inModules('@yarnpkg', 'cli-dist', 'bin', 'yarn.js')],
    files: (registry) => ({ '.yarnrc.yml': yarnrc(registry, 'pnp'), 'yarn.lock': '' }), install: ['install'],
    script: (file) => ['--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', file]
  },
  {
    name: 'Bun', command: [BUN],
    files: (registry) => ({ 'bunfig.toml': `[install]\nregistry = "${registry}"\n` }), install: ['install'],
    without: ['--omit=optional'], elsewhere: ELSEWHERE, words: { bun: [BUN], bunx: [BUN, 'x'] }, runtime: true
  }
]

function yarnrc(registry, linker) {
  return `npmRegistryServer: "${registry}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nnodeLinker: ${linker}\npnpEnableEsmLoader: true\nenableTelemetry: false\n`
}

module.exports = { MANAGERS }
