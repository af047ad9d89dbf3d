'use strict'

// `npm run test:hostile`: hostile files and servers, and their effect on other sessions. `--short` runs a part of it; `--only=<text>`
// those with the text in their name. Runs on Linux, where a process can read its own peak of memory. Exit code 1 if one fails; see
// docs/testing.md for the columns and the limits.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { steady } = require('../support/healthy')
const { ZEROS, bodies } = require('./bodies')
const { tricks } = require('./tricks')

/** Copies at once: more than there are decode threads on two cores. */
const COPIES = 4
const MIB = 2 ** 20
/** The limits of a trick, besides the memory of its copies. */
const MAX_MEMORY = 64
const HOLDS = 2
/** Limits for a noisy machine: a trick beyond these is tried again, and fails the second time. */
const MAX_SILENT_MS = 500
const MAX_SETTLE_MS = 2000

const { values: { short, only } } = parseArgs({ options: { short: { type: 'boolean' }, only: { type: 'string' } } })
const RUN_MS = short ? 1000 : 2500
const LIMIT_MS = short ? 15_000 : 30_000

const folder = mkdtempSync(path.join(os.tmpdir(), 'hostile-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

/** Writes a body as a sparse file, up to `size` MiB. */
function write(name, size = Infinity) {
  const file = path.join(folder, name)
  const fd = openSync(file, 'w')
  let at = 0
  for (const piece of bodies[name]()) {
    const isZeros = piece.buffer === ZEROS.buffer
    // Endless zeros follow.
    if (isZeros && size < Infinity) at = size * MIB
    if (at >= size * MIB) break
    if (!isZeros) writeSync(fd, piece, 0, piece.length, at)
    at += piece.length
  }
  ftruncateSync(fd, at)
  closeSync(fd)
  return file
}

/** Runs one in its own process. */
async function attempt(trick, steadyFiles) {
  const child = fork(path.join(__dirname, 'process.js'), { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
  let [log, result] = ['', undefined]
  child.stderr.on('data', (data) => (log += data))
  child.on('message', (message) => (result = message))
  child.send({ trick, copies: COPIES, steady: steadyFiles, runMs: RUN_MS, limitMs: LIMIT_MS })
  const patience = setTimeout(() => child.kill('SIGKILL'), 4 * LIMIT_MS)
  const [code, signal] = await once(child, 'close')
  clearTimeout(patience)
  return result && code === 0 ? result : { died: signal ?? code, log }
}

/** Counts the values in a list, unless all are the same: `3 × ERR_DECODE, 1 × stopped`. */
function counted(list) {
  const times = (one) => list.filter((other) => other === one).length
  return [...new Set(list)].map((one) => (times(one) === list.length ? one : `${times(one)} × ${one}`)).join(', ')
}

/** Returns the faults of a result as text. */
function faults({ expected, holds = HOLDS }, result) {
  if ('died' in result) return [`the process ended (${result.died}) ${result.log.trim().slice(-500)}`]
  const { got, peak, filesLeft, broken, neverSettled } = result
  const found = []
  if (expected === 'any' ? got.includes('plays on') : got.some((outcome) => outcome !== expected)) {
    found.push(`Expected ${expected} but received ${counted(got)} (${result.messages[0]})`)
  }
  const bound = MAX_MEMORY + COPIES * holds
  if (peak > bound) found.push(`Expected at most ${bound} MiB but received ${Math.round(peak)}`)
  if (filesLeft > 0) found.push(`${filesLeft} files are left open`)
  if (broken > 0) found.push(`${broken} sessions broke`)
  if (neverSettled > 0) found.push(`${neverSettled} promises of stop or close did not settle`)
  return found
}

function slowness(result) {
  if ('died' in result) return []
  const found = []
  if (result.silentMs > MAX_SILENT_MS) found.push(`the others were silent for ${Math.round(result.silentMs)} ms, twice`)
  if (result.settledMs > MAX_SETTLE_MS) found.push(`stop or close took ${Math.round(result.settledMs)} ms, twice`)
  return found
}

const COLUMNS = [['trick', 44], ['expected', 24], ['got', 24], ['MiB', 6], ['silent ms', 11], ['late ms', 9], ['settled ms', 11]]

function line(cells) {
  const text = cells.map((cell, n) => (n < 3 ? String(cell).padEnd(COLUMNS[n][1]) : String(cell).padStart(COLUMNS[n][1])))
  console.log(text.join(' ').trimEnd())
}

async function main() {
  const server = fork(path.join(__dirname, 'server.js'))
  const [port] = await once(server, 'message')
  const steadyFiles = steady(folder)
  const chosen = tricks.filter(({ what, short: isShort }) => (!short || isShort) && (!only || what.includes(only)))
  const failed = []
  line(COLUMNS.map(([name]) => name))
  for (const trick of [{ what: '(nothing)', expected: '' }, ...chosen]) {
    const { what, file, http, server: place } = trick
    const written = file && write(file, trick.size)
    const audioUrl = written ?? (http ? `http://127.0.0.1:${port}/body/${http}` : place && `http://127.0.0.1:${port}${place}`)
    const name = what + (http ? ', by HTTP' : '')
    let result = await attempt({ ...trick, audioUrl }, steadyFiles)
    if (slowness(result).length > 0) result = await attempt({ ...trick, audioUrl }, steadyFiles)
    if (written) rmSync(written)
    const wrong = [...faults(trick, result), ...slowness(result)]
    const { got = [`ended: ${result.died}`], peak = 0, silentMs = 0, lateMs = 0, settledMs = 0 } = result
    line([name, trick.expected, counted(got), ...[peak, silentMs, lateMs, settledMs].map((value) => Math.round(value ?? Infinity))])
    for (const fault of wrong) console.log(`  WRONG: ${fault}`)
    if (wrong.length > 0) failed.push(name)
  }
  server.disconnect()
  console.log(failed.length > 0 ? `${failed.length} of ${chosen.length} are wrong` : `${chosen.length} tricks, all as they must be`)
  process.exitCode = failed.length > 0 ? 1 : 0
}

main()
