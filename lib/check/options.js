'use strict'

// Validates the options of a session, its output and its taps, and those of the process.

const { types } = require('node:util')

const { invalidArgument, invalidSecret, invalidUrl } = require('../error')
const { writable } = require('./permission')
const { attributes: participantAttributes } = require('./targets')
const { MAX_MS, OVERLAPS, REQUIRED, check, filePath, object, fetchLimits, isUrl, loudness, network } = require('./values')

/** The options of encoded outputs. */
const ENCODED = ['codec', 'bitrate', 'burstMs', 'chunkMs']

const OUTPUTS = {
  wav: { known: ['type', 'clock', 'channels', 'path', 'format', 'dither', 'keepUnheard'], format: 's16' },
  pcm: { known: ['type', 'clock', 'channels', 'format', 'dither', 'sampleRate', 'frameMs', 'continuous', 'onFrame'], format: 's16' },
  memory: { known: ['type', 'clock', 'channels'], format: 'f32' },
  stream: { known: ['type', 'clock', 'channels', ...ENCODED], format: 'f32' },
  http: { known: ['type', 'clock', 'channels', ...ENCODED, 'host', 'port', 'path'], format: 'f32' },
  none: { known: ['type', 'clock', 'channels'], format: 'f32' },
  livekit: {
    known: [
      'type', 'channels', 'url', 'token', 'publish', 'trackNames', 'trackSources', 'bitrate', 'complexity', 'dtx', 'red', 'encodeOnce',
      'iceTransport', 'connectTimeoutMs', 'onReconnect', 'onMute', 'startWhen', 'subscribeTimeoutMs', 'lingerMs'
    ],
    format: 'f32'
  }
}

/** Formats of telephone lines (ITU-T G.711), which have one rate. */
const G711 = ['mulaw', 'alaw']

/** The default bitrates, in bit/s, in mono and in stereo: of a room, and of each codec of an encoded output. */
const BITRATES = { room: [48000, 64000], opus: [64000, 96000], mp3: [128000, 192000], wav: [0, 0] }

function outputOptions(output) {
  if (typeof output !== 'object' || output === null) throw invalidArgument('an object', 'output', output)
  const type = check.choice(output.type, 'output.type', Object.keys(OUTPUTS))
  const { known, format } = OUTPUTS[type]
  object(output, 'output', known)
  if (type === 'pcm' && typeof output.onFrame !== 'function') throw invalidArgument('a function', 'output.onFrame', output.onFrame)
  if (type === 'wav' && output.path === undefined) throw invalidArgument('a path or a file: URL', 'output.path', undefined)
  if (type === 'livekit') roomOptions(output)
  if (type === 'stream' || type === 'http') encodedOptions(output)
  const written = frames(output, 'output.', { format, channels: 1 })
  return {
    type,
    clock: check.oneOf(output.clock, 'output.clock', 'realtime', ['realtime', 'manual']),
    path: type === 'wav' ? writable(filePath(output.path, 'output.path', undefined), 'output.path') : undefined,
    server: type === 'http' ? serverOptions(output) : undefined,
    codec: output.codec,
    burstMs: check.number(output.burstMs, 'output.burstMs', 500, 0, 5000),
    chunkMs: check.integer(output.chunkMs, 'output.chunkMs', 100, 20, 500),
    keepUnheard: check.boolean(output.keepUnheard, 'output.keepUnheard', true),
    continuous: check.boolean(output.continuous, 'output.continuous', false),
    ...written,
    url: output.url,
    bitrate: check.integer(output.bitrate, 'output.bitrate', BITRATES[output.codec ?? 'room'][written.channels - 1], 6000, 510000),
    complexity: check.integer(output.complexity, 'output.complexity', 5, 0, 10),
    dtx: check.boolean(output.dtx, 'output.dtx', false),
    red: check.boolean(output.red, 'output.red', written.channels === 1),
    encodeOnce: check.boolean(output.encodeOnce, 'output.encodeOnce', true),
    iceTransport: check.oneOf(output.iceTransport, 'output.iceTransport', 'all', ['all', 'tcp', 'relay']),
    connectTimeoutMs: check.number(output.connectTimeoutMs, 'output.connectTimeoutMs', 10000, 1, MAX_MS),
    onReconnect: check.oneOf(output.onReconnect, 'output.onReconnect', 'pause', ['pause', 'continue', 'drop']),
    onMute: check.oneOf(output.onMute, 'output.onMute', 'continue', ['continue', 'pause']),
    startWhen: check.oneOf(output.startWhen, 'output.startWhen', 'subscribed', ['published', 'subscribed']),
    subscribeTimeoutMs: check.number(output.subscribeTimeoutMs, 'output.subscribeTimeoutMs', 2000, 0, MAX_MS),
    lingerMs: check.number(output.lingerMs, 'output.lingerMs', 500, 0, 10000),
    tracks: tracks(output)
  }
}

function encodedOptions({ codec, bitrate, chunkMs }) {
  check.choice(codec, 'output.codec', ['opus', 'mp3', 'wav'])
  if (codec === 'wav' && bitrate !== undefined) throw invalidArgument(`codec 'opus' or 'mp3' beside it`, 'output.bitrate', bitrate)
  if (Number.isInteger(chunkMs) && chunkMs % 20 !== 0) throw invalidArgument('a multiple of 20', 'output.chunkMs', chunkMs)
}

/** Validates where an output is served. */
function serverOptions({ host, port, path }) {
  const served = check.text(path, 'output.path', '/')
  // As it stands in a request: RFC 3986 §3.3.
  if (!/^\/(?:[\w.~!$&'()*+,;=:@/-]|%[\da-f]{2})*$/i.test(served)) throw invalidArgument('a path of a URL, which begins with /', 'output.path', path)
  return {
    host: check.text(host, 'output.host', '127.0.0.1'),
    port: check.integer(port, 'output.port', 0, 0, 0xffff),
    path: served
  }
}

/** Validates format, rate, channels and length of frames; `format` and `channels` are the defaults. */
function frames(options, prefix, { format, channels }) {
  const sampleFormat = check.oneOf(options.format, `${prefix}format`, format, ['s16', 'f32', ...G711])
  const isG711 = G711.includes(sampleFormat)
  const sampleRate = check.integer(options.sampleRate, `${prefix}sampleRate`, isG711 ? 8000 : 48000, 8000, 192000)
  if (isG711 && sampleRate !== 8000) throw invalidArgument(`8000 beside format '${sampleFormat}'`, `${prefix}sampleRate`, sampleRate)
  const frameMs = check.integer(options.frameMs, `${prefix}frameMs`, 20, 10, 100)
  if ((sampleRate * frameMs) % 1000 !== 0) {
    throw invalidArgument(`a length that is a whole number of samples at ${sampleRate} Hz`, `${prefix}frameMs`, frameMs)
  }
  const dither = check.boolean(options.dither, `${prefix}dither`, false)
  if (dither && sampleFormat !== 's16') throw invalidArgument(`format 's16' beside it`, `${prefix}dither`, sampleFormat)
  return {
    format: sampleFormat,
    dither,
    sampleRate,
    channels: check.integer(options.channels, `${prefix}channels`, channels, 1, 2),
    frameMs
  }
}

/** The options of frames that are read. */
const FRAMES = ['format', 'dither', 'sampleRate', 'channels', 'frameMs']

/** Validates the options of a tap; `channels` are the session's, the default. */
function tapOptions(options = {}, channels) {
  object(options, 'tap', ['trackId', 'requestId', ...FRAMES])
  const { trackId, requestId } = options
  const lost = ['trackId', 'requestId'].find((name) => options[name] === undefined && name in options)
  if (lost) throw invalidArgument(lost === 'trackId' ? 'an integer from 0 to 65535' : 'a non-empty string', lost, undefined, `without ${lost} all is tapped`)
  if (trackId !== undefined && requestId !== undefined) throw invalidArgument('either trackId or requestId', 'tap', options)
  return {
    ...frames(options, '', { format: 's16', channels }),
    trackId: check.integer(trackId, 'trackId', undefined, 0, 0xffff),
    requestId: check.id(requestId, 'requestId', undefined)
  }
}

/** Validates the options of `listen`: the participant and the format of the frames. */
function listenOptions(options) {
  const { identity, trackName } = object(options, 'listen', ['identity', 'trackName', ...FRAMES])
  return {
    frames: frames(options, '', { format: 's16', channels: 1 }),
    identity: check.id(identity, 'identity', REQUIRED),
    track: check.id(trackName, 'trackName', undefined)
  }
}

const ROOM_FROM_ENV = ['room', 'identity', 'name', 'kind', 'attributes']
const KINDS = ['standard', 'agent', 'sip', 'ingress', 'egress', 'connector', 'bridge']

/** Validates the options of a LiveKit output. */
function roomFromEnv(options) {
  const known = OUTPUTS.livekit.known.filter((name) => !['type', 'url', 'token'].includes(name))
  const { room, identity, name, kind, attributes, ...output } = object(options, 'liveKitFromEnv', [...ROOM_FROM_ENV, ...known])
  return {
    room: check.id(room, 'room', REQUIRED),
    identity: check.id(identity, 'identity', REQUIRED),
    participant: {
      name: check.id(name, 'name', undefined),
      kind: check.oneOf(kind, 'kind', undefined, KINDS),
      attributes: attributes === undefined ? undefined : participantAttributes(attributes)
    },
    output
  }
}

function roomOptions({ url, token }) {
  if (typeof url !== 'string' || !/^(ws|http)s?:/.test(url) || !URL.canParse(url)) {
    throw invalidUrl('a ws(s) or http(s) URL', 'output.url', url)
  }
  const isToken = typeof token === 'function' || (typeof token === 'string' && token !== '')
  if (!isToken) throw invalidSecret('a non-empty string or a function', 'output.token', token)
}

/** The tracks that `publish: 'connect'` publishes besides those with a name of their own. */
const USUAL_TRACKS = [0, 1, 2]

/** Validates what is known of tracks before anything plays on them. */
function tracks({ publish, trackNames, trackSources }) {
  // A revoked proxy throws even for this.
  const isList = !types.isProxy(publish) && Array.isArray(publish)
  const listed = isList ? Array.from(publish, (id) => check.integer(id, 'a track of output.publish', REQUIRED, 0, 0xffff)) : []
  const all = !isList && check.oneOf(publish, 'output.publish', 'connect', ['lazy', 'connect']) === 'connect'
  const names = byTrack(trackNames, 'output.trackNames', (name, field) => check.text(name, field, REQUIRED))
  const sources = byTrack(trackSources, 'output.trackSources', (source, field) => {
    return check.choice(source, field, ['microphone', 'screenShareAudio', 'unknown'])
  })
  return [...new Set([...USUAL_TRACKS, ...names.keys(), ...sources.keys(), ...listed])].map((trackId) => {
    return {
      trackId,
      name: names.get(trackId),
      source: sources.get(trackId) ?? 'microphone',
      publishAtOnce: all || listed.includes(trackId)
    }
  })
}

/** Validates an object whose keys are numbers of tracks. Returns a Map of its values, each as `valid` returns it. */
function byTrack(values = {}, field, valid) {
  if (typeof values !== 'object' || values === null) throw invalidArgument('an object', field, values)
  return new Map((types.isMap(values) ? [...values] : Object.entries(values)).map(([key, value]) => {
    const trackId = check.integer(Number(key), `a key of ${field}`, undefined, 0, 0xffff)
    return [trackId, valid(value, `${field}[${key}]`)]
  }))
}

function duckOptions(duck) {
  if (duck === undefined) return undefined
  object(duck, 'duck', ['db', 'attackMs', 'releaseMs'])
  return {
    db: check.number(duck.db, 'duck.db', -12, -60, 0),
    attackMs: check.number(duck.attackMs, 'duck.attackMs', 50, 5, 60000),
    releaseMs: check.number(duck.releaseMs, 'duck.releaseMs', 300, 5, 60000)
  }
}

function isPlain(value) {
  return [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

/** One rule for all tracks, or a rule by track and a `default`. */
function overlapOptions(overlap = 'mix') {
  if (typeof overlap !== 'object' || overlap === null || !isPlain(overlap)) {
    return { overlap: check.choice(overlap, 'overlap', OVERLAPS), trackOverlap: [] }
  }
  const { default: rule = 'mix', ...tracks } = overlap
  return {
    overlap: check.choice(rule, 'overlap.default', OVERLAPS),
    trackOverlap: Object.entries(tracks).map(([key, value]) => {
      const number = Number(key)
      // In canonical form, or '2' and ' 2' would be two rules for one track.
      const trackId = check.integer(String(number) === key ? number : key, 'a key of overlap', undefined, 0, 0xffff)
      return { trackId, overlap: check.choice(value, `overlap[${key}]`, OVERLAPS) }
    })
  }
}

const SESSION_OPTIONS = [
  'output', 'overlap', 'onDuplicate', 'maxConcurrent', 'maxQueued', 'queueTimeoutMs', 'crossfadeMs', 'maxDurationMs', 'duck',
  'gain', 'progressIntervalMs', 'fetchTimeoutMs', 'minFetchBytesPerSecond', 'startTimeoutMs', 'stallTimeoutMs',
  'loudness', 'network', 'record', 'logger'
]

/** Validates the options of a session and fills in the defaults. */
function sessionOptions(options) {
  object(options, 'SpeakerSession', SESSION_OPTIONS)
  return {
    output: outputOptions(options.output),
    ...overlapOptions(options.overlap),
    onDuplicate: check.oneOf(options.onDuplicate, 'onDuplicate', 'fail', ['fail', 'join', 'replace']),
    maxConcurrent: check.integer(options.maxConcurrent, 'maxConcurrent', 10, 1, 1000),
    maxQueued: check.integer(options.maxQueued, 'maxQueued', 100, 0, 100000),
    queueTimeoutMs: check.number(options.queueTimeoutMs, 'queueTimeoutMs', 0, 0, MAX_MS),
    crossfadeMs: check.number(options.crossfadeMs, 'crossfadeMs', 0, 0, 10000),
    maxDurationMs: check.number(options.maxDurationMs, 'maxDurationMs', 5 * 60 * 1000, 1, MAX_MS),
    duck: duckOptions(options.duck),
    gain: check.number(options.gain, 'gain', 1, 0, 16),
    progressIntervalMs: check.number(options.progressIntervalMs, 'progressIntervalMs', 1000, 0, MAX_MS),
    ...fetchLimits(options),
    startTimeoutMs: check.number(options.startTimeoutMs, 'startTimeoutMs', 30000, 0, MAX_MS),
    stallTimeoutMs: check.number(options.stallTimeoutMs, 'stallTimeoutMs', 0, 0, MAX_MS),
    loudness: loudness(options.loudness, 'loudness'),
    network: network(options.network, 'network'),
    ...recordOptions(options.record),
    logger: logger(options.logger)
  }
}

/** Validates a logger: an object with a method for each level, like pino and `console`. Without `trace` those lines are `debug`. */
function logger(value) {
  if (value === undefined) return undefined
  const fits = (typeof value === 'object' || typeof value === 'function') && ['debug', 'info', 'warn', 'error'].every((level) => typeof value?.[level] === 'function')
  if (!fits) throw invalidArgument('an object with the methods debug, info, warn and error', 'logger', value)
  return value
}

/** Validates `record`: a file, or `{ path, secrets }`. */
function recordOptions(record) {
  if (typeof record !== 'object' || record === null || isUrl(record)) {
    return { record: writable(filePath(record, 'record', undefined), 'record'), recordsSecrets: false }
  }
  const { path, secrets } = object(record, 'record', ['path', 'secrets'])
  return {
    record: writable(filePath(path, 'record.path', REQUIRED), 'record.path'),
    recordsSecrets: check.boolean(secrets, 'record.secrets', false)
  }
}

/** Validates the options of all sessions of the process; an option that is not given stays as it is. */
function processOptions(options) {
  object(options, 'configure', ['maxSpoolBytes', 'maxClipBytes', 'network', 'maxLoad', 'refuseOverload'])
  return {
    maxSpoolBytes: check.integer(options.maxSpoolBytes, 'maxSpoolBytes', undefined, 2 ** 20, 2 ** 40),
    maxClipBytes: check.integer(options.maxClipBytes, 'maxClipBytes', undefined, 0, 2 ** 40),
    network: network(options.network, 'network'),
    maxLoad: check.number(options.maxLoad, 'maxLoad', undefined, 0, 1),
    refusesOverload: check.boolean(options.refuseOverload, 'refuseOverload', undefined)
  }
}

/** Validates the options of the cache; an option that is not given stays as it is. */
function cacheOptions(options = {}) {
  object(options, 'cache', ['maxBytes'])
  return { maxBytes: check.integer(options.maxBytes, 'maxBytes', undefined, 0, 2 ** 40) }
}

/** Validates the environment's `network` rule: a word, or an object as JSON; undefined if there is none. */
function environmentNetwork() {
  const name = 'SPEAKER_SESSION_NETWORK'
  const text = process.env[name]?.trim()
  if (!text) return undefined
  let value = text
  if (text.startsWith('{')) {
    try {
      value = JSON.parse(text)
    } catch {
      throw invalidArgument(`'any', 'public' or an object as JSON`, name, text)
    }
  }
  return network(value, name)
}

module.exports = { SESSION_OPTIONS, cacheOptions, environmentNetwork, processOptions, roomFromEnv, sessionOptions, tapOptions, listenOptions }
