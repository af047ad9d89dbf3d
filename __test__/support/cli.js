'use strict'

// The command line as a user runs it, in its own process and directory.

const { spawn } = require('node:child_process')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const PROGRAM = path.join(__dirname, '..', '..', 'bin', 'speaker-session.js')

/** Creates a directory with these files (name → content), which is removed after the test. */
function workspace(t, files = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content)
  return directory
}

/**
 * Runs to the end; `onOutput(stdout so far, process)` may act on the process. Only `env` can name a LiveKit server, or programs that play on a sound card;
 * `input` is standard input. `encoding` is that of standard output.
 */
function run(cwd, args, onOutput = () => {}, { env, program = PROGRAM, input, encoding = 'utf8' } = {}) {
  const silent = args.includes('--livekit') ? {} : { PATH: '' }
  const options = { cwd, env: { ...process.env, LIVEKIT_URL: '', ...silent, ...env }, timeout: 30000, killSignal: 'SIGKILL' }
  const child = spawn(process.execPath, [program, ...args], options)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding(encoding)
  child.stderr.setEncoding('utf8')
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  child.stderr.on('data', (text) => (output.stderr += text))
  child.stdout.on('data', (text) => {
    output.stdout += text
    onOutput(output.stdout, child)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, ...output }))
  })
}

function jsonl(...lines) {
  return lines.map((line) => JSON.stringify(line)).join('\n')
}

module.exports = { workspace, run, jsonl }
