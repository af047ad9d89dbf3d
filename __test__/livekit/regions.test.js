'use strict'

// A server that redirects a session to another region's server, or moves it to another room.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { after, test } = require('node:test')

const { DisconnectReason, LeaveRequest, LeaveRequest_Action, ParticipantInfo, RegionInfo, RegionSettings, RoomMovedResponse } =
  require('@livekit/protocol')
const { dispose } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { Authority } = require('../support/authority')
const { openProxy, useProxies } = require('../support/proxy')
const { openEmptyRoom, openRoom, present, publish, speak, until } = require('../support/room')
const { secured } = require('../support/secured')
const { serve } = require('../support/server')
const { tone } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ear keeps the process alive

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** Returns a leave request of a server with regions, by their URLs and distances. */
const leave = (action, regions) => new LeaveRequest({
  action, reason: DisconnectReason.MIGRATION, regions: new RegionSettings({ regions: regions.map((region) => new RegionInfo(region)) })
})

test('joins the nearest region that answers', async (t) => {
  const here = await openRoom(t)
  const accepts = (config) => (config.keys = here.server.config.keys)
  const [far, near] = await Promise.all([openEmptyRoom(t, accepts), openEmptyRoom(t, accepts)])
  const wire = await Wire.open(here.server.url, t)
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const { session } = speak(t, here, { url: wire.url, connectTimeoutMs: 5000 })
  await publish(session, here)
  const reconnected = once(session, 'reconnected')
  wire.say({
    case: 'leave',
    value: leave(LeaveRequest_Action.RECONNECT, [
      { url: far.server.url, distance: 900n }, { url: 'ws://127.0.0.1:1', distance: 5n }, { url: near.server.url, distance: 10n },
      { url: `ws://127.0.0.1:${silent.address().port}`, distance: 6n }
    ])
  })
  await reconnected
  assert.equal((await present(near.server)).length, 1)
  assert.equal((await present(far.server)).length, 0)
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
})

test('returns to its server when no region answers', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session } = speak(t, room, { url: wire.url })
  await publish(session, room)
  const reconnected = once(session, 'reconnected')
  wire.say({ case: 'leave', value: leave(LeaveRequest_Action.RECONNECT, [{ url: 'ws://127.0.0.1:1', distance: 1n }, { url: 'no URL' }]) })
  await reconnected
  assert.equal(wire.attempts().filter(({ status }) => status === 101).length, 2)
})

test('reconnects to the room that it was moved to', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session } = speak(t, room, { url: wire.url })
  await publish(session, room)
  const other = 'another-room'
  const access = new AccessToken(room.server.key, room.server.secret, { identity: 'moved' })
  access.addGrant({ roomJoin: true, room: other })
  const participant = new ParticipantInfo({ sid: 'PA_moved', identity: 'moved' })
  wire.say({ case: 'roomMoved', value: new RoomMovedResponse({ token: await access.toJwt(), participant }) })
  const reconnected = once(session, 'reconnected')
  wire.sayGoodbye()
  await reconnected
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  await until(async () => (await service.listParticipants(other)).some(({ identity }) => identity === 'moved'), 'it is there')
  assert.deepEqual(wire.attempts().map(({ status }) => status), [101, 101])
})

test('follows the regions of a full LiveKit server', async (t) => {
  const room = await openEmptyRoom(t)
  // Only the proxy resolves these names.
  const behindTls = async (host, url) => `wss://${host}:${await secured(t, url, authority.issue(host))}`
  const region = await behindTls('region.livekit.cloud', room.server.url)
  const asked = []
  const full = await serve(t, (request, response) => {
    asked.push(request.url.split('?')[0])
    if (request.url !== '/settings/regions') return response.writeHead(503).end()
    response.end(JSON.stringify({ regions: [{ region: 'gone', url: 'wss://gone.livekit.cloud:1' }, { region: 'here', url: region }] }))
  })
  const url = await behindTls('project.livekit.cloud', full)
  const proxy = await openProxy(t)
  useProxies(t, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` })
  const { session } = speak(t, room, { url })
  await session.connect()
  assert.equal((await present(room.server)).length, 1)
  assert.deepEqual(asked, ['/rtc/v1', '/rtc/v1/validate', '/settings/regions'])
  // Through the tunnel to each, in the given order.
  const hosts = [...new Set(proxy.asked.map((line) => line.match(/CONNECT (\w+)/)[1]))]
  assert.deepEqual(hosts, ['project', 'gone', 'region'])
})
