'use strict'

// Scripts in their own process, to see when it exits and what it leaves behind.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const { tone } = require('./wav')

const root = path.join(__dirname, '..', '..')

/** The options of a session as source text. */
const memory = `{ output: { type: 'memory' } }`

/** The start of a script that collects garbage with `gc()`. */
const collects = `const { gc } = require(${JSON.stringify(require.resolve('./gc'))})`

/** Runs a script in its own process, in a folder with clip.wav (0.4 s) and long.wav (20 s). */
async function run(t, script, { esm = false, load = true, kill } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(path.join(folder, 'clip.wav'), tone(440, 400))
  writeFileSync(path.join(folder, 'long.wav'), tone(440, 20_000))
  const head = esm
    ? `import { SpeakerSession, SpeakerError } from ${JSON.stringify(path.join(root, 'index.js'))}\n`
    : `const { SpeakerSession, SpeakerError } = require(${JSON.stringify(root)})\n`
  const file = path.join(folder, esm ? 'script.mjs' : 'script.js')
  writeFileSync(file, load ? head + script : script)
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.on('data', (data) => {
    out += data
    if (kill && out.includes('now')) child.kill(kill)
  })
  child.stderr.on('data', (data) => (err += data))
  const [code, signal] = await once(child, 'close')
  return { code, signal, out, err, folder }
}

module.exports = { collects, memory, root, run }
