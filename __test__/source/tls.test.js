'use strict'

// Sources over TLS: which certificates are trusted, and why others are not.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const https = require('node:https')
const { after, test } = require('node:test')

const { Authority } = require('../support/authority')
const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** Starts a server with this certificate and returns its port. */
async function serve(t, certificate) {
  const server = https.createServer(certificate, (request, response) => response.end(tone(440, 100))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return server.address().port
}

test('trusts an authority in NODE_EXTRA_CA_CERTS', async (t) => {
  const port = await serve(t, authority.issue('localhost'))
  const { session } = open(t)
  const playing = [1, 2, 3].map(() => session.playAudio({ audioUrl: `https://localhost:${port}/a.wav`, stopOther: false }))
  await finish(session)
  for (const result of await Promise.all(playing)) assert.equal(result.outcome, 'completed')
})

for (const [what, certificate, reason] of [
  ['for another host', () => authority.issue('example.com'), /certificate not valid for name "localhost"/],
  ['that has expired', () => authority.issue('localhost', { expired: true }), /certificate expired/],
  ['of an unknown authority', () => new Authority(after).issue('localhost'), /UnknownIssuer/]
]) {
  test(`refuses a certificate ${what} with the reason`, async (t) => {
    const port = await serve(t, certificate())
    const { session, terminal } = open(t)
    const playing = session.playAudio({ requestId: 'a', audioUrl: `https://localhost:${port}/a.wav?key=secret` })
    const refused = assert.rejects(playing, (error) => {
      assert.equal(error.code, 'ERR_FETCH_FAILED')
      assert.match(error.message, reason)
      assert.ok(error.message.includes(`localhost:${port}`) && !error.message.includes('secret'), error.message)
      return true
    })
    await finish(session)
    await refused
    assert.deepEqual(terminal('a').map(({ type }) => type), ['failed'])
  })
}
