'use strict'

// Collects what a session does while it plays, for a picture of it: its playbacks and their levels, its requests, its events, and the sound
// itself.

const { SpeakerError } = require('../../error')
const { sourceName } = require('../source-name')
const { EDGE_MS, Line, shape } = require('./level')
const { FRAME_MS, Peaks } = require('./peaks')
const { QUALITIES, Sound } = require('./sound')

/** Events of the session itself that a picture shows. */
const EVENTS = ['reconnecting', 'reconnected', 'disconnected', 'muted', 'unmuted', 'unpublished', 'republished', 'overloaded', 'error', 'mark']
/** Requests that change earlier requests; a mute is seen by its event. */
const CONTROLS = ['stop', 'pause', 'resume', 'seek', 'volume', 'trackVolume', 'trackPan', 'move', 'flush', 'interrupt']
/** The maximum number of events and controls kept, together. */
const MOST_EVENTS = 1000

class Trace {
  name
  lanes = []
  /** Playbacks beyond `mostLanes`. */
  leftOut = 0
  /** `{ atMs, type, … }`, in order of time. */
  events = []
  mix = new Peaks()
  #session
  #options
  #tracks = new Map()
  #mostLanes
  #sounds = []
  #mixTap
  /** Promises of the ends of all taps. */
  #ended = []

  /**
   * `options` are those of the session, `offsetMs` its time 0 in the log. At most `audioBytes` of its sound are kept for listening, and
   * `mostLanes` of its playbacks.
   */
  constructor(session, { name, options, channels = 1, audioBytes = 0, mostLanes }) {
    this.name = name
    this.#session = session
    this.#options = options
    this.#mostLanes = mostLanes
    this.#mixTap = this.#tap({}, (frame) => this.mix.add(frame))
    if (audioBytes > 0) this.#sounds = QUALITIES.map((quality) => new Sound(quality, channels, audioBytes))
    for (const sound of this.#sounds) {
      const { format, sampleRate } = sound.quality
      this.#tap({ format, sampleRate, channels }, (frame) => sound.add(frame))
    }
    for (const type of EVENTS) session.on(type, ({ seq, ...event }) => this.#note(type, event))
    session.on('stalled', ({ context, atMs }) => this.lanes.find(({ playback }) => playback === context)?.stalls.push(atMs))
  }

  /** Adds a request of this type that was made at `atMs`; `made` is its playback (see History) or what the call resolved with. */
  made(type, request, atMs, made) {
    if (type === 'play' || type === 'stream') this.#begun(request, made)
    else if (CONTROLS.includes(type)) this.#controlled(type, request, atMs, made)
  }

  /** Waits until everything has ended, and returns the data of the picture. */
  async finish() {
    await Promise.all(this.#ended)
    const lanes = this.lanes.map(({ playback, ...lane }) => ({ ...lane, ...playback, volume: lane.volume }))
    const ended = lanes.filter(({ endedAtMs }) => endedAtMs !== undefined)
    shape(ended, this.#tracks, this.#options)
    const times = [...ended.map(({ endedAtMs }) => endedAtMs), ...this.events.map(({ atMs }) => atMs)]
    return {
      name: this.name,
      lanes: ended,
      leftOut: this.leftOut,
      events: this.events,
      mix: this.mix,
      sounds: this.#sounds,
      unmeasuredMs: (this.#mixTap?.dropped ?? 0) * FRAME_MS,
      endMs: Math.max(0, ...times)
    }
  }

  #begun(request, playback) {
    if (this.lanes.length >= this.#mostLanes) {
      this.leftOut++
      return
    }
    const { role = 'media', volume = 1, gain = 1, fadeInMs = 0, fadeOutMs = 0, audioUrl } = request
    const source = audioUrl && sourceName(String(audioUrl))
    const lane = { playback, role, gain, fadeInMs, fadeOutMs, source, volume: new Line(volume), wave: new Peaks(), stalls: [], changes: [] }
    this.lanes.push(lane)
    this.#tap({ requestId: request.requestId }, (frame) => lane.wave.add(frame))
  }

  #controlled(type, request, atMs, made) {
    const { requestId, trackId, fadeMs = EDGE_MS, volume, gain } = request
    const many = made?.stopped ?? made?.interrupted?.map((each) => each.requestId) ?? made?.changed ?? []
    this.#note(type, { atMs, requestId, trackId, ...numbers(request), ...(made?.interrupted && { count: many.length }) })
    for (const lane of many.map((id) => this.#lane(id)).filter(Boolean)) {
      if (type === 'volume') {
        lane.volume.toward(volume, atMs, fadeMs)
        lane.changes.push({ atMs, volume })
      } else lane.stop ??= { fromMs: atMs + (request.afterMs ?? 0) }
    }
    if (type !== 'trackVolume') return
    if (!this.#tracks.has(trackId)) this.#tracks.set(trackId, new TrackLine())
    this.#tracks.get(trackId).set({ volume, gain }, atMs, fadeMs)
  }

  /** Returns the playback that has this id now, or had it last. */
  #lane(requestId) {
    return this.lanes.findLast(({ playback }) => playback.requestId === requestId && !playback.isRefused)
  }

  #note(type, event) {
    if (this.events.length < MOST_EVENTS) this.events.push({ type, ...event })
  }

  /** Listens to a tap and returns it, if there can be one. */
  #tap(options, listener) {
    let tap
    try {
      tap = this.#session.tap({ channels: 1, format: 's16', frameMs: FRAME_MS, ...options })
    } catch (error) {
      // A request that was refused at once has no sound.
      if (error instanceof SpeakerError) return undefined
      throw error
    }
    tap.on('data', listener)
    this.#ended.push(new Promise((resolve) => tap.once('close', resolve)))
    return tap
  }
}

/** Returns the level of a track: its volume times its gain, of which a request may name only one. */
class TrackLine extends Line {
  #volume = 1
  #gain = 1

  constructor() {
    super(1)
  }

  set({ volume = this.#volume, gain = this.#gain }, atMs, fadeMs) {
    this.#volume = volume
    this.#gain = gain
    this.toward(volume * gain, atMs, fadeMs)
  }
}

/** Returns the fields of a request that can be shown beside its name. */
function numbers({ audio, requestId, trackId, ...fields }) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => ['number', 'boolean', 'string'].includes(typeof value) || Array.isArray(value)))
}

module.exports = { Trace }
