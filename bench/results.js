'use strict'

// What a bench found, as one line of JSON: printed always, and with `--save` kept in bench/results/<bench>.jsonl. Figures of different
// machines, or of one that does something else meanwhile, are not comparable; so each line says where it comes from.

const { spawnSync } = require('node:child_process')
const { appendFileSync, mkdirSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const SAVE = '--save'
const folder = path.join(__dirname, 'results')

/** What the command line gives a bench. */
function operands() {
  return process.argv.slice(2).filter((argument) => argument !== SAVE)
}

function git(...args) {
  const { stdout, status } = spawnSync('git', args, { cwd: __dirname, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** The code that was measured; a `+` says that it had changes which no commit has. Undefined outside of a repository. */
function commit() {
  const hash = git('rev-parse', '--short', 'HEAD')
  return hash && (git('status', '--porcelain', '--untracked-files=no') ? `${hash}+` : hash)
}

/** A host's name says nothing about it, and many are random. */
function machine() {
  const [cpu] = os.cpus()
  return `${cpu?.model.trim() ?? 'unknown CPU'}, ${os.availableParallelism()} cores, ${os.type()} ${os.release()}`
}

/** Five digits of what was measured: the rest is noise. */
function rounded(key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/** Prints what `bench` found, and keeps it if that was asked for. `result` is whatever JSON can hold, with units in the names. */
function save(bench, result) {
  const found = { bench, date: new Date().toISOString(), commit: commit(), machine: machine(), node: process.version, result }
  const line = JSON.stringify(found, rounded)
  console.log(line)
  if (!process.argv.includes(SAVE)) return
  mkdirSync(folder, { recursive: true })
  appendFileSync(path.join(folder, `${bench}.jsonl`), `${line}\n`)
}

module.exports = { operands, save }
