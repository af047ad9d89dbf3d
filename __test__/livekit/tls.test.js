'use strict'

// Rooms over TLS: who is trusted, and why others are not.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')

const { Authority } = require('../support/authority')
const { openEmptyRoom, openRoom, publish, speak } = require('../support/room')
const { secured } = require('../support/secured')
const { tone } = require('../support/wav')

after(dispose) // or the ear keeps the process

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is used for the first time

/** The URL of a room's server behind TLS. */
const behindTls = async (t, { server }, certificate) => `wss://localhost:${await secured(t, server.url, certificate)}`

test('a room behind a certificate of an authority in NODE_EXTRA_CA_CERTS is joined and heard', async (t) => {
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
  test(`a room behind a certificate ${what} is not joined, and the error says why`, async (t) => {
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
