'use strict'

// Runs the tests on other runtimes: `npm run test:runtimes -- [RUNTIME …] [FILE …]`. The runtimes are those of __test__/runtimes/package.json (node-22,
// node-24, bun), installed from npm into the user's cache directory once; the files are all tests unless some are named. Each file runs in a process
// of its own, and what a failing one wrote is shown. Tests that need what a runtime has not are left out, each with its reason, unless one is named
// alone.

const { spawn, spawnSync } = require('node:child_process')
const { existsSync, readdirSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { installPackages } = require('./packages')

const ROOT = path.join(__dirname, '..')
/** Test files that fail on a runtime for a reason that is not this package's. */
const UNFIT = {
  bun: {
    '__test__/adapters/mentra-sdk.test.js': 'its cloud hands connections from one server to another, which Bun has not',
    '__test__/adapters/mentra.test.js': 'a process that nothing keeps alive ends before its room is open',
    '__test__/cli/livekit.test.js': 'Bun installs packages that are missing as they are asked for, and words refused connections in its own way',
    '__test__/metrics/traces.test.js': 'stacks of errors begin elsewhere',
    '__test__/output/http.test.js': 'its HTTP servers answer hostile requests in their own way',
    '__test__/process/addon.test.js': 'Bun shows an error that ends the process in its own way',
    '__test__/process/threads.test.js': 'with ulimit -u Bun itself has no threads',
    '__test__/testing/server.test.js': 'its HTTP servers drop what was written when they cut the connection'
  }
}

const LIMIT_MS = 240_000
/** The number of files at once, as in `npm run test:js`. */
const AT_ONCE = Math.max(2, os.availableParallelism() - 1)
const PLATFORM = `${process.platform}-${process.arch}`

/** Returns the command of a runtime that runs a test file. */
function runtimes() {
  const modules = path.join(installPackages(path.join(ROOT, '__test__', 'runtimes')), 'node_modules')
  const node = (major) => ({
    file: path.join(modules, `node-${major}-${PLATFORM}`, 'bin', 'node'),
    args: ['--test-reporter=spec', `--test-timeout=${LIMIT_MS}`, '--test']
  })
  return {
    'node-22': node(22),
    'node-24': node(24),
    bun: { file: path.join(modules, '@oven', `bun-${PLATFORM}`, 'bin', 'bun'), args: ['test', '--timeout', String(LIMIT_MS)] }
  }
}

/** Returns all test files. */
function testFiles() {
  const folders = readdirSync(path.join(ROOT, '__test__'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders.flatMap(({ name }) => readdirSync(path.join(ROOT, '__test__', name)).filter((file) => file.endsWith('.test.js')).map((file) => `__test__/${name}/${file}`)).sort()
}

/** Runs a test file. Returns what it wrote, if it failed. */
async function attempt({ file, args }, test) {
  // The runtime is found by programs that look for `node` or `bun`, too.
  const env = { ...process.env, PATH: `${path.dirname(file)}${path.delimiter}${process.env.PATH}` }
  const child = spawn(file, [...args, `./${test}`], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += data))
  const code = await new Promise((resolve) => child.on('close', resolve).on('error', (error) => resolve(error.message)))
  return code === 0 ? undefined : `${out}\nended with ${code}`
}

async function main(operands) {
  const known = runtimes()
  const named = operands.filter((operand) => operand in known)
  const files = operands.filter((operand) => !(operand in known))
  for (const file of files) if (!existsSync(path.join(ROOT, file))) throw new Error(`Expected a file, or one of ${Object.keys(known).join(', ')}, but received ${file}`)
  for (const name of named.length > 0 ? named : Object.keys(known)) {
    if (!existsSync(known[name].file)) throw new Error(`${name} has no package for ${PLATFORM}`)
    const { stdout } = spawnSync(known[name].file, ['--version'], { encoding: 'utf8' })
    const failed = []
    const unfit = UNFIT[name] ?? {}
    const wanted = files.length > 0 ? files : testFiles()
    const tests = wanted.length === 1 ? wanted : wanted.filter((test) => !(test in unfit))
    for (const test of wanted) if (!tests.includes(test)) console.log(`${name} leaves out ${test}: ${unfit[test]}`)
    const rest = tests.values()
    const work = async () => {
      for (const test of rest) {
        const wrote = await attempt(known[name], test)
        if (wrote === undefined) continue
        failed.push(test)
        console.log(`${wrote}\n${name} failed ${test}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    console.log(`${name} ${stdout.trim()}: ${tests.length - failed.length} of ${tests.length} files pass${failed.map((test) => `\n  failed: ${test}`).join('')}`)
    if (failed.length > 0) process.exitCode = 1
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`test:runtimes: ${error.message}`)
  process.exitCode = 1
})
