'use strict'

// Connections: how many there are, what waits for them, and which error each case gives.

const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { closeSync, openSync, readdirSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { startServer } = require('../servers')
const { within } = require('../within')

const THREADS = 60

const threads = () => readdirSync('/proc/self/task').length
const descriptors = () => readdirSync('/proc/self/fd').length

/** Plays a URL and returns how it ended: an outcome, or a code and the message. */
const play = (session, audioUrl) =>
  session.playAudio({ audioUrl, stopOther: false }).then(({ outcome }) => outcome, ({ code, message }) => `${code}: ${message}`)

module.exports = [
  {
    what: '150 hosts in turn, each keeping its connection open, 128 descriptors',
    short: true,
    needs: ['linux', 'prlimit', 'root'],
    under: () => ['prlimit', '--nofile=128:128'],
    async run() {
      const port = await startServer('keep')
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      for (let n = 1; n <= 150; n++) {
        const playing = play(session, `http://127.0.1.${n}:${port}/a`)
        await session.advance(100)
        assert.equal(await within(playing), 'completed', `host ${n}`)
      }
      return `${descriptors()} descriptors`
    }
  },
  {
    what: 'no descriptors in the middle: a download, then recovery',
    short: true,
    needs: ['linux', 'prlimit', 'root'],
    under: () => ['prlimit', '--nofile=128:128'],
    async run({ healthy }) {
      const port = await startServer('keep')
      const session = new SpeakerSession({ output: { type: 'memory' } })
      const taken = []
      const take = () => {
        try {
          for (;;) taken.push(openSync('/dev/null'))
        } catch (error) {
          assert.equal(error.code, 'EMFILE')
        }
      }
      take()
      // localhost is the first name looked up; no system file can be read for that.
      for (const host of ['127.0.0.1', 'localhost']) {
        assert.match(await within(play(session, `http://${host}:${port}/a`)), /^ERR_FETCH_FAILED: .*Too many open files/, host)
      }
      assert.ok(healthy.every(({ session }) => session.playbacks().length === 1))
      taken.splice(0).forEach((fd) => closeSync(fd))
      for (const host of ['127.0.0.1', 'localhost', '127.0.0.2', '127.0.0.3']) {
        assert.equal(await within(play(session, `http://${host}:${port}/a`)), 'completed', host)
      }
      // An idle connection is closed for another host.
      take()
      assert.equal(await within(play(session, `http://127.0.0.4:${port}/a`)), 'completed')
    }
  },
  {
    what: 'a process is halted for longer than fetchTimeoutMs while servers send',
    needs: ['linux'],
    alone: true,
    async run() {
      const port = await startServer('drip')
      for (let round = 0; round < 3; round++) {
        const sessions = Array.from({ length: 20 }, () => new SpeakerSession({ output: { type: 'memory' }, fetchTimeoutMs: 1000 }))
        const playing = Promise.all(sessions.map((session) => play(session, `http://127.0.0.1:${port}/a`)))
        await sleep(1000 + round * 130)
        spawn('sh', ['-c', 'sleep 2; kill -CONT $PPID'], { stdio: 'ignore' })
        process.kill(process.pid, 'SIGSTOP')
        assert.deepEqual(await within(playing, 20_000), Array(20).fill('completed'))
      }
    }
  },
  {
    what: '1,000 servers that never answer',
    needs: ['linux'],
    async run({ healthy }) {
      const port = await startServer('silent')
      const before = descriptors()
      const sessions = Array.from({ length: 100 }, () => new SpeakerSession({ output: { type: 'memory' }, fetchTimeoutMs: 3000 }))
      const playing = sessions.flatMap((session, s) => {
        return Array.from({ length: 10 }, (_, n) => play(session, `http://127.1.${s}.${n + 1}:${port}/a`))
      })
      await sleep(1500)
      const most = threads()
      assert.ok(most < THREADS, `${most} threads`)
      const ends = await within(Promise.all(playing), 20_000)
      assert.ok(ends.every((end) => end.startsWith('ERR_FETCH_TIMEOUT')), ends.find((end) => !end.startsWith('ERR_FETCH_TIMEOUT')))
      await Promise.all(sessions.map((session) => within(session.close())))
      for (let n = 0; descriptors() > before + 20 && n < 100; n++) await sleep(50)
      assert.ok(descriptors() <= before + 20, `${descriptors()} descriptors after ${before}`)
      assert.ok(healthy.every(({ session }) => session.playbacks().length === 1))
      return `${most} threads`
    }
  }
]
