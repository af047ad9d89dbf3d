'use strict'

// Names that resolve to another address the next time (DNS rebinding), for sessions that may reach only public addresses.

const assert = require('node:assert')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { tone } = require('../../support/wav')
const { startNameServer, withResolvConf } = require('../name-server')
const { within } = require('../within')

/** A public address of this machine, in the row's own network. */
const PUBLIC = '93.184.215.14'
const PRIVATE = '127.0.0.1'
const NAMES = 20
/** How long an answer is kept at least. */
const KEPT_MS = 5_000

/** Starts a server that sends a clip and closes the connection, and records the requested hosts. */
async function serve(address, port) {
  const seen = []
  const server = createServer((request, response) => {
    seen.push(request.headers.host)
    response.setHeader('connection', 'close').end(tone(440, 20))
  }).listen(port, address)
  await once(server, 'listening')
  return { seen, port: server.address().port }
}

module.exports = [
  {
    what: 'names that resolve to another address each time, or to two at once',
    short: true,
    ...withResolvConf('nameserver 127.0.0.77\n', [`${PUBLIC}/32`]),
    async run() {
      const asked = new Map()
      const names = (name, isA) => {
        if (isA) asked.set(name, (asked.get(name) ?? 0) + 1)
        if (name.startsWith('both')) return [PRIVATE, PUBLIC]
        const isFirst = (asked.get(name) ?? 0) <= 1
        return [isFirst === name.startsWith('public') ? PUBLIC : PRIVATE]
      }
      await startNameServer('127.0.0.77', names)
      const outer = await serve(PUBLIC, 0)
      const inner = await serve(PRIVATE, outer.port)
      const session = new SpeakerSession({ output: { type: 'memory' }, maxConcurrent: 1000, network: 'public' })
      const play = (name) =>
        session.playAudio({ audioUrl: `http://${name}:${outer.port}/a`, stopOther: false }).then(({ outcome }) => outcome, ({ code }) => code)
      const all = async (kind) => {
        const playing = Array.from({ length: NAMES }, (_, n) => play(`${kind}${n}.${kind}.test`))
        return [...new Set(await within(Promise.all(playing), 20_000))]
      }
      assert.deepEqual(await all('public'), ['completed'])
      assert.deepEqual(await all('private'), ['ERR_URL_BLOCKED'])
      assert.deepEqual(await all('both'), ['completed'])
      await sleep(KEPT_MS + 500)
      assert.deepEqual(await all('public'), ['ERR_URL_BLOCKED'], 'they lead inside now')
      assert.deepEqual(await all('private'), ['completed'], 'they lead outside now')
      assert.ok([...asked].every(([name, times]) => name.startsWith('both') || times === 2), JSON.stringify([...asked]))
      assert.deepEqual(inner.seen, [], 'it is asked for nothing')
      // It is reachable for those who may reach it.
      const open = new SpeakerSession({ output: { type: 'memory' }, network: { allow: [PRIVATE] } })
      assert.equal((await within(open.playAudio({ audioUrl: `http://${PRIVATE}:${inner.port}/a` }))).outcome, 'completed')
      return `${outer.seen.length} requests outside`
    }
  }
]
