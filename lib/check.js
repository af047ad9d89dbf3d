'use strict'

// Turns what the user gives into what the addon takes.

const { fileURLToPath } = require('node:url')

const { refuse } = require('./error')

const MAX_MS = 24 * 3600 * 1000

function object(value, argument, known) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('an object', argument, value)
  const unknown = Object.keys(value).find((key) => value[key] !== undefined && !known.includes(key))
  if (unknown !== undefined) throw refuse(`only ${known.join(', ')}`, `the options of ${argument}`, unknown)
  return value
}

/** Each of these takes (value, argument, …) and gives the value, or the default (if it takes one) where there is none. */
const check = {
  number(value, argument, fallback, min, max) {
    if (value === undefined) return fallback
    const fits = typeof value === 'number' && value >= min && value <= max
    if (!fits) throw refuse(`a number from ${min} to ${max}`, argument, value)
    return value
  },
  integer(value, argument, fallback, min, max) {
    if (value === undefined) return fallback
    const fits = Number.isInteger(value) && value >= min && value <= max
    if (!fits) throw refuse(`an integer from ${min} to ${max}`, argument, value)
    return value
  },
  boolean(value, argument, fallback) {
    if (value === undefined) return fallback
    if (typeof value !== 'boolean') throw refuse('a boolean', argument, value)
    return value
  },
  oneOf(value, argument, fallback, values) {
    return value === undefined ? fallback : check.choice(value, argument, values)
  },
  choice(value, argument, values) {
    if (!values.includes(value)) throw refuse(`one of ${values.map((name) => `'${name}'`).join(', ')}`, argument, value)
    return value
  },
  text(value, argument, fallback) {
    if (value === undefined) return fallback
    if (typeof value !== 'string' || value === '') throw refuse('a non-empty string', argument, value)
    return value
  }
}

const OUTPUTS = {
  wav: { known: ['type', 'clock', 'channels', 'path', 'format'], format: 's16' },
  pcm: { known: ['type', 'clock', 'channels', 'format', 'sampleRate', 'frameMs', 'onFrame'], format: 's16' },
  memory: { known: ['type', 'clock', 'channels'], format: 'f32' },
  livekit: { known: ['type', 'channels', 'url', 'token', 'bitrate', 'complexity', 'connectTimeoutMs'], format: 'f32' }
}

function outputOptions(output) {
  if (typeof output !== 'object' || output === null) throw refuse('an object', 'output', output)
  const type = check.choice(output.type, 'output.type', Object.keys(OUTPUTS))
  const { known, format } = OUTPUTS[type]
  object(output, 'output', known)
  if (type === 'pcm' && typeof output.onFrame !== 'function') throw refuse('a function', 'output.onFrame', output.onFrame)
  if (type === 'wav' && output.path === undefined) throw refuse('a non-empty string', 'output.path', undefined)
  if (type === 'livekit') roomOptions(output)
  const sampleRate = check.integer(output.sampleRate, 'output.sampleRate', 48000, 8000, 192000)
  const frameMs = check.integer(output.frameMs, 'output.frameMs', 20, 10, 100)
  if ((sampleRate * frameMs) % 1000 !== 0) {
    throw refuse(`a length that is a whole number of samples at ${sampleRate} Hz`, 'output.frameMs', frameMs)
  }
  return {
    type,
    clock: check.oneOf(output.clock, 'output.clock', 'realtime', ['realtime', 'manual']),
    channels: check.integer(output.channels, 'output.channels', 1, 1, 2),
    format: check.oneOf(output.format, 'output.format', format, ['s16', 'f32']),
    path: check.text(output.path, 'output.path', undefined),
    sampleRate,
    frameMs,
    url: output.url,
    bitrate: check.integer(output.bitrate, 'output.bitrate', 64000, 6000, 510000),
    complexity: check.integer(output.complexity, 'output.complexity', 5, 0, 10),
    connectTimeoutMs: check.number(output.connectTimeoutMs, 'output.connectTimeoutMs', 10000, 1, MAX_MS)
  }
}

function roomOptions({ url, token }) {
  if (typeof url !== 'string' || !/^(ws|http)s?:/.test(url) || !URL.canParse(url)) {
    throw refuse('a ws(s) or http(s) URL', 'output.url', url)
  }
  if (typeof token !== 'function') check.text(token ?? null, 'output.token')
}

const SESSION = [
  'output', 'overlap', 'maxConcurrent', 'maxQueued', 'maxDurationMs', 'gain', 'progressIntervalMs', 'fetchTimeoutMs'
]

function sessionOptions(options) {
  object(options, 'SpeakerSession', SESSION)
  return {
    output: outputOptions(options.output),
    overlap: check.oneOf(options.overlap, 'overlap', 'mix', ['mix', 'queue', 'replace']),
    maxConcurrent: check.integer(options.maxConcurrent, 'maxConcurrent', 10, 1, 1000),
    maxQueued: check.integer(options.maxQueued, 'maxQueued', 100, 0, 100000),
    maxDurationMs: check.number(options.maxDurationMs, 'maxDurationMs', 5 * 60 * 1000, 1, MAX_MS),
    gain: check.number(options.gain, 'gain', 1, 0, 16),
    progressIntervalMs: check.number(options.progressIntervalMs, 'progressIntervalMs', 1000, 0, MAX_MS),
    fetchTimeoutMs: check.number(options.fetchTimeoutMs, 'fetchTimeoutMs', 10000, 1, MAX_MS)
  }
}

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

const PLAY = [
  'requestId', 'audioUrl', 'audio', 'volume', 'gain', 'stopOther', 'trackId', 'fadeInMs', 'headers', 'contentType'
]

function playRequest(request) {
  object(request, 'playAudio', PLAY)
  const { audioUrl, audio } = request
  if ((audioUrl === undefined) === (audio === undefined)) {
    throw refuse('either audioUrl or audio', 'playAudio', audio === undefined ? undefined : 'both')
  }
  if (audio !== undefined && !(audio instanceof Uint8Array)) throw refuse('a Buffer or Uint8Array', 'audio', audio)
  const volume = check.number(request.volume, 'volume', 1, 0, 1)
  return {
    ...(audio === undefined ? place(audioUrl) : { audio }),
    requestId: check.text(request.requestId, 'requestId', undefined),
    trackId: check.integer(request.trackId, 'trackId', 0, 0, 0xffff),
    stopOther: check.boolean(request.stopOther, 'stopOther', true),
    gain: volume * check.number(request.gain, 'gain', 1, 0, 16),
    fadeInMs: check.number(request.fadeInMs, 'fadeInMs', 0, 0, MAX_MS),
    headers: headerPairs(request.headers),
    contentType: check.text(request.contentType, 'contentType', undefined)
  }
}

function stopRequest(target = {}) {
  object(target, 'stopAudio', ['requestId', 'trackId', 'reason', 'fadeOutMs'])
  if (target.requestId !== undefined && target.trackId !== undefined) {
    throw refuse('requestId or trackId, not both', 'stopAudio', target)
  }
  return {
    requestId: check.text(target.requestId, 'requestId', undefined),
    trackId: check.integer(target.trackId, 'trackId', undefined, 0, 0xffff),
    reason: check.text(target.reason, 'reason', 'stopped'),
    fadeOutMs: check.number(target.fadeOutMs, 'fadeOutMs', 5, 0, MAX_MS)
  }
}

function duration(ms) {
  return check.number(ms ?? null, 'advance', undefined, 0, MAX_MS)
}

module.exports = { sessionOptions, playRequest, stopRequest, duration }
