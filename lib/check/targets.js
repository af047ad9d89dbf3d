'use strict'

// Validates marks, stop, pause, resume, seek, volume and mute requests, settings of a track, and what a participant sets and sends.

const { invalidArgument } = require('../error')
const { MAX_MS, MAX_PAYLOAD, REQUIRED, check, object } = require('./values')

const TARGET = ['requestId', 'trackId', 'group']

/**
 * Validates a target: one request, one track, one group, or everything. `options` are the further ones that the `call` takes. A name that is
 * present but undefined is refused: losing an id must not mean everything.
 */
function target(value, call, options = []) {
  const { requestId, trackId, group } = object(value, call, [...TARGET, ...options])
  const lost = TARGET.find((name) => value[name] === undefined && name in value)
  if (lost) throw invalidArgument(lost === 'trackId' ? 'an integer from 0 to 65535' : 'a non-empty string', lost, undefined, `without ${lost} it is for everything`)
  if (TARGET.filter((name) => value[name] !== undefined).length > 1) throw invalidArgument('only one of requestId, trackId and group', call, value)
  return {
    requestId: check.id(requestId, 'requestId', undefined),
    trackId: check.integer(trackId, 'trackId', undefined, 0, 0xffff),
    group: check.id(group, 'group', undefined)
  }
}

/** Validates the name of a mark, and the target that it follows. */
function markRequest(name, behind = {}) {
  return { name: markName(name), target: target(behind, 'mark') }
}

function markName(value) {
  return check.id(value, 'name', REQUIRED)
}

function stopRequest(request = {}) {
  if (request.ahead === true && request.requestId === undefined) throw invalidArgument('a requestId beside it', 'ahead', true)
  return {
    target: target(request, 'stopAudio', ['reason', 'fadeOutMs', 'ahead']),
    reason: check.text(request.reason, 'reason', 'stopped'),
    fadeOutMs: check.number(request.fadeOutMs, 'fadeOutMs', 5, 0, MAX_MS),
    ahead: check.boolean(request.ahead, 'ahead', false)
  }
}

function pauseRequest(request = {}) {
  return target(request, 'pauseAudio')
}

function resumeRequest(request = {}) {
  return target(request, 'resumeAudio')
}

function seekRequest(request) {
  return {
    target: target(request, 'seekAudio', ['positionMs']),
    positionMs: check.number(request.positionMs, 'positionMs', REQUIRED, 0, MAX_MS)
  }
}

function volumeRequest(request) {
  return {
    target: target(request, 'setVolume', ['volume', 'fadeMs']),
    volume: check.number(request.volume, 'volume', REQUIRED, 0, 1),
    fadeMs: check.number(request.fadeMs, 'fadeMs', 5, 0, MAX_MS)
  }
}

/** Validates a mute request. */
function muteRequest(request) {
  object(request, 'setMuted', ['trackId', 'muted'])
  return {
    trackId: check.integer(request.trackId, 'trackId', REQUIRED, 0, 0xffff),
    muted: check.boolean(request.muted, 'muted', REQUIRED)
  }
}

/** Validates a change of a track's volume. */
function trackVolume(change) {
  object(change, 'setVolume', ['volume', 'gain', 'fadeMs'])
  const { volume, gain, fadeMs } = change
  if (volume === undefined && gain === undefined) throw invalidArgument('a volume or a gain', 'setVolume', change)
  return {
    volume: check.number(volume, 'volume', undefined, 0, 1),
    gain: check.number(gain, 'gain', undefined, 0, 4),
    fadeMs: check.number(fadeMs, 'fadeMs', 5, 0, MAX_MS)
  }
}

/** Validates a change of a track's pan. */
function trackPan(change) {
  const { pan, fadeMs } = object(change, 'setPan', ['pan', 'fadeMs'])
  return { pan: check.number(pan, 'pan', REQUIRED, -1, 1), fadeMs: check.number(fadeMs, 'fadeMs', 5, 0, MAX_MS) }
}

/** Validates such a change as it is in a line of a recording. */
function trackPanLine({ trackId: id, ...change }) {
  return { trackId: trackId(id), ...trackPan(change) }
}

/** Validates a change of a track's volume as it is in a line of a recording. */
function trackVolumeLine({ trackId: id, ...change }) {
  return { trackId: trackId(id), ...trackVolume(change) }
}

/** Validates the number of a track. */
function trackId(value) {
  return check.integer(value, 'trackId', REQUIRED, 0, 0xffff)
}

/** Validates a text that a room is to show. */
function text(value, argument) {
  return check.id(value, argument, REQUIRED)
}

/** Validates the attributes of a participant, by their keys. */
function attributes(value) {
  const entries = Object.entries(object(value, 'attributes', Object.keys(Object(value))))
  for (const [key, value] of entries) {
    if (typeof value !== 'string' || !value.isWellFormed()) throw invalidArgument('a string of well-formed Unicode', `attributes.${key}`, value)
    if (key === '' || !key.isWellFormed()) throw invalidArgument('non-empty keys of well-formed Unicode', 'attributes', key)
  }
  return Object.fromEntries(entries)
}

/** The maximum length of a text: half of what may wait to be sent. */
const MAX_TEXT = 512 * 1024

/** The maximum size of its topic, its attributes and the identities that it goes to: a server reads 64 KiB of a packet. */
const MAX_ADDRESS = 32 * 1024

/** Validates data and its recipients. A string is sent as UTF-8. */
function dataRequest(payload, options = {}) {
  const bytes = typeof payload === 'string' && payload.isWellFormed() ? Buffer.from(payload) : payload
  if (!(bytes instanceof Uint8Array)) throw invalidArgument('a Uint8Array or a string of well-formed Unicode', 'payload', payload)
  if (bytes.length > MAX_PAYLOAD) throw invalidArgument(`at most ${MAX_PAYLOAD} bytes`, 'payload', `${bytes.length} bytes`)
  object(options, 'sendData', ['topic', 'reliable', 'to'])
  return { bytes, ...address(options), reliable: check.boolean(options.reliable, 'reliable', true) }
}

/** Validates a text of any length and its recipients. */
function textRequest(value, options = {}) {
  if (typeof value !== 'string' || !value.isWellFormed()) throw invalidArgument('a string of well-formed Unicode', 'text', value)
  const length = Buffer.byteLength(value)
  if (length > MAX_TEXT) throw invalidArgument(`at most ${MAX_TEXT} bytes`, 'text', `${length} bytes`)
  object(options, 'sendText', ['topic', 'to', 'attributes'])
  const checked = attributes(options.attributes ?? {})
  return { text: value, ...address(options, checked), attributes: checked }
}

/** Validates a remote procedure call: the participant, the method and the payload. */
function callRequest(request) {
  object(request, 'performRpc', ['to', 'method', 'payload', 'timeoutMs'])
  const { payload = '' } = request
  if (typeof payload !== 'string' || !payload.isWellFormed()) throw invalidArgument('a string of well-formed Unicode', 'payload', payload)
  const length = Buffer.byteLength(payload)
  if (length > MAX_PAYLOAD) throw invalidArgument(`at most ${MAX_PAYLOAD} bytes`, 'payload', `${length} bytes`)
  const to = check.id(request.to, 'to', REQUIRED)
  const method = methodName(request.method)
  address({ topic: method, to: [to] })
  return { to, method, payload, timeoutMs: check.integer(request.timeoutMs, 'timeoutMs', 15_000, 1, MAX_MS) }
}

function methodName(value) {
  return check.id(value, 'method', REQUIRED)
}

/** Validates a method that others may call. */
function method(name, handler) {
  if (typeof handler !== 'function') throw invalidArgument('a function', 'handler', handler)
  return methodName(name)
}

/** Validates the topic and the recipients. `more` are further options. */
function address({ topic, to }, more = {}) {
  check.id(topic, 'topic', undefined)
  if (to !== undefined && !(Array.isArray(to) && to.length > 0)) throw invalidArgument('a non-empty array of identities', 'to', to)
  to?.forEach((identity, index) => check.id(identity, `to[${index}]`, REQUIRED))
  const length = [topic ?? '', ...(to ?? []), ...Object.entries(more).flat()].reduce((sum, name) => sum + Buffer.byteLength(name), 0)
  if (length > MAX_ADDRESS) throw invalidArgument(`at most ${MAX_ADDRESS} bytes in all`, 'topic, to and attributes', `${length} bytes`)
  return { topic, to: to ?? [] }
}

module.exports = {
  markRequest, markName, stopRequest, pauseRequest, resumeRequest, seekRequest, volumeRequest, muteRequest, trackVolume, trackVolumeLine, trackPan, trackPanLine, trackId, attributes,
  text, dataRequest, textRequest, callRequest, method, methodName
}
