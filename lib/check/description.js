'use strict'

// Validates the description of a session, which may come from anywhere, and the options of those that make one.

const { base64Decoded } = require('../bytes')
const { invalidArgument } = require('../error')
const { playRequest } = require('./requests')
const { MAX_MS, REQUIRED, check, object } = require('./values')

/** The version of the descriptions that are made and taken. */
const VERSION = 1

const DESCRIPTION = ['version', 'atMs', 'handOver', 'options', 'playbacks', 'tracks', 'unrestorable']

/** Fields that are those of a play request. */
const REQUEST = [
  'requestId', 'group', 'context', 'trackId', 'role', 'overlap', 'priority', 'volume', 'gain', 'loudness', 'audioUrl', 'audio', 'contentType', 'headers', 'startMs',
  'durationMs', 'loop', 'fadeInMs', 'fadeOutMs', 'queueTimeoutMs'
]

/** Fields that tell how far it is. */
const PROGRESS = ['state', 'queuePosition', 'positionMs', 'heardMs', 'ramps', 'stopReason']

const STATES = ['queued', 'loading', 'playing', 'paused', 'stopping']

/** As many as may play, fade out and wait at once (`maxConcurrent`, `maxQueued`), and as many tracks as there are. */
const MAX_PLAYBACKS = 102_000
const MAX_TRACKS = 65_536

/** Places in endless sources grow beyond a day. */
const MAX_PLACE_MS = 1e11

/** Edges are never shorter; a crossing of a second is no seam any more. */
const MIN_FADE_MS = 5
const MAX_FADE_MS = 1000
const MAX_AFTER_MS = 5000

const MAX_BYTES = 2 ** 20

/** Validates the options of `describe`. */
function describeOptions(options = {}) {
  return { maxBufferBytes: maxBufferBytes(object(options, 'describe', ['maxBufferBytes'])) }
}

/** Validates the options of `handOver`. */
function handOverOptions(options = {}) {
  const { fadeMs, afterMs, whenReplaced } = object(options, 'handOver', ['fadeMs', 'afterMs', 'whenReplaced', 'maxBufferBytes'])
  const checked = {
    fadeMs: check.number(fadeMs, 'fadeMs', 20, MIN_FADE_MS, MAX_FADE_MS),
    afterMs: check.number(afterMs, 'afterMs', 0, 0, MAX_AFTER_MS),
    whenReplaced: check.boolean(whenReplaced, 'whenReplaced', false),
    maxBufferBytes: maxBufferBytes(options)
  }
  const needless = ['fadeMs', 'afterMs'].find((name) => checked.whenReplaced && options[name] !== undefined)
  if (needless) throw invalidArgument('whenReplaced: false beside it', needless, options[needless])
  return checked
}

function maxBufferBytes({ maxBufferBytes }) {
  return check.integer(maxBufferBytes, 'maxBufferBytes', MAX_BYTES, 0, 2 ** 28)
}

/** Validates a description. Each playback of the result is `{ request, continued }`: a validated request, and how it goes on. */
function description(value) {
  if (typeof value !== 'object' || value === null) throw invalidArgument('an object', 'description', value)
  // Before anything else: another version may have other fields.
  if (value.version !== VERSION) throw invalidArgument(`${VERSION}`, 'description.version', value.version)
  object(value, 'description', DESCRIPTION)
  const playbacks = list(value.playbacks, 'description.playbacks', MAX_PLAYBACKS).map(playback)
  const names = new Set()
  for (const { request: { requestId } } of playbacks) {
    if (names.has(requestId)) throw invalidArgument('each requestId once', 'description.playbacks', requestId)
    names.add(requestId)
  }
  if (typeof value.options !== 'object' || value.options === null) throw invalidArgument('an object', 'description.options', value.options)
  return {
    options: value.options,
    handOver: value.handOver === undefined ? undefined : handOver(value.handOver),
    playbacks,
    tracks: list(value.tracks, 'description.tracks', MAX_TRACKS).map(track)
  }
}

function list(value, argument, max) {
  if (!Array.isArray(value)) throw invalidArgument('an array', argument, value)
  if (value.length > max) throw invalidArgument(`at most ${max} entries`, argument, value.length)
  return Array.from(value)
}

function handOver(value) {
  const { atMs, afterMs, fadeMs } = object(value, 'description.handOver', ['atMs', 'afterMs', 'fadeMs'])
  return {
    atMs: check.number(atMs, 'handOver.atMs', REQUIRED, 0, Number.MAX_SAFE_INTEGER),
    afterMs: check.number(afterMs, 'handOver.afterMs', REQUIRED, 0, MAX_AFTER_MS),
    fadeMs: check.number(fadeMs, 'handOver.fadeMs', REQUIRED, MIN_FADE_MS, MAX_FADE_MS)
  }
}

function playback(value) {
  const { state, queuePosition, positionMs, heardMs, ramps, stopReason, audio, ...request } = object(value, 'a playback', [...REQUEST, ...PROGRESS])
  check.id(request.requestId, 'requestId', REQUIRED)
  const checked = playRequest({ ...request, ...(audio !== undefined && { audio: bytes(audio) }), stopOther: false })
  check.choice(state, 'state', STATES)
  const position = check.integer(queuePosition, 'queuePosition', undefined, 1, MAX_PLAYBACKS)
  const heard = check.number(heardMs, 'heardMs', REQUIRED, 0, MAX_PLACE_MS)
  const voice = heard > 0 ? voiceState(ramps, heard, checked.volume) : undefined
  const reason = check.text(stopReason, 'stopReason', undefined)
  if ((state === 'stopping') !== (reason !== undefined && voice?.stop !== undefined)) throw invalidArgument('a stopReason and ramps.stop, only where it is stopping,', 'state', state)
  return {
    request: checked,
    continued: {
      fromMs: check.number(positionMs, 'positionMs', REQUIRED, 0, MAX_PLACE_MS),
      waits: position !== undefined,
      paused: state === 'paused',
      voice,
      stopReason: reason
    }
  }
}

function bytes(text) {
  const decoded = typeof text === 'string' ? base64Decoded(text) : undefined
  if (!decoded) throw invalidArgument('a string in base64', 'audio', text === undefined ? text : typeof text)
  return decoded
}

function voiceState(ramps = {}, heardMs, volume) {
  object(ramps, 'ramps', ['volume', 'rise', 'cross', 'stop'])
  const flat = (level) => ({ from: level, to: level, atMs: 0, lengthMs: 0, equalPower: false })
  const each = (name, other) => (ramps[name] === undefined ? other : ramp(ramps[name], `ramps.${name}`))
  return { heardMs, volume: each('volume', flat(volume)), rise: each('rise', flat(1)), cross: each('cross'), stop: each('stop') }
}

function ramp(value, argument) {
  const { from, to, atMs, lengthMs, curve } = object(value, argument, ['from', 'to', 'atMs', 'lengthMs', 'curve'])
  return {
    from: check.number(from, `${argument}.from`, REQUIRED, 0, 1),
    to: check.number(to, `${argument}.to`, REQUIRED, 0, 1),
    atMs: check.number(atMs, `${argument}.atMs`, REQUIRED, 0, MAX_PLACE_MS),
    lengthMs: check.number(lengthMs, `${argument}.lengthMs`, REQUIRED, 0, MAX_MS),
    equalPower: check.oneOf(curve, `${argument}.curve`, 'straight', ['straight', 'equalPower']) === 'equalPower'
  }
}

function track(value) {
  const { trackId, volume, gain, pan, muted, volumeFade, panFade } = object(value, 'a track', ['trackId', 'volume', 'gain', 'pan', 'muted', 'volumeFade', 'panFade'])
  return {
    trackId: check.integer(trackId, 'trackId', REQUIRED, 0, 0xffff),
    volume: check.number(volume, 'volume', REQUIRED, 0, 1),
    gain: check.number(gain, 'gain', REQUIRED, 0, 4),
    pan: check.number(pan, 'pan', REQUIRED, -1, 1),
    muted: check.boolean(muted, 'muted', REQUIRED),
    volumeFade: volumeFade && fade(volumeFade, 'volumeFade', (from) => [check.number(from, 'volumeFade.from', REQUIRED, 0, 4)]),
    panFade: panFade && fade(panFade, 'panFade', sides)
  }
}

function fade(value, argument, levels) {
  const { from, restMs } = object(value, argument, ['from', 'restMs'])
  return { from: levels(from), restMs: check.number(restMs, `${argument}.restMs`, REQUIRED, 0, MAX_MS) }
}

function sides(from) {
  if (!Array.isArray(from) || from.length !== 2) throw invalidArgument('two levels', 'panFade.from', from)
  return from.map((level) => check.number(level, 'panFade.from', REQUIRED, 0, 1))
}

module.exports = { VERSION, describeOptions, description, handOverOptions }
