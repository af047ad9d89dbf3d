'use strict'

// Tracks that are muted by a moderator or by the session itself.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { moderator, openRoom, speak, speakOverWire, until } = require('../support/room')
const { level, tone } = require('../support/wav')

const WINDOW = 4800 // 100 ms
const LIMIT = { timeout: 60_000 }
/** The default of servers: a moderator who mutes a track can't unmute it. */
const strict = (config) => (config.room.enable_remote_unmute = false)

after(dispose) // otherwise the ear keeps the process alive

/** Returns true if the last 200 ms contain a tone of 440 Hz. */
function isHeard(ear) {
  const samples = ear.heard.get('speaker') ?? []
  return samples.length > 2 * WINDOW && level(samples, samples.length - 2 * WINDOW, samples.length, 440) > 0.15
}

/** Returns a moderator's view of a session's first track, and its calls. */
function over(t, room, identity = `speaker-${t.name}`) {
  const track = async () => {
    const { tracks } = await moderator(room.server).getParticipant(room.name, identity)
    return tracks.find(({ name }) => name === 'speaker')
  }
  return {
    track,
    mute: async (muted) => moderator(room.server).mutePublishedTrack(room.name, identity, (await track()).sid, muted)
  }
}

async function speaking(t, { change, ...output } = {}) {
  const room = await openRoom(t, change)
  const { session, told } = speak(t, room, output)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await until(() => isHeard(room.ear), 'it is heard')
  return { room, session, told, playing, ...over(t, room) }
}

test('a moderator mutes and unmutes a track', LIMIT, async (t) => {
  const { room, session, told, playing, track, mute } = await speaking(t)
  const muted = once(session, 'muted')
  await mute(true)
  assert.equal((await muted)[0].trackId, 0)
  await until(() => !isHeard(room.ear), 'it is silent')
  const before = session.playbacks()[0].positionMs
  await sleep(300)
  assert.ok(session.playbacks()[0].positionMs > before, 'what plays goes on')
  assert.equal((await track()).muted, true)

  const unmuted = once(session, 'unmuted')
  await mute(false)
  await unmuted
  await until(() => isHeard(room.ear), 'it is heard again')
  await session.stopAudio()
  assert.ok((await playing).unheardMs >= 300)
  assert.deepEqual(told.map(({ type }) => type), ['connected', 'started', 'muted', 'unmuted', 'stopped'])
})

test("onMute 'pause' pauses playbacks", LIMIT, async (t) => {
  const { room, session, playing, mute } = await speaking(t, { onMute: 'pause' })
  const muted = once(session, 'muted')
  await mute(true)
  await muted
  await sleep(200)
  const { positionMs } = session.playbacks()[0]
  await sleep(300)
  assert.equal(session.playbacks()[0].positionMs, positionMs)
  await session.setMuted({ trackId: 0, muted: false })
  await until(() => isHeard(room.ear), 'it is heard again')
  await session.stopAudio()
  assert.ok((await playing).positionMs > positionMs)
})

test('setMuted unmutes where a moderator can not', LIMIT, async (t) => {
  const { room, session, track, mute } = await speaking(t, { change: strict })
  const muted = once(session, 'muted')
  await mute(true)
  await muted
  await until(() => !isHeard(room.ear), 'it is silent')
  await assert.rejects(mute(false), /remote unmute not enabled/)
  const unmuted = once(session, 'unmuted')
  await session.setMuted({ trackId: 0, muted: false })
  await unmuted
  await until(() => isHeard(room.ear), 'it is heard again')
  await until(async () => !(await track()).muted, 'the server says so, too')
})

test('a mute before publishing publishes a muted track', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room, { publish: 'lazy' })
  const { track } = over(t, room)
  await session.setMuted({ trackId: 0, muted: true })
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  await until(async () => (await track())?.muted, 'it is listed as muted')
  await sleep(500)
  assert.ok(!isHeard(room.ear), 'it is heard all the same')
  await session.setMuted({ trackId: 0, muted: false })
  await until(() => isHeard(room.ear), 'it is heard')
  await until(async () => !(await track()).muted, 'the server says so, too')
  await session.stopAudio()
  const { durationMs, unheardMs } = await playing
  assert.ok(unheardMs >= 500 && unheardMs < durationMs, `${unheardMs} of ${durationMs} ms`)
  assert.deepEqual(told.filter(({ type }) => /muted/.test(type)).map(({ type }) => type), ['muted', 'unmuted'])
})

test('only our own mute survives a rejoin', LIMIT, async (t) => {
  const { room, session, told, track, mute } = await speaking(t, { change: strict })
  const byModerator = once(session, 'muted')
  await mute(true)
  await byModerator
  await session.setMuted({ trackId: 1, muted: true })
  const [unmuted, back] = [once(session, 'unmuted'), once(session, 'reconnected')]
  await room.server.restart()
  assert.equal((await unmuted)[0].trackId, 0)
  await back
  await until(async () => (await track())?.muted === false, 'the track is published anew')
  const { tracks } = await moderator(room.server).getParticipant(room.name, `speaker-${t.name}`)
  assert.deepEqual(tracks.map(({ name, muted }) => [name, muted]).sort(), [['app_audio', true], ['speaker', false], ['tts', false]])
  const ear = await room.join()
  await until(() => isHeard(ear), 'it is heard again')
  const mutes = told.filter(({ type }) => /muted/.test(type)).map(({ type, trackId }) => `${type} ${trackId}`)
  assert.deepEqual(mutes, ['muted 0', 'muted 1', 'unmuted 0'])
})

test('a mute during lost signalling is reported afterwards', LIMIT, async (t) => {
  const { room, wire, session } = await speakOverWire(t)
  const { track, mute } = over(t, room)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  const lost = once(session, 'reconnecting')
  wire.cut()
  await lost
  await mute(true)
  await session.setMuted({ trackId: 1, muted: true })
  const told = []
  session.on('muted', ({ trackId }) => told.push(trackId))
  wire.mend()
  await until(() => told.includes(0), 'the mute is told')
  await until(async () => {
    const { tracks } = await moderator(room.server).getParticipant(room.name, `speaker-${t.name}`)
    return tracks.find(({ name }) => name === 'app_audio').muted
  }, 'our own is told to the server')
  assert.equal((await track()).muted, true)
  await session.stopAudio()
  assert.ok((await playing).unheardMs > 0)
})
