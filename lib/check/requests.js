'use strict'

// Validates what is to be played, moved or interrupted, and fills in the defaults.

const { validateHeaderName, validateHeaderValue } = require('node:http')
const { fileURLToPath } = require('node:url')

const { bodyOf } = require('../body')
const { isClip } = require('../clip')
const { readDataUrl } = require('../data-url')
const { isVoice } = require('../voice')
const { refuse, refuseSecret, refuseUrl } = require('../error')
const { readable } = require('./permission')
const { MAX_MS, OVERLAPS, ROLES, check, fetchLimits, loudness, network, object } = require('./values')

/** Requires two letters, so that `C:\clip.wav` is a path. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

/** Returns `{ url }`, `{ path }`, or what is in a `data:` URL: `{ audio, contentType }`. */
function place(audioUrl) {
  const url = audioUrl instanceof URL ? audioUrl.href : check.text(audioUrl, 'audioUrl')
  const scheme = SCHEME.exec(url)?.[1].toLowerCase()
  const expected = 'an http(s) URL, a data: URL, a file: URL or a path'
  if (scheme === undefined) return { path: readable(url, 'audioUrl') }
  if (scheme === 'data') {
    const data = readDataUrl(url, 'audioUrl')
    if (!data) throw refuse('a data: URL with a comma, and sound base64 if that is said', 'audioUrl', 'data:…')
    return data
  }
  if (!['http', 'https', 'file'].includes(scheme) || !URL.canParse(url)) throw refuseUrl(expected, 'audioUrl', url)
  if (scheme !== 'file') return { url: new URL(url).href }
  let file
  try {
    file = fileURLToPath(url)
  } catch {
    throw refuseUrl(expected, 'audioUrl', url)
  }
  return { path: readable(file, 'audioUrl') }
}

/** Header names and values as HTTP allows them. What is wrong with one is told without its value, for that is secret. */
function headerPairs(headers) {
  if (headers === undefined) return []
  if (typeof headers !== 'object' || headers === null) throw refuseSecret('an object of strings', 'headers', headers)
  return Object.entries(headers).map(([name, value]) => [headerName(name), headerValue(name, value)])
}

function headerName(name) {
  try {
    validateHeaderName(name)
  } catch {
    throw refuseSecret('names that HTTP allows', 'headers', name)
  }
  return name
}

/** Blanks around a value are no part of it (RFC 9110, 5.5). */
function headerValue(name, value) {
  if (typeof value !== 'string' && typeof value !== 'number') throw refuseSecret('a string', `headers['${name}']`, value)
  const text = String(value).replace(/^[ \t]+|[ \t]+$/g, '')
  try {
    validateHeaderValue(name, text)
  } catch {
    throw refuseSecret('characters that HTTP allows', `headers['${name}']`, value)
  }
  return text
}

/** Options of every playback. */
const PLAYBACK = [
  'requestId', 'group', 'context', 'volume', 'gain', 'stopOther', 'overlap', 'trackId', 'role', 'priority', 'queueTimeoutMs', 'fadeInMs', 'loudness', 'signal'
]

/** Options for the part of the source that is played. */
const SECTION = ['startMs', 'durationMs', 'fadeOutMs']

/** All options of playAudio for a file. */
const PLAY = [...PLAYBACK, ...SECTION, 'audioUrl', 'audio', 'loop', 'headers', 'contentType']

/** Options of createStream, and of playAudio with a Readable or AsyncIterable. */
const WRITTEN = ['format', 'sampleRate', 'channels', 'stallTimeoutMs', 'prebufferMs']

/** Options of a clip. */
const CLIP_OPTIONS = ['audioUrl', 'audio', 'headers', 'contentType', 'fetchTimeoutMs', 'minFetchBytesPerSecond', 'network', 'signal']

const PLAY_OPTIONS = [...PLAY, ...WRITTEN]
const STREAM_OPTIONS = [...PLAYBACK, ...SECTION, ...WRITTEN]

/** Limited because the end of the sound is held in memory for as long as the fade. */
const MAX_FADE_OUT_MS = 10_000
const MAX_LOOP = 1_000_000

/** Two frames wait before anything is played. */
const MIN_PREBUFFER_MS = 40
/** What is gathered is held in memory. */
const MAX_PREBUFFER_MS = 5_000

/** Formats of raw samples; those of telephones have one rate. */
const RAW_FORMATS = ['pcm16', 'f32', 'mulaw', 'alaw', 'g722']
const TELEPHONE_RATES = { mulaw: 8000, alaw: 8000, g722: 16000 }
const STREAM_FORMATS = [...RAW_FORMATS, 'mp3', 'ogg', 'wav', 'flac', 'aac', 'm4a', 'webm']

/** Returns how many times the source is played; undefined means for ever. */
function passes(loop = false) {
  if (typeof loop === 'boolean') return loop ? undefined : 1
  const fits = Number.isInteger(loop) && loop >= 1 && loop <= MAX_LOOP
  if (!fits) throw refuse(`a boolean or an integer from 1 to ${MAX_LOOP}`, 'loop', loop)
  return loop
}

/** Validates how much is gathered before a stream is played: as much always, or between two bounds. */
function prebuffer(value = MIN_PREBUFFER_MS) {
  if (typeof value !== 'object') {
    const ms = check.number(value, 'prebufferMs', undefined, MIN_PREBUFFER_MS, MAX_PREBUFFER_MS)
    return { minMs: ms, maxMs: ms }
  }
  const { minMs, maxMs } = object(value, 'prebufferMs', ['minMs', 'maxMs'])
  const least = check.number(minMs, 'prebufferMs.minMs', MIN_PREBUFFER_MS, MIN_PREBUFFER_MS, MAX_PREBUFFER_MS)
  return { minMs: least, maxMs: check.number(maxMs, 'prebufferMs.maxMs', Math.max(least, 500), least, MAX_PREBUFFER_MS) }
}

/** Validates the format of a stream. `more` tells the addon that bytes follow without a pause until the end. */
function encoding({ format, sampleRate, channels }, more) {
  check.oneOf(format, 'format', undefined, STREAM_FORMATS)
  if (!RAW_FORMATS.includes(format)) {
    if (sampleRate !== undefined) throw refuse('a format of raw samples beside it', 'sampleRate', format)
    if (channels !== undefined) throw refuse('a format of raw samples beside it', 'channels', format)
    return { format, sampleRate: 0, channels: 0, more }
  }
  const known = TELEPHONE_RATES[format]
  if (sampleRate === undefined && !known) throw refuse(`the sample rate of '${format}'`, 'sampleRate', undefined)
  const rate = check.integer(sampleRate, 'sampleRate', known, 8000, 192000)
  if (known && rate !== known) throw refuse(`${known} beside format '${format}'`, 'sampleRate', rate)
  return {
    format,
    sampleRate: rate,
    channels: check.integer(channels, 'channels', 1, 1, format === 'g722' ? 1 : 2),
    more
  }
}

function playRequest(request) {
  object(request, 'playAudio', PLAY_OPTIONS)
  const { audioUrl, audio } = request
  oneSource(request, 'playAudio')
  const given = audio === undefined ? undefined : bytes(request)
  const needless = WRITTEN.find((key) => request[key] !== undefined)
  if (needless !== undefined && !given?.body) {
    throw refuse('a Readable or AsyncIterable as audio beside it', needless, request[needless])
  }
  const checked = playback(request)
  checked.headers = headerPairs(request.headers)
  return { ...checked, ...(given ?? place(audioUrl)), ...contentType(request) }
}

/** Of a source that says itself what it is, what its user says counts. */
function contentType(request) {
  const contentType = check.text(request.contentType, 'contentType', undefined)
  return contentType && { contentType }
}

function oneSource({ audioUrl, audio }, argument) {
  if ((audioUrl === undefined) !== (audio === undefined)) return
  throw refuse('either audioUrl or audio', argument, audio === undefined ? undefined : 'both')
}

function clipRequest(source) {
  return wholeSource(object(source, 'clip', CLIP_OPTIONS), 'clip')
}

/** What is probed may be named without an object around it. */
function probeRequest(source, options = {}) {
  const named = typeof source === 'string' || source instanceof URL ? { audioUrl: source } : source
  const { loudness } = object(options, 'probe', ['loudness'])
  return {
    ...wholeSource(object(named, 'probe', CLIP_OPTIONS), 'probe'),
    loudness: check.boolean(loudness, 'loudness', false)
  }
}

/** Validates a source that is read by itself and not for a session. */
function wholeSource(source, call) {
  const { audioUrl, audio } = source
  oneSource(source, call)
  return {
    headers: headerPairs(source.headers),
    ...fetchLimits(source),
    network: network(source.network, 'network'),
    signal: check.signal(source.signal, 'signal'),
    ...(audio === undefined ? place(audioUrl) : whole(audio)),
    ...contentType(source)
  }
}

/** A file in memory, or what it is read from before anything is made of it: `{ body }`. */
function whole(audio) {
  if (audio instanceof Uint8Array) return { audio }
  const given = bodyOf(audio)
  if (!given) throw refuse('a Buffer, Uint8Array, Blob, Response, Readable or AsyncIterable', 'audio', audio)
  return given
}

function bytes(request) {
  const { audio } = request
  if (isClip(audio)) return { clip: audio }
  if (isVoice(audio)) return voice(request)
  if (audio instanceof Uint8Array) return { audio }
  const given = bodyOf(audio)
  if (!given) throw refuse('a Buffer, Uint8Array, Blob, Response, clip, voice, Readable or AsyncIterable', 'audio', audio)
  if (passes(request.loop) !== 1) throw refuse('audio that can be read again beside it', 'loop', request.loop)
  return { ...written(request, true), ...given }
}

/** A voice is what it is, and has neither a start nor an end to count from. */
function voice(request) {
  const needless = [...SECTION, ...WRITTEN, 'loop', 'loudness', 'headers', 'contentType'].find((key) => request[key] !== undefined)
  if (needless !== undefined) throw refuse('audio that is no voice beside it', needless, request[needless])
  return { voice: request.audio }
}

function streamRequest(request) {
  object(request, 'createStream', STREAM_OPTIONS)
  return { ...written(request, false), ...playback(request), headers: [] }
}

function written(request, more) {
  return {
    encoding: { ...encoding(request, more), prebufferMs: prebuffer(request.prebufferMs) },
    stallTimeoutMs: check.number(request.stallTimeoutMs, 'stallTimeoutMs', undefined, 0, MAX_MS)
  }
}

function playback(request) {
  const volume = check.number(request.volume, 'volume', 1, 0, 1)
  return {
    requestId: check.id(request.requestId, 'requestId', undefined),
    group: check.id(request.group, 'group', undefined),
    context: request.context,
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
    loudness: loudness(request.loudness, 'loudness'),
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
  object(request, 'interrupt', ['keep', 'reason', 'fadeOutMs', 'afterMs'])
  const { keep = [] } = request
  if (!Array.isArray(keep)) throw refuse('an array of roles', 'keep', keep)
  return {
    keep: keep.map((role) => check.choice(role, 'keep', ROLES)),
    reason: check.text(request.reason, 'reason', 'interrupted'),
    fadeOutMs: check.number(request.fadeOutMs, 'fadeOutMs', 5, 0, MAX_MS),
    afterMs: check.number(request.afterMs, 'afterMs', 0, 0, MAX_MS)
  }
}

function connectOptions(options = {}) {
  const { signal } = object(options, 'connect', ['signal'])
  return { signal: check.signal(signal, 'signal') }
}

/** Validates how a session is closed. */
function closeOptions(options = {}) {
  const { drain, withinMs } = object(options, 'close', ['drain', 'withinMs'])
  const drains = check.boolean(drain, 'drain', false)
  if (withinMs !== undefined && !drains) throw refuse('drain: true beside it', 'withinMs', withinMs)
  return { drains, withinMs: check.number(withinMs, 'withinMs', 30000, 1, MAX_MS) }
}

function duration(ms) {
  return check.number(ms ?? null, 'advance', undefined, 0, MAX_MS)
}

module.exports = {
  playRequest, clipRequest, probeRequest, streamRequest, moveRequest, interruptRequest, connectOptions, closeOptions, duration
}
