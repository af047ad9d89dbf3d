'use strict'

// A LiveKit room to play into, with a listener in it: on the server that the environment names, or on one that is
// started here.

const { randomBytes } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerError } = require('../error')
const { accessToken } = require('../livekit/access-token')
const { serverFromEnv } = require('../livekit/environment')
const { trackName } = require('../track')
const { findServer, startServer } = require('./livekit-server')
const { RoomListener } = require('./room-listener')

/** The time limit for the listener to find the tracks. */
const TUNE_MS = 10_000
/** The longest time from sending to hearing. */
const LATENCY_MS = 600

/** Packages that only --livekit needs, so they are not dependencies. */
const PACKAGES = ['@livekit/rtc-node', 'livekit-server-sdk']

/** A room to play into, and a record of the sounds heard in it. */
class Room {
  clock = 'realtime'
  #server
  #listener
  #zero

  /** Opens a room with a track for each that the `requests` use. */
  static async open({ stereo }, requests) {
    const room = new Room()
    room.#server = await openServer()
    try {
      const { url } = room.#server
      const name = `speaker-session-${randomBytes(4).toString('hex')}`
      const token = (identity, grants) => accessToken(room.#server, name, identity, grants)
      room.name = `${name} at ${url}`
      room.output = {
        type: 'livekit',
        url,
        token: () => token('speaker', { canSubscribe: false }),
        channels: stereo ? 2 : 1,
        publish: 'connect',
        trackNames: trackNames(requests)
      }
      room.#listener = await RoomListener.open({ url, token: await token('ear', { canPublish: false }) })
      return room
    } catch (error) {
      await room.close()
      throw error
    }
  }

  /**
   * Connects, and waits until the listener receives every track: otherwise it would miss the beginning of the first sound.
   * Returns how much of the session's time has passed by then.
   */
  async prepare(session) {
    this.#zero = epochMs()
    await session.connect()
    if (!(await this.#listener.listensTo(Object.values(this.output.trackNames), TUNE_MS))) {
      throw new SpeakerError('ERR_JOIN_FAILED', `The listener did not find every track within ${TUNE_MS} ms`)
    }
    return epochMs() - this.#zero
  }

  /** Returns the sounds that were heard and the playbacks that were not, once everything has arrived. */
  async heard(playbacks) {
    await sleep(LATENCY_MS)
    const sounds = this.#listener.sounds(this.#zero)
    return { sounds, missed: playbacks.filter((playback) => isMissed(playback, sounds)) }
  }

  /** Returns no errors: a room in which nothing began is no failure. */
  unplayedProblems() {
    return []
  }

  async close() {
    await this.#listener?.close()
    await this.#server.stop?.()
  }
}

/** Returns the server at LIVEKIT_URL, or starts one. */
async function openServer() {
  PACKAGES.forEach(requireInstalled)
  if (process.env.LIVEKIT_URL) return serverFromEnv()
  const program = findServer()
  if (!program) throw new SpeakerError('ERR_JOIN_FAILED', 'No room for --livekit: install livekit-server on the PATH, or set LIVEKIT_URL (in a copy of the repository, `node scripts/livekit-server.js` builds one)')
  return startServer(program).catch(({ message }) => {
    throw new SpeakerError('ERR_JOIN_FAILED', `No room for --livekit: ${message}`)
  })
}

function requireInstalled(name) {
  try {
    require.resolve(name)
  } catch {
    const remedy = `run \`npm install ${PACKAGES.join(' ')}\``
    throw new SpeakerError('ERR_JOIN_FAILED', `Nobody can listen for --livekit: ${remedy}`)
  }
}

/** Returns the names of the tracks in use, so that they are published when the room is joined. */
function trackNames(requests) {
  const names = {}
  for (const { type, request: { trackId = 0 } } of requests) {
    if (type === 'play' || type === 'stream') names[trackId] = trackName(trackId)
  }
  return names
}

function epochMs() {
  return performance.timeOrigin + performance.now()
}

/** Returns true if a playback completed but nothing was heard on its track meanwhile. */
function isMissed({ outcome, trackId, volume, startedAtMs, endedAtMs }, sounds) {
  const during = ({ atMs }) => atMs > startedAtMs && atMs < endedAtMs + LATENCY_MS
  const isHeard = ({ track, frames }) => track === trackName(trackId) && frames.some(during)
  return outcome === 'completed' && volume > 0 && !sounds.some(isHeard)
}

module.exports = { Room }
