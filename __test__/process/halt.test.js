'use strict'

// A process that is halted and continues: sound is faded at both edges of the gap.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { workspace } = require('../support/cli')
const { flat } = require('../support/mix')
const { root } = require('../support/process')
const { readWav } = require('../support/wav')

const MS = 48
const LEVEL = 0.5
const HALT_MS = 1200

/** Starts the script; `said(word)` resolves with the line that begins with it. */
function start(t, cwd, script) {
  const child = spawn(process.execPath, ['-e', script], { cwd, stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  const said = async (word) => {
    for (;;) {
      const found = out.split('\n').find((line) => line.startsWith(word) && out.includes(`${line}\n`))
      if (found !== undefined) return found
      await once(child.stdout, 'data')
    }
  }
  return { child, said }
}

test('a halt of 1.2 s has faded edges', { skip: process.platform === 'win32' }, async (t) => {
  const directory = workspace(t, { 'steady.wav': flat(20_000, LEVEL) })
  const { child, said } = start(t, directory, `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'wav', path: 'mix.wav', format: 'f32' } })
    session.on('started', () => console.log('started'))
    session.on('overloaded', (event) => console.log('overloaded ' + JSON.stringify(event)))
    session.playAudio({ audioUrl: 'steady.wav' })
    process.stdin.once('data', async () => {
      await session.stopAudio({ fadeOutMs: 20 })
      await new Promise((resolve) => session.once('stopped', resolve))
      const { lostFrames } = session.stats()
      await session.close()
      console.log('lost ' + lostFrames)
      process.exit()
    })
  `)
  await said('started')
  await sleep(300)
  child.kill('SIGSTOP')
  await sleep(HALT_MS)
  child.kill('SIGCONT')
  await sleep(300)
  child.stdin.write('stop\n')
  const lostFrames = Number((await said('lost')).slice(5))
  if (child.exitCode === null) await once(child, 'exit')

  const overloaded = JSON.parse((await said('overloaded')).slice('overloaded'.length))
  assert.ok(overloaded.lostFrames > 0 && overloaded.lostFrames <= lostFrames && overloaded.lateMs >= overloaded.lostFrames * 20, JSON.stringify(overloaded))
  assert.ok(lostFrames >= (HALT_MS - 200) / 20 - 1, `${lostFrames} frames of a halt of ${HALT_MS} ms`)
  const { samples } = readWav(path.join(directory, 'mix.wav'))
  const first = samples.findIndex((sample) => sample > 0)
  let [holes, silent] = [0, 0]
  for (let n = first + 1; n < samples.length; n++) {
    const step = Math.abs(samples[n] - samples[n - 1])
    assert.ok(step <= (LEVEL / (5 * MS)) * 1.01, `a step of ${step} at ${n / MS} ms`)
    silent = samples[n] === 0 ? silent + 1 : 0
    if (silent === 500 * MS) holes += 1
  }
  assert.ok(holes >= 1, 'the time that was lost is in the file')
})

test('frames delayed by a short halt are late', { skip: process.platform === 'win32' }, async (t) => {
  const directory = workspace(t, { 'steady.wav': flat(20_000, LEVEL) })
  // Frames that were due just before it, or in its last 20 ms, are not late.
  const { child, said } = start(t, directory, `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'memory' } })
    session.on('started', () => console.log('started'))
    const overloaded = require('node:events').once(session, 'overloaded')
    session.playAudio({ audioUrl: 'steady.wav' })
    process.stdin.once('data', async () => {
      while (session.stats().lateFrames < 200 / 20 - 3) await new Promise((resolve) => setTimeout(resolve, 10))
      const [{ lateFrames, lostFrames, lateMs }] = await overloaded
      console.log('late ' + JSON.stringify([lateFrames >= 5 && lateMs > 20, SpeakerSession.metrics().lateFrames === session.stats().lateFrames]))
      process.exit()
    })
  `)
  await said('started')
  child.kill('SIGSTOP')
  await sleep(200)
  child.kill('SIGCONT')
  child.stdin.write('go on\n')
  assert.equal(await said('late'), 'late [true,true]')
})
