'use strict'

// The results of a benchmark, as one line of JSON: always printed, and with `--save` appended to bench/results/<bench>.jsonl. Figures of
// different machines, or of a busy one, are not comparable, so each line describes its machine.

const { spawnSync } = require('node:child_process')
const { appendFileSync, mkdirSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const SAVE = '--save'
const folder = path.join(__dirname, 'results')

/** Returns the arguments of the command line. */
function operands() {
  return process.argv.slice(2).filter((argument) => argument !== SAVE)
}

function git(...args) {
  const { stdout, status } = spawnSync('git', args, { cwd: __dirname, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** Returns the commit that was measured, with a `+` if there were uncommitted changes. Undefined outside of a repository. */
function commit() {
  const hash = git('rev-parse', '--short', 'HEAD')
  return hash && (git('status', '--porcelain', '--untracked-files=no') ? `${hash}+` : hash)
}

/** Describes the machine, without its host name, which says nothing and is often random. */
function machine() {
  const [cpu] = os.cpus()
  return `${cpu?.model.trim() ?? 'unknown CPU'}, ${os.availableParallelism()} cores, ${os.type()} ${os.release()}`
}

/** Rounds a figure to five digits: the rest is noise. */
function rounded(key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/** Prints the result of `bench`, and saves it with `--save`. `result` is anything that JSON can hold, with units in the names. */
function save(bench, result) {
  const found = { bench, date: new Date().toISOString(), commit: commit(), machine: machine(), node: process.version, result }
  const line = JSON.stringify(found, rounded)
  console.log(line)
  if (!process.argv.includes(SAVE)) return
  mkdirSync(folder, { recursive: true })
  appendFileSync(path.join(folder, `${bench}.jsonl`), `${line}\n`)
}

module.exports = { operands, save }
