'use strict'

// How servers, or the flags Node was started with, may affect secrets.

const assert = require('node:assert')
const { once } = require('node:events')
const http = require('node:http')

const { SpeakerSession } = require('../../..')
const { within } = require('../within')
const { tone } = require('../../support/wav')

/** Starts a server on loopback and returns its host and port. */
async function serve(answer) {
  const server = http.createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${server.address().port}`
}

/** Returns the error of joining a room on this server. */
async function refusal(host, token) {
  const session = new SpeakerSession({ output: { type: 'livekit', url: `ws://${host}`, token, connectTimeoutMs: 5000 } })
  const error = await within(session.connect().catch((error) => error), 8000)
  await within(session.close())
  assert.equal(error.code, 'ERR_JOIN_FAILED')
  return error.message
}

module.exports = [
  {
    what: 'a server that echoes the token it refuses',
    short: true,
    async run() {
      const tokenOf = ({ headers: { authorization = '' } }) => authorization.replace('Bearer ', '')
      const host = await serve((request, response) => response.writeHead(401).end(`invalid token: ${tokenOf(request)}, error: expired`))
      for (const token of ['eyJSECRET.eyJTOKEN.sig', 'opaque SECRET of one kind', 'SECRETSECRET']) {
        assert.match(await refusal(host, token), /invalid token: <masked>, error: expired$/)
      }
    }
  },
  {
    what: 'a server that refuses a token with a 3 MB answer',
    async run() {
      const host = await serve((_, response) => response.writeHead(401).end('x'.repeat(3e6)))
      assert((await refusal(host, 'eyJSECRET.eyJTOKEN.sig')).length < 400)
    }
  },
  {
    what: 'headers in a Node without WebAssembly (--jitless)',
    env: { NODE_OPTIONS: '--jitless' },
    // Without it Node interprets everything, which is too slow for ten sessions beside it.
    alone: true,
    async run() {
      assert.equal(typeof WebAssembly, 'undefined')
      const seen = []
      const host = await serve((request, response) => {
        seen.push(request.headers.authorization)
        response.end(tone(440, 100))
      })
      const session = new SpeakerSession({ output: { type: 'memory' } })
      await within(session.playAudio({ audioUrl: `http://${host}/`, headers: { Authorization: 'Bearer x' } }))
      await within(session.close())
      assert.deepEqual(seen, ['Bearer x'])
    }
  }
]
