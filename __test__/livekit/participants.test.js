'use strict'

// The participants of a room, and the session's own entry.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')

const { moderator, openEmptyRoom, openRoom, speak, until } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ears keep the process alive

const LIMIT = { timeout: 60_000 }
const MAY_DESCRIBE = { canUpdateOwnMetadata: true }

/** Opens a session that may describe itself, and collects its events about others: "joined ear-1". */
function speaker(t, room, grants = MAY_DESCRIBE, output = {}) {
  const token = () => room.token('speaker', grants)
  const { session, told } = open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token, ...output } })
  const heard = []
  for (const what of ['Joined', 'Changed', 'Left']) {
    session.on(`participant${what}`, ({ participant }) => heard.push(`${what} ${participant.identity}`))
  }
  return { session, told, heard }
}

test('lists others and emits their changes', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, heard } = speaker(t, room)
  assert.deepEqual([session.participants(), session.localParticipant], [[], null])
  await session.connect()
  const [first] = session.participants()
  assert.deepEqual(first, {
    identity: room.ear.identity, sid: room.ear.room.localParticipant.sid, name: '', metadata: '', attributes: {},
    kind: 'standard', tracks: []
  })
  assert.equal(session.localParticipant.identity, 'speaker')
  const second = await room.join({ grants: MAY_DESCRIBE })
  await until(() => heard.includes(`Joined ${second.identity}`), 'it is told that another came')
  await second.room.localParticipant.setAttributes({ mood: 'good' })
  await until(() => heard.includes(`Changed ${second.identity}`), 'it is told that it changed')
  const listed = () => session.participants().find(({ identity }) => identity === second.identity)
  await until(() => listed()?.attributes.mood === 'good', 'its attributes are listed')
  await second.room.disconnect()
  await until(() => heard.includes(`Left ${second.identity}`), 'it is told that it left')
  assert.deepEqual(session.participants().map(({ identity }) => identity), [room.ear.identity])
  assert.ok(!heard.includes(`Joined ${room.ear.identity}`), 'who was there is listed, and not told')
  await session.close()
  assert.deepEqual([session.participants(), session.localParticipant], [[], null])
})

test('lists tracks of others', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const one = speaker(t, room)
  const other = speak(t, room, { trackSources: { 1: 'screenShareAudio' } })
  await Promise.all([one.session.connect(), other.session.connect()])
  const tracks = () => one.session.participants()[0]?.tracks ?? []
  await until(() => tracks().length === 3, 'the three tracks of the other are listed')
  assert.deepEqual(
    tracks().map(({ name, kind, source, muted }) => ({ name, kind, source, muted })),
    [['app_audio', 'screenShareAudio'], ['speaker', 'microphone'], ['tts', 'microphone']].map(([name, source]) => {
      return { name, kind: 'audio', source, muted: false }
    })
  )
  await other.session.setMuted({ trackId: 1, muted: true })
  await until(() => tracks()[0].muted, 'a mute is listed')
})

test('its own description survives a rejoin', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speaker(t, room)
  const seen = () => room.ear.room.remoteParticipants.get('speaker')
  await session.setAttributes({ early: 'yes', 'lk.agent.state': 'listening' }) // remembered
  await session.connect()
  await session.setAttributes({ 'lk.agent.state': 'speaking', early: '' })
  assert.deepEqual(session.localParticipant.attributes, { 'lk.agent.state': 'speaking' })
  await Promise.all([session.setMetadata('{"version":1}'), session.setName('Clara')])
  await until(() => seen()?.attributes['lk.agent.state'] === 'speaking', 'the ear sees the attribute')
  await until(() => seen()?.metadata === '{"version":1}' && seen()?.name === 'Clara', 'the ear sees metadata and name')
  assert.deepEqual(seen().attributes, { 'lk.agent.state': 'speaking' })

  const back = once(session, 'reconnected')
  await room.server.restart()
  await back
  const listed = async () => (await moderator(room.server).listParticipants(room.name)).find(({ identity }) => identity === 'speaker')
  await until(async () => (await listed())?.name === 'Clara', 'the new room lists the name')
  const { metadata, attributes } = await listed()
  assert.deepEqual([metadata, attributes], ['{"version":1}', { 'lk.agent.state': 'speaking' }])
})

test('changes during a reconnect follow it', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, heard } = speaker(t, room)
  await session.connect()
  const back = once(session, 'reconnected')
  await room.server.stop()
  await room.server.restart()
  const other = await room.join()
  await back
  await until(() => heard.includes(`Joined ${other.identity}`), 'the new one is told')
  await until(() => session.participants().some(({ identity }) => identity === other.identity), 'and listed')
})

test('a refusal changes nothing', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speaker(t, room, {})
  await session.connect()
  const refused = { code: 'ERR_REFUSED', message: /canUpdateOwnMetadata/ }
  await assert.rejects(session.setAttributes({ a: '1' }), refused)
  await assert.rejects(session.setName('nobody'), refused)
  assert.deepEqual(session.localParticipant.attributes, {})
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
})

test('calls settle without a room', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speaker(t, room)
  const refused = [session.connect(), session.setAttributes({ a: '1' })].map((asked) => assert.rejects(asked, { code: 'ERR_CLOSED' }))
  await session.close()
  await Promise.all(refused)
  await assert.rejects(session.setAttributes({ a: '1' }), { code: 'ERR_CLOSED' })

  const nowhere = open(t, { output: { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' } }).session
  const lost = assert.rejects(nowhere.connect(), { code: 'ERR_JOIN_FAILED' })
  await assert.rejects(nowhere.setName('nobody'), { code: 'ERR_JOIN_FAILED' })
  await lost
})

test('invalid arguments and other outputs are refused', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.setAttributes({ a: '1' }), { code: 'ERR_UNSUPPORTED_OPERATION' })
  assert.deepEqual([session.participants(), session.localParticipant], [[], null])
  const output = { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' }
  const room = open(t, { output }).session
  for (const wrong of [undefined, null, 'text', [], { a: 1 }, { a: undefined }, { '': 'x' }, { a: '\ud800' }]) {
    await assert.rejects(room.setAttributes(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const wrong of [undefined, null, '', 5, '\ud800']) {
    await assert.rejects(room.setMetadata(wrong), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(room.setName(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
})
