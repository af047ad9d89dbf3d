'use strict'

// Node's permission model: a session reads and writes only what its process may.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { root } = require('../support/process')
const { tone } = require('../support/wav')

const flag = ['--permission', '--experimental-permission'].find((flag) => process.allowedNodeEnvironmentFlags.has(flag))

test('files need the permission', { skip: flag === undefined }, (t) => {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'speaker-session-')))
  t.after(() => rmSync(folder, { recursive: true }))
  const at = (name) => path.join(folder, name)
  for (const name of ['yes.wav', 'no.wav']) writeFileSync(at(name), tone(440, 20))
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const { pathToFileURL } = require('node:url')
    const memory = { type: 'memory', clock: 'manual' }
    const told = async (call) => {
      try {
        console.log((await call())?.outcome ?? 'made')
      } catch ({ code, permission, resource, message }) {
        console.log(code, permission, resource, message)
      }
    }
    const made = (options) => async () => { await new SpeakerSession({ output: memory, ...options }).close() }
    ;(async () => {
      const session = new SpeakerSession({ output: memory })
      const events = []
      session.on('failed', (event) => events.push(event))
      for (const audioUrl of ['no.wav', pathToFileURL('no.wav'), 'yes.wav']) {
        const playing = told(() => session.playAudio({ audioUrl }))
        await session.advance(20)
        await playing
      }
      await session.close()
      console.log(events.length)
      await told(made({ output: { type: 'wav', path: 'no-mix.wav' } }))
      await told(made({ record: 'no.jsonl' }))
      await told(made({ record: { path: 'no.jsonl' } }))
      await told(made({ record: 'yes.jsonl' }))
    })()`
  const allowed = ['--allow-addons', `--allow-fs-read=${root}/*`, `--allow-fs-read=${at('yes.wav')}`, `--allow-fs-write=${at('yes.jsonl')}`]
  const { stdout, stderr } = spawnSync(process.execPath, [flag, ...allowed, '-e', script], { cwd: folder, encoding: 'utf8' })
  const denied = (permission, name, what, argument) => {
    return `ERR_ACCESS_DENIED ${permission} ${at(name)} Expected permission to ${what} for ${argument} but received none: ${at(name)}`
  }
  const unread = denied('FileSystemRead', 'no.wav', 'read it (--allow-fs-read)', 'audioUrl')
  const unwritten = (name, argument) => denied('FileSystemWrite', name, 'write it (--allow-fs-write)', argument)
  assert.deepEqual(stdout.trim().split('\n'), [
    unread, unread, 'completed', '0',
    unwritten('no-mix.wav', 'output.path'), unwritten('no.jsonl', 'record'), unwritten('no.jsonl', 'record.path'), 'made'
  ], stderr)
  for (const name of ['no-mix.wav', 'no.jsonl']) assert.ok(!existsSync(at(name)), name)
})
