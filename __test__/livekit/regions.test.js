'use strict'

// A server that sends a session elsewhere: to another region's server, or to another room.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { DisconnectReason, LeaveRequest, LeaveRequest_Action, ParticipantInfo, RegionInfo, RegionSettings, RoomMovedResponse } =
  require('@livekit/protocol')
const { dispose } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { Gate } = require('../support/gate')
const { openEmptyRoom, openRoom, present, publish, speak, until } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // or the ear keeps the process

/** The goodbye of a server, which names regions by their URLs and distances. */
const leave = (action, regions) => new LeaveRequest({
  action, reason: DisconnectReason.MIGRATION, regions: new RegionSettings({ regions: regions.map((region) => new RegionInfo(region)) })
})

test('a session that is sent to other regions joins the nearest one that answers', async (t) => {
  const [here, far, near] = await Promise.all([openRoom(t), openEmptyRoom(t), openEmptyRoom(t)])
  const gate = await Gate.open(here.server.url, t)
  const { session } = speak(t, here, { url: gate.url })
  await publish(session, here)
  const reconnected = once(session, 'reconnected')
  gate.say({
    case: 'leave',
    value: leave(LeaveRequest_Action.RECONNECT, [
      { url: far.server.url, distance: 900n }, { url: 'ws://127.0.0.1:1', distance: 5n }, { url: near.server.url, distance: 10n }
    ])
  })
  await reconnected
  assert.equal((await present(near.server)).length, 1)
  assert.equal((await present(far.server)).length, 0)
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
})

test('a session that is sent to regions where nobody is comes back to the usual server', async (t) => {
  const room = await openRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const { session } = speak(t, room, { url: gate.url })
  await publish(session, room)
  const reconnected = once(session, 'reconnected')
  gate.say({ case: 'leave', value: leave(LeaveRequest_Action.RECONNECT, [{ url: 'ws://127.0.0.1:1', distance: 1n }, { url: 'no URL' }]) })
  await reconnected
  assert.equal(gate.joins(101).length, 2)
})

test('a session that is moved to another room comes back to that one', async (t) => {
  const room = await openRoom(t)
  const gate = await Gate.open(room.server.url, t)
  const { session } = speak(t, room, { url: gate.url })
  await publish(session, room)
  const other = 'another-room'
  const access = new AccessToken(room.server.key, room.server.secret, { identity: 'moved' })
  access.addGrant({ roomJoin: true, room: other })
  const participant = new ParticipantInfo({ sid: 'PA_moved', identity: 'moved' })
  gate.say({ case: 'roomMoved', value: new RoomMovedResponse({ token: await access.toJwt(), participant }) })
  const reconnected = once(session, 'reconnected')
  gate.hangUp()
  await reconnected
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  await until(async () => (await service.listParticipants(other)).some(({ identity }) => identity === 'moved'), 'it is there')
  assert.deepEqual(gate.joins(101).map(({ path }) => /join_request/.test(path)), [true, true])
})
