'use strict'

// Signalling that is lost while sound flows is reopened, however often that fails, and the participant is kept.

const assert = require('node:assert/strict')
const { createHash } = require('node:crypto')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')

const { openRoom, present, publish, speak } = require('../support/room')
const { tone } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ear keeps the process alive

/** RFC 6455 §4.2.2. */
const accept = (key) => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const upgraded = (key) => ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
  `Sec-WebSocket-Accept: ${accept(key)}`, '', ''].join('\r\n')

const REFUSALS = [
  () => 503,
  () => 429,
  () => '',
  // A WebSocket that ends without a message, and one with an invalid message.
  (key) => upgraded(key),
  (key) => Buffer.concat([Buffer.from(upgraded(key)), Buffer.from([0x82, 3, 0xff, 0xff, 0xff])])
]

/** Returns the speaker as the server lists it: its id and tracks. */
async function place({ server }) {
  const [speaker] = (await present(server)).filter(({ identity }) => identity.startsWith('speaker'))
  return [speaker.sid, ...speaker.tracks.map(({ sid }) => sid)]
}

test('failed attempts to resume keep the participant and the sound', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session, told } = speak(t, room, { url: wire.url })
  await publish(session, room)
  const before = await place(room)
  const playing = session.playAudio({ requestId: 'it', audio: tone(440, 30_000) })
  await once(session, 'started')
  const refusals = [...REFUSALS]
  wire.answers = ({ upgrade, key }) => (upgrade ? refusals.shift()?.(key) : undefined)
  const reconnected = once(session, 'reconnected')
  wire.sayGoodbye()
  await reconnected
  assert.equal(refusals.length, 0)
  assert.deepEqual(await place(room), before)
  const about = told.slice(told.findIndex(({ type }) => type === 'reconnecting')).map(({ type }) => type)
  assert.deepEqual(about, ['reconnecting', 'reconnected'])
  session.stopAudio({ requestId: 'it' })
  assert.equal((await playing).outcome, 'stopped')
})

for (const status of [401, 404]) {
  test(`rejoins after a refusal to resume with ${status}`, async (t) => {
    const room = await openRoom(t)
    const wire = await Wire.open(room.server.url, t)
    const { session } = speak(t, room, { url: wire.url })
    await publish(session, room)
    const [before] = await place(room)
    let left = 1
    wire.answers = ({ upgrade }) => (upgrade && left-- > 0 ? status : undefined)
    const reconnected = once(session, 'reconnected')
    wire.sayGoodbye()
    await reconnected
    assert.notEqual((await place(room))[0], before)
  })
}
