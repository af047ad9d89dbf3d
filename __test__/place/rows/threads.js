'use strict'

// Descriptors and threads that the system refuses, and grants again later.

const assert = require('node:assert')
const { execFileSync, spawn } = require('node:child_process')
const { once } = require('node:events')
const { chmodSync, closeSync, openSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const path = require('node:path')

const { SpeakerSession } = require('../../..')
const { tone } = require('../../support/wav')
const { within } = require('../within')

/** Opens all descriptors that are left. Returns a function that closes them. */
function takeDescriptors() {
  const taken = []
  for (;;) {
    try {
      taken.push(openSync('/dev/null'))
    } catch {
      return () => taken.splice(0).forEach((fd) => closeSync(fd))
    }
  }
}

/** Plays in a new session and returns how it ended: an outcome, or a code. */
async function play(request, output = { type: 'memory' }) {
  let session
  try {
    session = new SpeakerSession({ output })
    return await within(session.playAudio({ audio: tone(440, 50), ...request }).then(({ outcome }) => outcome))
  } catch (error) {
    return error.code ?? error.message
  } finally {
    await within(session?.close().catch(() => {}) ?? Promise.resolve())
  }
}

module.exports = [
  {
    what: 'no descriptors as the first session is made',
    short: true,
    needs: ['linux', 'prlimit'],
    under: () => ['prlimit', '--nofile=64:64'],
    alone: true,
    async run() {
      const giveBack = takeDescriptors()
      assert.equal(await play(), 'ERR_NO_THREADS')
      giveBack()
      assert.equal(await play(), 'completed')
    }
  },
  {
    what: 'no descriptors in the middle: a file, a WAV output, then recovery',
    short: true,
    needs: ['linux', 'prlimit'],
    under: () => ['prlimit', '--nofile=128:128'],
    async run({ folder, healthy }) {
      const file = path.join(folder, 'a.wav')
      writeFileSync(file, tone(440, 50))
      const giveBack = takeDescriptors()
      assert.equal(await play({ audio: undefined, audioUrl: file }), 'ERR_FILE')
      assert.equal(await play({}, { type: 'wav', path: path.join(folder, 'out.wav') }), 'ERR_OUTPUT')
      assert.equal(await play(), 'completed')
      assert.ok(healthy.every(({ session }) => session.playbacks().length === 1))
      giveBack()
      assert.equal(await play({ audio: undefined, audioUrl: file }), 'completed')
      assert.equal(await play({}, { type: 'wav', path: path.join(folder, 'out.wav') }), 'completed')
    }
  },
  {
    what: 'no more threads for a file, a look-up, a WAV output, then recovery',
    short: true,
    needs: ['linux', 'prlimit', 'root'],
    async run({ folder }) {
      const [file, wav] = ['a.wav', 'out.wav'].map((name) => path.join(folder, name))
      writeFileSync(file, tone(440, 50))
      const server = createServer((request, response) => response.end(tone(440, 50)))
      server.listen(0, 'localhost')
      await once(server, 'listening')
      const requests = [{}, { audio: undefined, audioUrl: file }, { audio: undefined, audioUrl: `http://localhost:${server.address().port}/` }]
      const all = () => Promise.all([...requests.map((request) => play(request)), play({}, { type: 'wav', path: wav })])
      // The limit counts all threads of a user and does not apply to root: as another user this process is alone.
      chmodSync(path.dirname(folder), 0o755)
      chmodSync(folder, 0o777)
      process.setuid(65534)
      // Made beforehand, because it needs a process.
      const back = spawn('sh', ['-c', 'read line; exec prlimit --pid $PPID --nproc=100000:'])
      execFileSync('prlimit', ['--pid', process.pid, '--nproc=1:'])
      const few = await all()
      back.stdin.end('now\n')
      await once(back, 'exit')
      assert.deepEqual(await all(), Array(4).fill('completed'))
      return few.join(', ')
    }
  }
]
