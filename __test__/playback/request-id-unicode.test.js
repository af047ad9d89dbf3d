'use strict'

// A `requestId` is any text that can be encoded in UTF-8.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open } = require('../support/session')
const { RAW } = require('../support/stream')
const { tone } = require('../support/wav')

const audio = tone(440, 20)

test('ids with lone surrogates are refused everywhere', async (t) => {
  const { session, told } = open(t)
  const refusal = { code: 'ERR_INVALID_ARGUMENT', message: /^Expected well-formed Unicode for requestId but received / }
  for (const requestId of ['\ud800', 'a\udfff', '\udc00\ud800', '\ud83dx', `${'x'.repeat(1000)}\ud800`]) {
    await assert.rejects(session.playAudio({ requestId, audio }), refusal)
    assert.throws(() => session.createStream({ requestId, ...RAW }), refusal)
    for (const call of ['stopAudio', 'pauseAudio', 'resumeAudio']) await assert.rejects(session[call]({ requestId }), refusal, call)
    await assert.rejects(session.stopAudio({ requestId, ahead: true }), refusal)
    await assert.rejects(session.seekAudio({ requestId, positionMs: 1 }), refusal)
    await assert.rejects(session.setVolume({ requestId, volume: 1 }), refusal)
    await assert.rejects(session.moveAudio({ requestId, queuePosition: 1 }), refusal)
  }
  assert.deepEqual([told, session.playbacks()], [[], []])
})

test('every other id is returned unchanged', async (t) => {
  const { session, told } = open(t, { maxConcurrent: 20 })
  const ids = ['\u{1f600}', 'é', 'e\u0301', '\0', 'a\0b', ' ', '\ufffd', '\u200b', '__proto__', 'constructor', '💬'.repeat(500)]
  const ends = ids.map((requestId) => session.playAudio({ requestId, audio, stopOther: false }))
  assert.deepEqual(session.playbacks().map(({ requestId }) => requestId), ids)
  await session.advance(5)
  assert.deepEqual(await session.stopAudio({ requestId: ids[0] }), { stopped: [ids[0]] })
  await session.advance(20)
  assert.deepEqual((await Promise.all(ends)).map(({ requestId }) => requestId), ids)
  assert.deepEqual(new Set(told.map(({ requestId }) => requestId).filter((id) => id !== undefined)), new Set(ids))
})
