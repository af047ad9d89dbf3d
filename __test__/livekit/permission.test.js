'use strict'

// The right to publish: missing from the start, revoked, or granted again.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { TrackSource } = require('livekit-server-sdk')

const { fromNow, moderator, openRoom, speak, until } = require('../support/room')
const { open } = require('../support/session')
const { tone, windows } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

/** Longer than the test's own limit: an error must come at once. */
const FOR_EVER_MS = 3_600_000
const LIMIT = { timeout: 60_000 }

for (const grants of [{ canPublish: false }, { canPublish: true, canPublishSources: [TrackSource.CAMERA] }]) {
  const what = JSON.stringify(grants)
  test(`connecting fails at once with a token with ${what}`, LIMIT, async (t) => {
    const room = await openRoom(t)
    const output = { type: 'livekit', clock: undefined, url: room.server.url, connectTimeoutMs: FOR_EVER_MS }
    const { session } = open(t, { output: { ...output, token: await room.token('nobody', grants) } })
    await assert.rejects(session.connect(), { code: 'ERR_JOIN_FAILED', message: /canPublish/ })
  })

  test(`a track fails at once with a token with ${what}`, LIMIT, async (t) => {
    const room = await openRoom(t)
    const output = { type: 'livekit', clock: undefined, url: room.server.url, publish: 'lazy', connectTimeoutMs: FOR_EVER_MS }
    const { session, told } = open(t, { output: { ...output, token: await room.token('nobody', grants) } })
    const expected = { code: 'ERR_PUBLISH_FAILED', message: /canPublish/ }
    await assert.rejects(session.playAudio({ audio: tone(440, 20) }), expected)
    await session.connect()
    await assert.rejects(session.playAudio({ audio: tone(440, 20) }), expected)
    await assert.rejects(session.playAudio({ audio: tone(440, 20), trackId: 3 }), expected)
    assert.deepEqual(told.map(({ type }) => type), ['connected', 'failed', 'failed', 'failed'])
  })
}

test('a token may allow only one source', LIMIT, async (t) => {
  const room = await openRoom(t)
  const grants = { canPublish: true, canPublishSources: [TrackSource.SCREEN_SHARE_AUDIO] }
  const output = {
    type: 'livekit', clock: undefined, url: room.server.url, publish: 'lazy', connectTimeoutMs: FOR_EVER_MS,
    trackSources: { 1: 'screenShareAudio', 2: 'unknown' }, token: await room.token('nobody', grants)
  }
  const { session } = open(t, { output })
  const playing = session.playAudio({ audio: tone(440, 1000), trackId: 1 })
  for (const [trackId, source] of [[0, 'microphone'], [2, 'unknown']]) {
    const expected = { code: 'ERR_PUBLISH_FAILED', message: new RegExp(`source ${source}`) }
    await assert.rejects(session.playAudio({ audio: tone(440, 20), trackId, stopOther: false }), expected)
  }
  assert.equal((await playing).outcome, 'completed')
  await until(() => windows(room.ear.heard.get('app_audio') ?? [], 440).length >= 5, 'it is heard')
})

/** Opens a session that is heard on its first track, and returns functions that grant and revoke its right to publish. */
async function speaking(t, output) {
  const room = await openRoom(t)
  const { session, told } = speak(t, room, output)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  playing.catch(() => {})
  const heard = fromNow(room.ear, 'speaker')
  await until(() => windows(heard(), 440).length >= 3, 'it is heard')
  const mayPublish = (canPublish) => {
    const permission = { canPublish, canSubscribe: true, canPublishData: true }
    return moderator(room.server).updateParticipant(room.name, `speaker-${t.name}`, undefined, permission)
  }
  return { room, session, told, playing, mayPublish }
}

test('a removed track returns with the grant', LIMIT, async (t) => {
  const { room, session, told, mayPublish } = await speaking(t)
  await mayPublish(false)
  const out = () => told.filter(({ type }) => type === 'unpublished')
  await until(() => out().length === 3, 'all are out')
  // In any order, as the server does.
  assert.deepEqual(out().map(({ trackId }) => trackId).sort(), [0, 1, 2])
  assert.ok(out().every(({ code, message }) => code === 'ERR_PUBLISH_FAILED' && /canPublish/.test(message)))
  await sleep(200)
  const { positionMs } = session.playbacks()[0]
  await sleep(500)
  assert.equal(session.playbacks()[0].positionMs, positionMs, 'it went on with nobody to hear it')
  for (const trackId of [0, 1, 7]) {
    const refused = session.playAudio({ audio: tone(440, 20), trackId, stopOther: false })
    await assert.rejects(refused, { code: 'ERR_PUBLISH_FAILED', message: /canPublish/ })
  }
  assert.equal(session.connection, 'connected')

  const heard = fromNow(room.ear, 'speaker')
  await mayPublish(true)
  await until(() => told.filter(({ type }) => type === 'republished').length === 3, 'all are back')
  await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
  assert.ok(session.playbacks()[0].positionMs > positionMs)
  assert.equal((await session.playAudio({ audio: tone(880, 200), trackId: 7, stopOther: false })).durationMs, 200)
  assert.ok(!told.some(({ type }) => type === 'reconnecting' || type === 'disconnected' || type === 'error'))
})

test("onReconnect 'drop' fails playbacks of a removed track", LIMIT, async (t) => {
  const { playing, mayPublish } = await speaking(t, { onReconnect: 'drop' })
  await mayPublish(false)
  await assert.rejects(playing, { code: 'ERR_PUBLISH_FAILED', message: /canPublish/ })
})

test("onReconnect 'continue' counts frames of a removed track", LIMIT, async (t) => {
  const { session, playing, mayPublish } = await speaking(t, { onReconnect: 'continue' })
  const out = once(session, 'unpublished')
  await mayPublish(false)
  await out
  const { positionMs } = session.playbacks()[0]
  await until(() => session.playbacks()[0].positionMs > positionMs + 500, 'it goes on')
  await session.stopAudio()
  assert.ok((await playing).unheardMs >= 500)
})

test('repeated grants and revocations settle', LIMIT, async (t) => {
  const { room, session, told, mayPublish } = await speaking(t)
  const about = (trackId) => told.filter((event) => event.trackId === trackId && /published/.test(event.type)).map(({ type }) => type)
  let ear
  // All that is refused in one moment, or granted while it is refused.
  for (const pauses of [[0, 5, 20, 60, 1, 10], [61, 5, 20, 60, 1, 141], [62, 5, 227, 290, 4, 10]]) {
    for (const pauseMs of pauses) {
      await mayPublish(false)
      await sleep(pauseMs)
      await mayPublish(true)
      await sleep(pauseMs)
    }
    // A new one: rtc-node may stop to follow the room when tracks come and go this fast.
    ear = await room.join()
    const heard = fromNow(ear, 'speaker')
    await until(() => windows(heard(), 440).length >= 5, 'it is heard again', 20_000)
    await until(() => [0, 1, 2].every((trackId) => about(trackId).length % 2 === 0), 'each that was taken out is back')
  }
  for (const trackId of [0, 1, 2]) {
    const types = about(trackId)
    assert.ok(types.every((type, n) => type === ['unpublished', 'republished'][n % 2]), types.join())
  }
  for (const [name, trackId, hertz] of [['app_audio', 1, 880], ['tts', 2, 1320]]) {
    const heard = fromNow(ear, name)
    const playing = session.playAudio({ audio: tone(hertz, 10_000), trackId, stopOther: false })
    await until(() => windows(heard(), hertz).length >= 5, `${name} is heard with its own sound`)
    await session.stopAudio({ trackId })
    assert.equal((await playing).outcome, 'stopped')
  }
  await mayPublish(false)
  await until(() => about(0).at(-1) === 'unpublished', 'it is out for good')
  assert.ok(!told.some(({ type }) => type === 'reconnecting' || type === 'disconnected'))
  assert.equal(session.connection, 'connected')
})
