'use strict'

// Validates play, stream, clip, probe, move, interrupt and close requests, and fills in the defaults.

const { validateHeaderName, validateHeaderValue } = require('node:http')
const { fileURLToPath } = require('node:url')

const { bodyOf } = require('../body')
const { bytesOf, isBytes } = require('../bytes')
const { isClip } = require('../clip')
const { readDataUrl } = require('../data-url')
const { isVoice } = require('../voice')
const { wavHeader } = require('../wav-header')
const { invalidArgument, invalidSecret, invalidUrl } = require('../error')
const { readable } = require('./permission')
const { MAX_MS, OVERLAPS, REQUIRED, ROLES, check, fetchLimits, isUrl, loudness, network, object } = require('./values')

/** Requires two letters, so that `C:\clip.wav` is a path. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

/** Returns `{ url }`, `{ path }`, or what is in a `data:` URL: `{ audio, contentType }`. */
function sourceAt(audioUrl) {
  const url = isUrl(audioUrl) ? audioUrl.href : check.text(audioUrl, 'audioUrl', REQUIRED)
  const scheme = SCHEME.exec(url)?.[1].toLowerCase()
  const expected = 'an http(s) URL, a data: URL, a file: URL or a path'
  // A protocol-relative URL (//host/path) as in web pages; there is no scheme here for it to inherit.
  if (/^\/\/[^/]/.test(url)) throw invalidArgument(expected, 'audioUrl', url, 'a URL needs its scheme, as https:')
  if (scheme === undefined) return { path: readable(url, 'audioUrl') }
  if (scheme === 'data') {
    const data = readDataUrl(url, 'audioUrl')
    if (!data) throw invalidArgument('a data: URL with a comma, and sound base64 if that is said', 'audioUrl', 'data:…')
    return data
  }
  if (!['http', 'https', 'file'].includes(scheme) || !URL.canParse(url)) throw invalidUrl(expected, 'audioUrl', url)
  if (scheme !== 'file') return { url: new URL(url).href }
  let file
  try {
    file = fileURLToPath(url)
  } catch {
    throw invalidUrl(expected, 'audioUrl', url)
  }
  return { path: readable(file, 'audioUrl') }
}

/**
 * Returns names and values of headers as HTTP allows them, from an object, a Headers, a Map or pairs; undefined values are left out, and values
 * of the same name are combined (RFC 9110, 5.3). An error does not show the value, because it is secret.
 */
function headerPairs(headers) {
  if (headers === undefined) return []
  const expected = 'an object of strings, a Headers, a Map or pairs'
  if (typeof headers !== 'object' || headers === null) throw invalidSecret(expected, 'headers', headers)
  const pairs = new Map()
  for (const pair of entriesOf(headers)) {
    if (pair?.length !== 2) throw invalidSecret(expected, 'headers', headers)
    const [name, value] = pair
    if (value === undefined) continue
    const key = headerName(name).toLowerCase()
    const [known, before] = pairs.get(key) ?? [name]
    const text = headerValue(name, value)
    pairs.set(key, [known, before === undefined ? text : `${before}, ${text}`])
  }
  return [...pairs.values()]
}

/** Returns the pairs of an object, or of an iterable; for one that throws, a pair that is invalid. */
function entriesOf(headers) {
  try {
    return typeof headers[Symbol.iterator] === 'function' ? Array.from(headers, (pair) => (Array.isArray(pair) ? [...pair] : undefined)) : Object.entries(headers)
  } catch {
    return [undefined]
  }
}

function headerName(name) {
  try {
    // Node's own check would put anything else into its message.
    if (typeof name !== 'string') throw name
    validateHeaderName(name)
  } catch {
    throw invalidSecret('names that HTTP allows', 'headers', name)
  }
  return name
}

/** Blanks around a value are not part of it (RFC 9110, 5.5). */
function headerValue(name, value) {
  if (typeof value !== 'string' && typeof value !== 'number') throw invalidSecret('a string', `headers['${name}']`, value)
  const text = String(value).replace(/^[ \t]+|[ \t]+$/g, '')
  try {
    validateHeaderValue(name, text)
  } catch {
    throw invalidSecret('characters that HTTP allows', `headers['${name}']`, value)
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

/** Options that describe bytes that don't describe themselves. */
const ENCODING = ['format', 'sampleRate', 'channels']

/** Options of a source that is written while it plays. */
const PACE = ['stallTimeoutMs', 'prebufferMs']

/** Options of createStream, and of playAudio with a source that yields its bytes piece by piece. */
const WRITTEN = [...ENCODING, ...PACE]

/** Options of a clip. */
const CLIP_OPTIONS = ['audioUrl', 'audio', ...ENCODING, 'headers', 'contentType', 'fetchTimeoutMs', 'minFetchBytesPerSecond', 'network', 'signal']

const PLAY_OPTIONS = [...PLAY, ...WRITTEN]
const STREAM_OPTIONS = [...PLAYBACK, ...SECTION, ...WRITTEN]

/** Limited because the end of the sound is held in memory for as long as the fade. */
const MAX_FADE_OUT_MS = 10_000
const MAX_LOOP = 1_000_000

/** Two frames are buffered before anything is played. */
const MIN_PREBUFFER_MS = 40
/** Limited because the buffered sound is held in memory. */
const MAX_PREBUFFER_MS = 5_000

/** Formats of raw samples; those of telephone lines have one rate. */
const RAW_FORMATS = ['pcm16', 'f32', 'mulaw', 'alaw', 'g722']
const TELEPHONE_RATES = { mulaw: 8000, alaw: 8000, g722: 16000 }
const STREAM_FORMATS = [...RAW_FORMATS, 'mp3', 'ogg', 'wav', 'flac', 'aac', 'm4a', 'webm']

/** Returns how many times the source is played; undefined means for ever. */
function passes(loop = false) {
  if (typeof loop === 'boolean') return loop ? undefined : 1
  const fits = Number.isInteger(loop) && loop >= 1 && loop <= MAX_LOOP
  if (!fits) throw invalidArgument(`a boolean or an integer from 1 to ${MAX_LOOP}`, 'loop', loop)
  return loop
}

/** Validates how much of a stream is buffered before it is played: a fixed amount, or between two bounds. */
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
    if (sampleRate !== undefined) throw invalidArgument('a format of raw samples beside it', 'sampleRate', format)
    if (channels !== undefined) throw invalidArgument('a format of raw samples beside it', 'channels', format)
    return { format, sampleRate: 0, channels: 0, more }
  }
  const known = TELEPHONE_RATES[format]
  if (sampleRate === undefined && !known) throw invalidArgument(`the sample rate of '${format}'`, 'sampleRate', undefined)
  const rate = check.integer(sampleRate, 'sampleRate', known, 8000, 192000)
  if (known && rate !== known) throw invalidArgument(`${known} beside format '${format}'`, 'sampleRate', rate)
  return {
    format,
    sampleRate: rate,
    channels: check.integer(channels, 'channels', 1, 1, format === 'g722' ? 1 : 2),
    more
  }
}

/** The kinds of `audio` that some options require, for error messages. */
const BYTES = 'bytes as audio beside it'
const PIECES = 'a Readable or another iterable as audio beside it'

function playRequest(request) {
  object(request, 'playAudio', PLAY_OPTIONS)
  const { audioUrl, audio } = request
  oneSource(request, 'playAudio')
  const given = audio === undefined ? undefined : bytes(request)
  const needless = (given ? PACE : WRITTEN).find((key) => request[key] !== undefined)
  if (needless !== undefined && !given?.body) throw invalidArgument(given ? PIECES : BYTES, needless, request[needless])
  const checked = playback(request)
  checked.headers = headerPairs(request.headers)
  return { ...checked, ...(given ?? sourceAt(audioUrl)), ...contentType(request) }
}

/** Validates the media type; the user's takes precedence over the one that the source states. */
function contentType(request) {
  const contentType = check.text(request.contentType, 'contentType', undefined)
  return contentType && { contentType }
}

function oneSource({ audioUrl, audio }, argument) {
  if ((audioUrl === undefined) !== (audio === undefined)) return
  throw invalidArgument('either audioUrl or audio', argument, audio === undefined ? undefined : 'both')
}

function clipRequest(source) {
  return wholeSource(object(source, 'clip', CLIP_OPTIONS), 'clip')
}

/** Validates a probe request; the source may be named without an object around it. */
function probeRequest(source, options = {}) {
  const named = typeof source === 'string' || isUrl(source) ? { audioUrl: source } : source
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
  const needless = audio === undefined && ENCODING.find((key) => source[key] !== undefined)
  if (needless) throw invalidArgument(BYTES, needless, source[needless])
  return {
    headers: headerPairs(source.headers),
    ...fetchLimits(source),
    network: network(source.network, 'network'),
    signal: check.signal(source.signal, 'signal'),
    ...(audio === undefined ? sourceAt(audioUrl) : whole(source)),
    ...contentType(source)
  }
}

/** Returns a file in memory, or the body it is read from: `{ body, file }`, where `file` makes a file of its bytes. */
function whole(source) {
  const { audio } = source
  const file = fileOf(source)
  if (isBytes(audio)) return { audio: file(audio) }
  const given = bodyOf(audio)
  if (!given) throw refuseAudio(BYTES_OR_PIECES, audio)
  return { ...given, file }
}

const BYTES_OR_PIECES = 'a Buffer, typed array, ArrayBuffer, Blob, Response, Readable or iterable of bytes'

/** Refuses text as audio: it may be a path or bytes, and neither is guessed. */
function refuseAudio(expected, audio) {
  const hint = `paths and URLs are audioUrl, and Buffer.from(text, 'base64') are the bytes of a text in base64`
  return invalidArgument(expected, 'audio', audio, typeof audio === 'string' ? hint : undefined)
}

/** Returns a function that makes a file of bytes: of raw samples a WAV file, which can be played again, sought and looped like any other. */
function fileOf(request) {
  const { format, sampleRate, channels } = encoding(request, false)
  if (!RAW_FORMATS.includes(format)) return (audio) => bytesOf(audio, 'audio')
  return (audio) => {
    const samples = bytesOf(audio, 'audio', format)
    return samples.length === 0 ? samples : Buffer.concat([wavHeader(samples.length, sampleRate, channels, format), samples])
  }
}

function bytes(request) {
  const { audio } = request
  if (isClip(audio)) return { clip: withoutEncoding(request).audio }
  if (isVoice(audio)) return voice(request)
  if (isBytes(audio)) return { audio: fileOf(request)(audio) }
  const given = bodyOf(audio)
  if (!given) throw refuseAudio(BYTES_OR_PIECES.replace('Blob', 'clip, voice, Blob'), audio)
  if (passes(request.loop) !== 1) throw invalidArgument('audio that can be read again beside it', 'loop', request.loop)
  return { ...written(request, true), ...given }
}

/** Refuses a format for a clip, which is decoded already. */
function withoutEncoding(request) {
  const needless = ENCODING.find((key) => request[key] !== undefined)
  if (needless) throw invalidArgument(BYTES, needless, request[needless])
  return request
}

/** Validates a voice as a source; it has a fixed format, and neither a start nor an end to count from. */
function voice(request) {
  const needless = [...SECTION, ...WRITTEN, 'loop', 'loudness', 'headers', 'contentType'].find((key) => request[key] !== undefined)
  if (needless !== undefined) throw invalidArgument('audio that is no voice beside it', needless, request[needless])
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
  object(request, 'moveAudio', ['requestId', 'queuePosition'])
  return {
    requestId: check.id(request.requestId, 'requestId', REQUIRED),
    queuePosition: check.integer(request.queuePosition, 'queuePosition', REQUIRED, 1, 100000)
  }
}

function interruptRequest(request = {}) {
  object(request, 'interrupt', ['keep', 'reason', 'fadeOutMs', 'afterMs'])
  const { keep = [] } = request
  if (!Array.isArray(keep)) throw invalidArgument('an array of roles', 'keep', keep)
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

/** Validates the options of `close`. */
function closeOptions(options = {}) {
  const { drain, withinMs } = object(options, 'close', ['drain', 'withinMs'])
  const drains = check.boolean(drain, 'drain', false)
  if (withinMs !== undefined && !drains) throw invalidArgument('drain: true beside it', 'withinMs', withinMs)
  return { drains, withinMs: check.number(withinMs, 'withinMs', 30000, 1, MAX_MS) }
}

function duration(ms) {
  return check.number(ms, 'advance', REQUIRED, 0, MAX_MS)
}

module.exports = {
  playRequest, clipRequest, probeRequest, streamRequest, moveRequest, interruptRequest, connectOptions, closeOptions, duration
}
