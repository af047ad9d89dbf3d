'use strict'

// A LiveKit room for one test, and ears in it that shares no code with the speaker.

const { setTimeout: sleep } = require('node:timers/promises')

const { AudioStream, Room, RoomEvent, TrackKind } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const { startServer } = require('../../scripts/livekit-server')
const { open } = require('./session')
const { tone } = require('./wav')
const { Wire } = require('./wire')

/** An ear whose server is gone tries to come back for long. */
const GOODBYE_MS = 1000

let rooms = 0
let ears = 0

/** A token for `identity` in `room`. */
function token(server, room, identity, grants = {}) {
  const access = new AccessToken(server.key, server.secret, { identity, ttl: '10m' })
  access.addGrant({ roomJoin: true, room, ...grants })
  return access.toJwt()
}

/** A server that goes with the test. `change` is startServer's. */
async function openServer(t, change) {
  const server = await startServer(change)
  t.after(() => server.stop())
  return server
}

/** A room on a server of its own, which goes with the test. `change` is startServer's. */
async function openEmptyRoom(t, change) {
  return roomOn(t, await openServer(t, change))
}

/** One more room on a server. */
function roomOn(t, server) {
  const name = `room-${++rooms}`
  const join = async (options) => {
    const ear = await listen(server, name, options)
    t.after(() => Promise.race([ear.room.disconnect(), sleep(GOODBYE_MS)]))
    return ear
  }
  return { server, name, join, token: (identity, grants) => token(server, name, identity, grants) }
}

/** The same with an ear in it. */
async function openRoom(t, change) {
  const room = await openEmptyRoom(t, change)
  return { ...room, ear: await room.join() }
}

/** Joins and records every audio track by its name, at 48 kHz mono; a deaf one subscribes to none. */
async function listen(server, name, { isDeaf = false, grants = {} } = {}) {
  const room = new Room()
  const heard = new Map()
  const events = []
  room.on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
    if (track.kind !== TrackKind.KIND_AUDIO) return
    const samples = []
    heard.set(publication.name, samples)
    events.push(`subscribed ${publication.name} of ${participant.identity}`)
    // A track may be gone when it is announced. Whoever expects sound on it finds none.
    record(track, samples).catch((error) => events.push(`can't listen to ${publication.name}: ${error.message}`))
  })
  room.on(RoomEvent.ParticipantDisconnected, (participant) => events.push(`left ${participant.identity}`))
  const identity = `ear-${++ears}`
  await room.connect(server.url, await token(server, name, identity, { canPublish: false, ...grants }), {
    autoSubscribe: !isDeaf, dynacast: false
  })
  return { room, identity, heard, events }
}

async function record(track, samples) {
  for await (const frame of new AudioStream(track, 48000, 1)) {
    for (const sample of frame.data) samples.push(sample / 32768)
  }
}

/** A session that speaks in a room, by way of `url` if given. */
function speak(t, room, { url = room.server.url, ...output } = {}) {
  const token = () => room.token(`speaker-${t.name}`)
  return open(t, { output: { type: 'livekit', clock: undefined, url, token, ...output } })
}

/**
 * Publishes tracks with silence, until the ear listens to them: it takes a moment, and what comes before is lost on it.
 */
async function publish(session, room, tracks = { speaker: 0 }) {
  for (const [name, trackId] of Object.entries(tracks)) {
    await session.playAudio({ audio: tone(440, 100), volume: 0, trackId })
    await until(() => room.ear.heard.get(name)?.length > 0, `the ear listens to ${name}`)
  }
}

/** A state in which a busy server lists some for a while who have left (`ParticipantInfo.State`). */
const DISCONNECTED = 3

/** What a moderator asks a server for. */
function moderator({ url, key, secret }) {
  return new RoomServiceClient(url.replace('ws', 'http'), key, secret)
}

/** Those who are in the rooms of a server, as it sees it. */
async function present(server) {
  const service = moderator(server)
  const rooms = await service.listRooms()
  const listed = (await Promise.all(rooms.map(({ name }) => service.listParticipants(name)))).flat()
  return listed.filter(({ state }) => state !== DISCONNECTED)
}

/** A room, and a session whose track the ear hears, with a wire between them that can be cut. */
async function speakOverWire(t, output) {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session, told } = speak(t, room, { url: wire.url, ...output })
  await publish(session, room)
  return { room, wire, session, told }
}

/**
 * Returns a function that returns what was heard on a track since this call, also if the track is published anew: always the same
 * array, which grows.
 */
function fromNow(ear, name) {
  let samples = ear.heard.get(name) ?? []
  let [from, since] = [samples.length, []]
  return () => {
    const latest = ear.heard.get(name) ?? []
    if (latest !== samples) [samples, from, since] = [latest, 0, []]
    for (let n = from + since.length; n < samples.length; n++) since.push(samples[n])
    return since
  }
}

/** How often an ear came to hear a track of this name: once for each time it was published. */
function publishings({ events }, name) {
  return events.filter((event) => event.startsWith(`subscribed ${name} of `)).length
}

/** The types of what was told, but for `subscribed`: when that comes depends on the ear. */
function types(told) {
  return told.map(({ type }) => type).filter((type) => type !== 'subscribed')
}

/** Returns true if a session that told this has lost its room and has it again. */
function isBack(told) {
  return told.findLast(({ type }) => type === 'reconnecting' || type === 'reconnected')?.type === 'reconnected'
}

/** Waits for a condition, looking often; fails if it does not come in time. */
async function until(condition, what, withinMs = 10_000) {
  for (let n = 0; n < withinMs / 10; n++) {
    if (await condition()) return
    await sleep(10)
  }
  throw new Error(`it never happened: ${what}`)
}

module.exports = {
  fromNow, isBack, moderator, openEmptyRoom, openRoom, openServer, present, publish, publishings, roomOn, speak, speakOverWire,
  types, until
}
