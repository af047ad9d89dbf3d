'use strict'

// Rooms over TLS: trusted certificates, and the errors of others.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')

const { Authority } = require('../support/authority')
const { openEmptyRoom, openRoom, publish, speak } = require('../support/room')
const { secured } = require('../support/secured')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** Returns the URL of a room's server behind TLS. */
const behindTls = async (t, { server }, certificate) => `wss://localhost:${await secured(t, server.url, certificate)}`

test('trusts an authority of NODE_EXTRA_CA_CERTS', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room, { url: await behindTls(t, room, authority.issue('localhost')) })
  await publish(session, room)
  assert.equal((await session.playAudio({ audio: tone(440, 300) })).outcome, 'completed')
})

for (const [what, certificate, reason] of [
  ['for another host', () => authority.issue('example.com'), /certificate not valid for name "localhost"/],
  ['that has expired', () => authority.issue('localhost', { expired: true }), /certificate expired/],
  ['of an unknown authority', () => new Authority(after).issue('localhost'), /UnknownIssuer/]
]) {
  test(`refuses a certificate ${what}`, async (t) => {
    const room = await openEmptyRoom(t)
    const url = await behindTls(t, room, certificate())
    const { session } = speak(t, room, { url })
    await assert.rejects(session.connect(), (error) => {
      assert.equal(error.code, 'ERR_JOIN_FAILED')
      assert.match(error.message, reason)
      assert.ok(error.message.includes(new URL(url).host), error.message)
      return true
    })
  })
}
