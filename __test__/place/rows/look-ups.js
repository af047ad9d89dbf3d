'use strict'

// Name servers that never answer, and a system whose resolver settings change.

const assert = require('node:assert')
const { readdirSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { tone } = require('../../support/wav')
const { resolvConf, startNameServer, withResolvConf } = require('../name-server')
const { within } = require('../within')

const THREADS = 60

/** Plays a URL and returns how it ended: an outcome, or a code and the message. */
const play = (session, audioUrl) =>
  session.playAudio({ audioUrl, stopOther: false }).then(({ outcome }) => outcome, ({ code, message }) => `${code}: ${message}`)

/** Starts a server of a clip and returns its port. */
async function serve() {
  const server = createServer((request, response) => response.end(tone(440, 50))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

module.exports = [
  {
    what: '600 names in a zone whose name server is silent',
    short: true,
    ...withResolvConf('nameserver 127.0.0.77\n'),
    async run() {
      const asked = await startNameServer('127.0.0.77', ['good.test', 'other.bad.test'])
      const port = await serve()
      const sessions = Array.from({ length: 60 }, () => new SpeakerSession({ output: { type: 'memory' }, fetchTimeoutMs: 4000 }))
      const playing = sessions.flatMap((session, s) => {
        return Array.from({ length: 10 }, (_, n) => play(session, `http://h${s * 10 + n}.bad.test:${port}/a`))
      })
      await sleep(1000)
      const threads = readdirSync('/proc/self/task').length
      assert.ok(threads < THREADS, `${threads} threads`)
      const session = new SpeakerSession({ output: { type: 'memory' } })
      for (const host of ['good.test', 'localhost', 'a.localhost']) {
        assert.equal(await within(play(session, `http://${host}:${port}/a`), 2000), 'completed', host)
      }
      const ends = await within(Promise.all(playing), 10_000)
      const isSilent = (end) => /^(ERR_FETCH_TIMEOUT: |ERR_FETCH_FAILED: .*: no name server answers$)/.test(end)
      assert.ok(ends.every(isSilent), ends.find((end) => !isSilent(end)))
      // The failed look-ups no longer occupy any capacity.
      assert.equal(await within(play(session, `http://other.bad.test:${port}/a`), 2000), 'completed')
      return `${threads} threads, ${asked.count} questions`
    }
  },
  {
    what: 'a room whose name server is silent: connectTimeoutMs is kept',
    short: true,
    ...withResolvConf('nameserver 127.0.0.77\n'),
    async run() {
      const asked = await startNameServer('127.0.0.77', ['good.test'])
      const output = { type: 'livekit', url: 'wss://room.bad.test', token: 'a.b.c', connectTimeoutMs: 1000 }
      const session = new SpeakerSession({ output })
      await assert.rejects(within(session.connect(), 2000), { code: 'ERR_JOIN_FAILED', message: /1000 ms \(connectTimeoutMs\)/ })
      await within(session.close(), 2000)
      assert.ok(asked.count > 0, 'it was asked')
      assert.ok(readdirSync('/proc/self/task').length < THREADS)
    }
  },
  {
    what: 'resolv.conf names another name server, and a search list',
    ...withResolvConf('nameserver 127.0.0.77\noptions timeout:1 attempts:1 no-such-option\n'),
    async run({ folder }) {
      await startNameServer('127.0.0.77', [])
      await startNameServer('127.0.0.78', ['good.test', 'short.found.test'])
      const port = await serve()
      const session = new SpeakerSession({ output: { type: 'memory' } })
      assert.match(await within(play(session, `http://good.test:${port}/a`)), /^ERR_FETCH_FAILED: .*no name server answers$/)
      writeFileSync(resolvConf(folder), 'search none.test found.test\nnameserver 127.0.0.78\noptions timeout:1 attempts:1\n')
      await sleep(1100)
      for (const host of ['good.test', 'short']) {
        assert.equal(await within(play(session, `http://${host}:${port}/a`)), 'completed', host)
      }
      // Without a name server it is this machine's.
      writeFileSync(resolvConf(folder), '# nothing\n')
      await startNameServer('127.0.0.1', ['own.test'])
      await sleep(1100)
      assert.equal(await within(play(session, `http://own.test:${port}/a`)), 'completed')
      assert.equal(await within(play(session, `http://localhost:${port}/a`)), 'completed')
    }
  }
]
