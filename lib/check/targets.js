'use strict'

// Validates stop, pause, resume, seek, volume and mute requests, and what a participant says of itself.

const { refuse } = require('../error')
const { MAX_MS, check, object } = require('./values')

/** Validates a target: one request, one track, or everything. `options` are the further ones that the `call` takes. */
function target(value, call, options = []) {
  const { requestId, trackId } = object(value, call, ['requestId', 'trackId', ...options])
  if (requestId !== undefined && trackId !== undefined) throw refuse('requestId or trackId, not both', call, value)
  return {
    requestId: check.id(requestId, 'requestId', undefined),
    trackId: check.integer(trackId, 'trackId', undefined, 0, 0xffff)
  }
}

function stopRequest(request = {}) {
  if (request.ahead === true && request.requestId === undefined) throw refuse('a requestId beside it', 'ahead', true)
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
    positionMs: check.number(request.positionMs ?? null, 'positionMs', undefined, 0, MAX_MS)
  }
}

function volumeRequest(request) {
  return {
    target: target(request, 'setVolume', ['volume', 'fadeMs']),
    volume: check.number(request.volume ?? null, 'volume', undefined, 0, 1),
    fadeMs: check.number(request.fadeMs, 'fadeMs', 5, 0, MAX_MS)
  }
}

/** Validates which track is to be muted, or not any more. */
function muteRequest(request) {
  object(request, 'setMuted', ['trackId', 'muted'])
  return {
    trackId: check.integer(request.trackId ?? null, 'trackId', undefined, 0, 0xffff),
    muted: check.boolean(request.muted ?? null, 'muted')
  }
}

/** Validates the number of a track. */
function trackId(value) {
  return check.integer(value ?? null, 'trackId', undefined, 0, 0xffff)
}

/** Validates a text that a room is to show. */
function text(value, argument) {
  return check.id(value ?? null, argument)
}

/** Validates the attributes of a participant, by their keys. */
function attributes(value) {
  const entries = Object.entries(object(value, 'attributes', Object.keys(Object(value))))
  for (const [key, value] of entries) {
    if (typeof value !== 'string' || !value.isWellFormed()) throw refuse('a string of well-formed Unicode', `attributes.${key}`, value)
    if (key === '' || !key.isWellFormed()) throw refuse('non-empty keys of well-formed Unicode', 'attributes', key)
  }
  return Object.fromEntries(entries)
}

module.exports = { stopRequest, pauseRequest, resumeRequest, seekRequest, volumeRequest, muteRequest, trackId, attributes, text }
