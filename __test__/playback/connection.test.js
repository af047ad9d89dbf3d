'use strict'

// `session.connection`, and `setMuted` without a room.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { workspace } = require('../support/cli')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

test('an output that opens at once is connected', async (t) => {
  const { session } = open(t)
  assert.equal(session.connection, 'new')
  await session.connect()
  assert.equal(session.connection, 'connected')
  const closing = session.close()
  await closing
  assert.equal(session.connection, 'closed')
  await session.close()
  assert.equal(session.connection, 'closed')
  assert.throws(() => { session.connection = 'new' }, TypeError)
})

test('a failed output is disconnected and opened again', async (t) => {
  const target = path.join(workspace(t), 'later')
  const { session } = open(t, { output: { type: 'wav', path: path.join(target, 'x.wav'), clock: 'realtime' } })
  await assert.rejects(session.connect(), { code: 'ERR_OUTPUT' })
  assert.equal(session.connection, 'disconnected')
  require('node:fs').mkdirSync(target)
  await session.connect()
  assert.equal(session.connection, 'connected')
})

test('a room that does not answer stays connecting', async (t) => {
  const server = require('node:net').createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${server.address().port}`
  const session = new SpeakerSession({ output: { type: 'livekit', url, token: 'x', connectTimeoutMs: 300 } })
  t.after(() => session.close())
  await session.setMuted({ trackId: 1, muted: true })
  const failed = assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED' })
  assert.equal(session.connection, 'connecting')
  await session.setMuted({ trackId: 1, muted: false })
  await session.unpublish(0)
  await failed
  assert.equal(session.connection, 'disconnected')
  await session.close()
  await assert.rejects(session.setMuted({ trackId: 1, muted: true }), { code: 'ERR_CLOSED' })
  await assert.rejects(session.unpublish(1), { code: 'ERR_CLOSED' })
})

test('only a room can unpublish tracks', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.unpublish(1), {
    code: 'ERR_UNSUPPORTED_OPERATION',
    message: "Expected output.type 'livekit' for unpublish but received 'memory'"
  })
  for (const trackId of [undefined, null, -1, 65536, 1.5, NaN, '1', {}, [1]]) {
    await assert.rejects(session.unpublish(trackId), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(trackId))
  }
  const played = session.playAudio({ audio: tone(440, 20), trackId: 1 })
  await session.advance(20)
  assert.equal((await played).outcome, 'completed')
})

test('setMuted refuses invalid tracks and values', async (t) => {
  const { session } = open(t)
  for (const request of [
    undefined, null, {}, { trackId: 1 }, { muted: true }, { trackId: 65536, muted: true }, { trackId: -1, muted: true },
    { trackId: NaN, muted: true }, { trackId: '1', muted: true }, { trackId: 1, muted: 1 }, { trackId: 1, muted: true, requestId: 'a' }
  ]) {
    await assert.rejects(session.setMuted(request), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(request))
  }
  const played = session.playAudio({ audio: tone(440, 20) })
  await session.advance(20)
  assert.equal((await played).outcome, 'completed')
})
