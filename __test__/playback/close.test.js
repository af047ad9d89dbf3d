'use strict'

// `close` ends everything and settles every promise.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { open } = require('../support/session')
const { tone } = require('../support/wav')

test('close settles every promise', async (t) => {
  const { session, told, terminal } = open(t, { output: { clock: 'realtime' }, overlap: 'queue' })
  const playing = ['a', 'b', 'c'].map((requestId) =>
    session.playAudio({ requestId, audio: tone(440, 5000), stopOther: false })
  )
  await once(session, 'started')
  const closing = [session.close(), session.close(), session.connect().catch(({ code }) => code)]
  for (const { outcome, reason } of await Promise.all(playing)) {
    assert.deepEqual([outcome, reason], ['stopped', 'closed'])
  }
  assert.deepEqual(await Promise.all(closing), [undefined, undefined, 'ERR_CLOSED'])
  for (const requestId of ['a', 'b', 'c']) assert.equal(terminal(requestId).length, 1)
  assert.equal(told.at(-1).type, 'disconnected')
  await session.close()
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_CLOSED' })
  assert.deepEqual(session.playbacks(), [])
})

test('close settles loading and unstarted playbacks', async (t) => {
  const untouched = open(t)
  await untouched.session.close()
  assert.deepEqual(untouched.told, [], 'it was never connected')

  const server = require('node:http').createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const held = open(t)
  const playing = held.session.playAudio({ audioUrl: `http://127.0.0.1:${server.address().port}/` })
  const advancing = assert.rejects(held.session.advance(1000), { code: 'ERR_CLOSED' })
  const later = held.session.playAudio({ audio: tone(440, 20), stopOther: false })
  await held.session.close()
  assert.equal((await playing).reason, 'closed')
  assert.equal((await later).reason, 'closed')
  await advancing
})
