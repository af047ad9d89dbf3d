'use strict'

// The description of a session: JSON from which another one, maybe of another process, goes on. Checked by lib/check/description.js.

const path = require('node:path')

const { base64Encoded } = require('./bytes')
const { VERSION } = require('./check')
const { sourceOf } = require('./clip')
const { recordedOptions } = require('./recording/session-line')

/** Returns the session's options that its description holds. A copy: the caller may change its own. */
function describedOptions(options) {
  const { progressIntervalMs } = options
  return plain({ ...recordedOptions(options), progressIntervalMs })
}

/** Returns the part of a validated request that its playback's description needs. The addon has the bytes. */
function keptRequest({ audio, body, encoding, signal, path: file, ...request }) {
  // The working directory may be another one later.
  return { ...request, path: file === undefined ? undefined : path.resolve(file), isStream: encoding !== undefined }
}

/**
 * Describes a session by its options and the addon's snapshot. `requests` returns the kept request of a playback, and its fields that are
 * copied into events; `handOver` is what the session that goes on needs to know of a hand-over, if it is
 * one.
 */
function describeSession(options, { atMs, playbacks, tracks }, requests, { maxBufferBytes, handOver }) {
  const described = { version: VERSION, atMs, ...(handOver && { handOver }), options, playbacks: [], tracks: tracks.map(trackOf), unrestorable: [] }
  const names = new Set(playbacks.filter(({ state }) => state !== 'stopping').map(({ playback }) => requests(playback)?.request.requestId))
  const positions = new Map()
  for (const snapshot of playbacks) {
    const { request, given } = requests(snapshot.playback) ?? {}
    // Its end is on its way to JavaScript, or it was stopped before its first sample.
    if (!request || (snapshot.state === 'stopping' && !snapshot.stopReason)) continue
    const source = sourceIn(request, snapshot, maxBufferBytes)
    const isDouble = snapshot.state === 'stopping' && names.has(request.requestId)
    if (isDouble || source.reason) {
      const { positionMs, voice } = snapshot
      const reason = source.reason ?? 'duplicate'
      described.unrestorable.push({ requestId: request.requestId, reason, positionMs, heardMs: voice?.heardMs ?? 0 })
    } else {
      const queuePosition = snapshot.waits ? (positions.get(request.trackId) ?? 0) + 1 : undefined
      if (queuePosition) positions.set(request.trackId, queuePosition)
      described.playbacks.push(plain({ ...playbackOf(request, given, snapshot), queuePosition, ...source }))
    }
  }
  return described
}

/** Returns the fields of the source of a playback, or the reason why it can't be opened again. */
function sourceIn({ path: file, url, clip, voice, isStream, headers, contentType }, { bytes, audio }, maxBufferBytes) {
  if (isStream) return { reason: 'stream' }
  if (voice) return { reason: 'voice' }
  if (clip) return sourceInClip(clip, maxBufferBytes)
  if (bytes !== undefined) return audio ? { audio: base64Encoded(audio), contentType } : { reason: 'tooLarge' }
  return {
    audioUrl: file ?? url,
    headers: headers.length > 0 ? Object.fromEntries(headers) : undefined,
    contentType
  }
}

function sourceInClip(clip, maxBufferBytes) {
  const { audio, ...source } = sourceOf(clip)
  if (source.audioUrl !== undefined) return source
  if (!audio) return { reason: 'clipClosed' }
  return audio.length <= maxBufferBytes ? { ...source, audio: base64Encoded(audio) } : { reason: 'tooLarge' }
}

function playbackOf(request, { group, context } = {}, { state, positionMs, passes, fadeOutMs, volume, priority, queueTimeoutMs, voice, stopReason }) {
  const { requestId, trackId, role, overlap, gain, loudness, startMs, durationMs, fadeInMs } = request
  return {
    requestId, group, context: jsonable(context), trackId, role, overlap, priority, volume, gain, loudness, startMs, durationMs,
    loop: passes === undefined || (passes > 1 && passes),
    fadeInMs: voice ? undefined : fadeInMs,
    fadeOutMs,
    queueTimeoutMs: queueTimeoutMs > 0 ? queueTimeoutMs : undefined,
    state, positionMs,
    heardMs: voice?.heardMs ?? 0,
    ramps: voice && rampsOf(voice),
    stopReason
  }
}

/** Returns the ramps of a voice that are not over. */
function rampsOf({ heardMs, volume, rise, cross, stop }) {
  const isComing = (ramp) => ramp && ramp.atMs + ramp.lengthMs > heardMs
  const ramp = (value) => {
    const { equalPower, ...rest } = value
    return equalPower ? { ...rest, curve: 'equalPower' } : rest
  }
  const ramps = Object.entries({ volume, rise, cross, stop }).filter(([name, value]) => value && (name === 'stop' || isComing(value)))
  return Object.fromEntries(ramps.map(([name, value]) => [name, ramp(value)]))
}

function trackOf({ trackId, volume, gain, pan, muted, fades }) {
  const [level, sides] = [1, 2].map((count) => fades.find(({ from }) => from.length === count))
  return plain({
    trackId, volume, gain, pan, muted,
    volumeFade: level && { from: level.from[0], restMs: level.restMs },
    panFade: sides
  })
}

/** Returns a value as it is after JSON: a copy without what JSON can't hold; undefined if it can hold nothing of it. */
function jsonable(value) {
  try {
    return value === undefined ? undefined : plain(value)
  } catch {
    return undefined // a cycle, a BigInt or a trap
  }
}

function plain(value) {
  const text = JSON.stringify(value)
  return text === undefined ? undefined : JSON.parse(text)
}

module.exports = { describedOptions, describeSession, keptRequest }
