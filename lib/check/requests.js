'use strict'

const { fileURLToPath } = require('node:url')

const { refuse } = require('../error')
const { encoding, isIterable } = require('./streams')
const { MAX_MS, OVERLAPS, ROLES, check, object } = require('./values')

/** A scheme needs two letters: `C:\clip.wav` is a path. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

function place(audioUrl) {
  const url = audioUrl instanceof URL ? audioUrl.href : check.text(audioUrl, 'audioUrl')
  const scheme = SCHEME.exec(url)?.[1].toLowerCase()
  const expected = 'an http(s) URL, a file: URL or a path'
  if (scheme === undefined) return { path: url }
  if (!['http', 'https', 'file'].includes(scheme) || !URL.canParse(url)) throw refuse(expected, 'audioUrl', url)
  if (scheme !== 'file') return { url: new URL(url).href }
  try {
    return { path: fileURLToPath(url) }
  } catch {
    throw refuse(expected, 'audioUrl', url)
  }
}

function headerPairs(headers) {
  if (headers === undefined) return []
  if (typeof headers !== 'object' || headers === null) throw refuse('an object of strings', 'headers', headers)
  const pairs = Object.entries(headers)
  try {
    new Headers(pairs) // knows which names and values HTTP allows
  } catch {
    throw refuse('an object of HTTP header names and values', 'headers', headers)
  }
  return pairs.map(([name, value]) => [name, String(value)])
}

/** What every playback may have. */
const PLAYBACK = [
  'requestId', 'volume', 'gain', 'stopOther', 'overlap', 'trackId', 'role', 'priority', 'queueTimeoutMs', 'fadeInMs', 'signal'
]

/** What of its source is played. */
const SECTION = ['startMs', 'durationMs', 'fadeOutMs']

/** What only playAudio takes. */
const PLAY = [...PLAYBACK, ...SECTION, 'audioUrl', 'audio', 'loop', 'headers', 'contentType']

/** What makes a stream of it. */
const WRITTEN = ['format', 'sampleRate', 'channels', 'stallTimeoutMs']

/** What is held back to fall in the end is kept in memory. */
const MAX_FADE_OUT_MS = 10_000
const MAX_LOOP = 1_000_000

/** How often it is played; undefined is for ever. */
function passes(loop = false) {
  if (typeof loop === 'boolean') return loop ? undefined : 1
  const fits = Number.isInteger(loop) && loop >= 1 && loop <= MAX_LOOP
  if (!fits) throw refuse(`a boolean or an integer from 1 to ${MAX_LOOP}`, 'loop', loop)
  return loop
}

function playRequest(request) {
  object(request, 'playAudio', [...PLAY, ...WRITTEN])
  const { audioUrl, audio } = request
  if ((audioUrl === undefined) === (audio === undefined)) {
    throw refuse('either audioUrl or audio', 'playAudio', audio === undefined ? undefined : 'both')
  }
  const needless = WRITTEN.find((key) => request[key] !== undefined)
  if (needless !== undefined && !isIterable(audio)) {
    throw refuse('a Readable or AsyncIterable as audio beside it', needless, request[needless])
  }
  return {
    ...(audio === undefined ? place(audioUrl) : bytes(request)),
    ...playback(request),
    headers: headerPairs(request.headers),
    contentType: check.text(request.contentType, 'contentType', undefined)
  }
}

function bytes(request) {
  const { audio } = request
  if (audio instanceof Uint8Array) return { audio }
  if (!isIterable(audio)) throw refuse('a Buffer, Uint8Array, Readable or AsyncIterable', 'audio', audio)
  if (passes(request.loop) !== 1) throw refuse('audio that can be read again beside it', 'loop', request.loop)
  return written(request, true)
}

function streamRequest(request) {
  object(request, 'createStream', [...PLAYBACK, ...SECTION, ...WRITTEN])
  return { ...written(request, false), ...playback(request), headers: [] }
}

function written(request, more) {
  return {
    encoding: encoding(request, more),
    stallTimeoutMs: check.number(request.stallTimeoutMs, 'stallTimeoutMs', undefined, 0, MAX_MS)
  }
}

function playback(request) {
  const volume = check.number(request.volume, 'volume', 1, 0, 1)
  return {
    requestId: check.id(request.requestId, 'requestId', undefined),
    trackId: check.integer(request.trackId, 'trackId', 0, 0, 0xffff),
    overlap: check.oneOf(request.overlap, 'overlap', undefined, OVERLAPS),
    role: check.oneOf(request.role, 'role', 'media', ROLES),
    stopOther: check.boolean(request.stopOther, 'stopOther', true),
    priority: check.integer(request.priority, 'priority', 0, -1000, 1000),
    queueTimeoutMs: check.number(request.queueTimeoutMs, 'queueTimeoutMs', undefined, 0, MAX_MS),
    volume,
    gain: check.number(request.gain, 'gain', 1, 0, 16),
    startMs: check.number(request.startMs, 'startMs', 0, 0, MAX_MS),
    durationMs: check.number(request.durationMs, 'durationMs', undefined, 0, MAX_MS),
    passes: passes(request.loop),
    fadeInMs: check.number(request.fadeInMs, 'fadeInMs', 0, 0, MAX_MS),
    fadeOutMs: check.number(request.fadeOutMs, 'fadeOutMs', 0, 0, MAX_FADE_OUT_MS),
    signal: check.signal(request.signal, 'signal')
  }
}

function moveRequest(request) {
  object(request, 'moveAudio', ['requestId', 'position'])
  return {
    requestId: check.id(request.requestId ?? null, 'requestId'),
    position: check.integer(request.position ?? null, 'position', undefined, 1, 100000)
  }
}

function interruptRequest(request = {}) {
  object(request, 'interrupt', ['keep', 'reason'])
  const { keep = [] } = request
  if (!Array.isArray(keep)) throw refuse('an array of roles', 'keep', keep)
  return {
    keep: keep.map((role) => check.choice(role, 'keep', ROLES)),
    reason: check.text(request.reason, 'reason', 'interrupted')
  }
}

function connectOptions(options = {}) {
  const { signal } = object(options, 'connect', ['signal'])
  return { signal: check.signal(signal, 'signal') }
}

function duration(ms) {
  return check.number(ms ?? null, 'advance', undefined, 0, MAX_MS)
}

module.exports = { playRequest, streamRequest, moveRequest, interruptRequest, connectOptions, duration }
