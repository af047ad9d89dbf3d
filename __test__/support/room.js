'use strict'

// A LiveKit room for one test, and ears in it: listeners with LiveKit's own client, which shares no code with the speaker.

const { setTimeout: sleep } = require('node:timers/promises')

const { AudioStream, Room, RoomEvent, TrackKind } = require('@livekit/rtc-node')
const { AccessToken, RoomServiceClient } = require('livekit-server-sdk')

const EAR_OPTIONS = require('../../lib/cli/ear-options')
const { startServer } = require('../../scripts/livekit-server')
const { open } = require('./session')
const { tone } = require('./wav')
const { Wire } = require('./wire')

/**
 * The time in which a track that was published is announced and subscribed to. On a busy machine LiveKit's client loses one now and then: it takes an
 * outdated update about a participant for the truth (LiveKit 1.11 may write two in the other order, and rtc-node does not look at their versions), or
 * gets the sound of a track that it does not know yet. Then the ear asks for it again, and the test's output says so.
 */
const KNOWN_MS = 3000
/** The time between the end of a subscription and a new one: LiveKit may take both at once for none. */
const ANEW_MS = 500

/** An ear whose server is gone tries to reconnect for this long. */
const GOODBYE_MS = 1000

let rooms = 0
const ears = []

/** Returns a token for `identity` in `room`. */
function token(server, room, identity, grants = {}) {
  const access = new AccessToken(server.key, server.secret, { identity, ttl: '10m' })
  access.addGrant({ roomJoin: true, room, ...grants })
  return access.toJwt()
}

/** Starts a server for one test. `change` is startServer's. */
async function openServer(t, change) {
  const server = await startServer(change)
  t.after(() => server.stop())
  return server
}

/** Opens a room on a server of its own for one test. `change` is startServer's. */
async function openEmptyRoom(t, change) {
  return roomOn(t, await openServer(t, change))
}

/** Opens one more room on a server. */
function roomOn(t, server) {
  const name = `room-${++rooms}`
  const join = async (options) => {
    const ear = await listen(server, name, { tell: (text) => t.diagnostic(text), ...options })
    t.after(() => Promise.race([ear.room.disconnect(), sleep(GOODBYE_MS)]))
    return ear
  }
  return { server, name, join, token: (identity, grants) => token(server, name, identity, grants) }
}

/** Opens a room with an ear in it. */
async function openRoom(t, change) {
  const room = await openEmptyRoom(t, change)
  return { ...room, ear: await room.join() }
}

/** Joins and records every audio track by its name, at 48 kHz mono; a deaf ear subscribes to none. */
async function listen(server, name, { isDeaf = false, grants = {}, tell } = {}) {
  const room = new Room()
  const heard = new Map()
  const events = []
  room.on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
    if (track.kind !== TrackKind.KIND_AUDIO) return
    const samples = []
    heard.set(publication.name, samples)
    events.push(`subscribed ${publication.name} of ${participant.identity}`)
    // A track may be gone when it is announced. A test that expects sound on it finds none.
    record(track, samples).catch((error) => events.push(`can't listen to ${publication.name}: ${error.message}`))
  })
  room.on(RoomEvent.TrackPublished, (publication, participant) => {
    const isLost = () => room.isConnected && !publication.subscribed && participant.trackPublications.get(publication.sid) === publication
    const askAgain = async () => {
      if (isDeaf || !isLost()) return
      tell(`${identity} lost ${publication.name} and asks for it again`)
      publication.setSubscribed(false)
      await sleep(ANEW_MS, undefined, { ref: false })
      if (isLost()) publication.setSubscribed(true)
    }
    setTimeout(askAgain, KNOWN_MS).unref()
  })
  room.on(RoomEvent.ParticipantDisconnected, (participant) => events.push(`left ${participant.identity}`))
  const identity = `ear-${ears.length + 1}`
  const ear = { server, name, room, identity, heard, events, tell }
  ears.push(ear)
  await room.connect(server.url, await token(server, name, identity, { canPublish: false, ...grants }), {
    ...EAR_OPTIONS, autoSubscribe: !isDeaf
  })
  return ear
}

/** Returns what the ears that are in a room know of tracks, for the message of a failed test: what was published, subscribed to and heard. */
function earsInRooms() {
  return ears.filter(({ room }) => room.isConnected).map(({ room, identity, heard, events }) => {
    const publications = [...room.remoteParticipants.values()].flatMap((other) => [...other.trackPublications.values()])
    const tracks = publications.map(({ name, subscribed }) => {
      return `${name}: ${subscribed ? 'subscribed' : 'NOT subscribed'}, ${Math.round((heard.get(name)?.length ?? 0) / 48)} ms heard`
    })
    return `\n${identity}: ${[...tracks, ...events].join('; ')}`
  }).join('')
}

async function record(track, samples) {
  for await (const frame of new AudioStream(track, 48000, 1)) {
    for (const sample of frame.data) samples.push(sample / 32768)
  }
}

/** Opens a session that speaks in a room, through `url` if given. */
function speak(t, room, { url = room.server.url, ...output } = {}) {
  const token = () => room.token(`speaker-${t.name}`)
  return open(t, { output: { type: 'livekit', clock: undefined, url, token, ...output } })
}

/**
 * Publishes tracks with silence until the ear listens to them: that takes a moment, and it misses earlier sound.
 */
async function publish(session, room, tracks = { speaker: 0 }) {
  for (const [name, trackId] of Object.entries(tracks)) {
    await session.playAudio({ audio: tone(440, 100), volume: 0, trackId })
    await until(() => room.ear.heard.get(name)?.length > 0, `the ear listens to ${name}`)
  }
}

/** The state in which a busy server still lists participants who have left (`ParticipantInfo.State`). */
const DISCONNECTED = 3

/** Returns a client for a moderator's requests to a server. */
function moderator({ url, key, secret }) {
  return new RoomServiceClient(url.replace('ws', 'http'), key, secret)
}

/** Returns the participants in the rooms of a server, as the server lists them. */
async function present(server) {
  const service = moderator(server)
  const rooms = await service.listRooms()
  const listed = (await Promise.all(rooms.map(({ name }) => service.listParticipants(name)))).flat()
  return listed.filter(({ state }) => state !== DISCONNECTED)
}

/** Opens a room, and a session whose track the ear hears, with a wire between them that can be cut. */
async function speakOverWire(t, output) {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const { session, told } = speak(t, room, { url: wire.url, ...output })
  await publish(session, room)
  return { room, wire, session, told }
}

/**
 * Returns a function that returns what was heard on the track since this call, even if the track is published again: always the same
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

/** Returns how often an ear subscribed to a track of this name: once for each time it was published. */
function publishings({ events }, name) {
  return events.filter((event) => event.startsWith(`subscribed ${name} of `)).length
}

/** Returns the types of events, except `subscribed`: its time depends on the ear. */
function types(told) {
  return told.map(({ type }) => type).filter((type) => type !== 'subscribed')
}

/** Returns true if these are the events of a session that has lost its room and reconnected. */
function isBack(told) {
  return told.findLast(({ type }) => type === 'reconnecting' || type === 'reconnected')?.type === 'reconnected'
}

/** Has the server announce again what it has published and an ear's client does not know. */
async function announceAgain({ server, name, room, identity, tell }) {
  const service = moderator(server)
  for (const { identity: other, tracks, state } of await service.listParticipants(name)) {
    const known = room.remoteParticipants.get(other)?.trackPublications
    const lost = tracks.filter(({ sid }) => !known?.has(sid))
    if (other === identity || state === DISCONNECTED || lost.length === 0) continue
    tell(`${identity} was not told of ${lost.map((track) => track.name).join()}, which is announced again`)
    // Any change is an update, with all tracks.
    await service.updateParticipant(name, other, { attributes: { announced: 'again' } })
  }
}

/** Polls a condition until it is true; fails if it is not in time. */
async function until(condition, what, withinMs = 10_000) {
  for (let n = 0; n < withinMs / 10; n++) {
    if (await condition()) return
    if (n === KNOWN_MS / 10) {
      for (const ear of ears.filter(({ room }) => room.isConnected)) announceAgain(ear).catch(() => {}) // its server may be gone
    }
    await sleep(10)
  }
  throw new Error(`it never happened: ${what}${earsInRooms()}`)
}

module.exports = {
  fromNow, isBack, moderator, openEmptyRoom, openRoom, openServer, present, publish, publishings, roomOn, speak, speakOverWire,
  types, until
}
