'use strict'

// `npm run test:place`: what the environment can do to the process (disks, descriptors, threads, resolvers, logs, clocks), and how
// sessions beside it fare. `--short` runs a part of it; `--only=<text>` the rows with that in their name. Rows that need what the machine
// lacks are skipped with a note. Exits with 1 if a row is wrong; see docs/testing.md.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdirSync, mkdtempSync, readdirSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { steady } = require('../support/healthy')
const { missing } = require('./needs')

/** Machines are noisy: a longer silence is tried again, and is wrong if it comes again. */
const MAX_SILENT_MS = 60
const LIMIT_MS = 120_000

const { values: { short, only } } = parseArgs({ options: { short: { type: 'boolean' }, only: { type: 'string' } } })

const folder = mkdtempSync(path.join(os.tmpdir(), 'place-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

/** Every file in rows/ is a list of rows; row.js describes their fields. */
const rows = readdirSync(path.join(__dirname, 'rows')).sort().flatMap((file) => {
  return require(`./rows/${file}`).map((row, index) => ({ ...row, file, index }))
})

/** Runs a row in its own process. */
async function attempt({ file, index, env = {}, under = () => [] }, steadyFiles) {
  const own = mkdtempSync(path.join(folder, 'row-'))
  mkdirSync(path.join(own, 'slow'))
  const given = typeof env === 'function' ? env(own) : env
  const [command, ...args] = [...under(own), process.execPath, '--expose-gc', path.join(__dirname, 'row.js')]
  const child = spawn(command, args, { env: { ...process.env, ...given }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let [log, result] = ['', undefined]
  child.stderr.on('data', (data) => (log += data))
  child.on('message', (message) => (result = message))
  child.send({ file, index, folder: own, steady: steadyFiles })
  const patience = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(patience)
  return result ?? { wrong: `the process ended (${signal ?? code}) ${log.trim().slice(-1000)}`, silentMs: Infinity }
}

function line(what, silentMs, word) {
  console.log(`${what.padEnd(72)} ${silentMs.padStart(9)}  ${word}`)
}

async function main() {
  const steadyFiles = steady(folder)
  const chosen = rows.filter(({ what, short: isShort }) => (!short || isShort) && (!only || what.includes(only)))
  let [failed, skipped] = [0, 0]
  line('row', 'silent ms', '')
  for (const row of chosen) {
    const lacks = missing(row.needs ?? [])
    if (lacks) {
      skipped++
      line(row.what, '-', `skipped: ${lacks}`)
      continue
    }
    let result = await attempt(row, steadyFiles)
    if (!result.wrong && result.silentMs > MAX_SILENT_MS) result = await attempt(row, steadyFiles)
    const wrong = result.wrong ?? (result.silentMs > MAX_SILENT_MS && 'the others were silent, twice')
    line(row.what, String(Math.round(result.silentMs)), wrong ? `WRONG: ${wrong}` : (result.said ?? ''))
    if (wrong) failed++
  }
  const tail = skipped > 0 ? `, ${skipped} skipped` : ''
  console.log(failed > 0 ? `${failed} of ${chosen.length} are wrong${tail}` : `${chosen.length} rows, all as they must be${tail}`)
  process.exitCode = failed > 0 ? 1 : 0
}

main()
