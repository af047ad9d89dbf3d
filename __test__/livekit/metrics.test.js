'use strict'

// Metrics and log lines of rooms that disconnect, are left, and refuse.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

// Read when the first session is opened.
process.env.SPEAKER_SESSION_LOG = 'trace'

const { SpeakerSession } = require('../..')
const { speakOverWire } = require('../support/room')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

test('counts reconnects, lost rooms and refusals, and logs their session', async (t) => {
  const lines = []
  const listener = (line) => lines.push(line)
  SpeakerSession.on('log', listener)
  t.after(() => SpeakerSession.off('log', listener))
  const counted = () => {
    const { reconnects, outputErrors, started, firstFrameLatencyMs } = SpeakerSession.metrics()
    return { reconnects, outputErrors, started, latencies: firstFrameLatencyMs.count }
  }
  const { room, wire, session } = await speakOverWire(t)
  await session.playAudio({ audio: tone(440, 100) })
  const before = counted()
  assert.equal(before.started, before.latencies)
  const lost = once(session, 'reconnecting')
  wire.cut()
  await lost
  assert.deepEqual(counted(), { ...before, reconnects: before.reconnects + 1 })
  const back = once(session, 'reconnected')
  wire.mend()
  await back

  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  const removed = once(session, 'disconnected')
  await service.removeParticipant(room.name, session.localParticipant.identity)
  assert.equal((await removed)[0].reason, 'participantRemoved')
  assert.equal(counted().outputErrors, before.outputErrors + 1)

  const refused = new SpeakerSession({ output: { type: 'livekit', url: room.server.url, token: 'planted-token' } })
  t.after(() => refused.close())
  await assert.rejects(refused.playAudio({ audio: tone(440, 100) }), { code: 'ERR_JOIN_FAILED' })
  assert.equal(counted().outputErrors, before.outputErrors + 2)

  await session.close()
  await new Promise(setImmediate)
  assert.doesNotMatch(JSON.stringify(lines), /planted|eyJ/)
  const own = lines.filter(({ target }) => target.startsWith('speaker_session'))
  assert.ok(own.length > 0 && own.every((line) => [session.id, refused.id].includes(line.session)), JSON.stringify(own.find((line) => line.session === undefined)))
  // Libraries too, when they work for a session.
  assert.ok(lines.some(({ target, session: its }) => /^(str0m|livekit_signaling)/.test(target) && its === session.id), [...new Set(lines.map(({ target }) => target))].join())
})
