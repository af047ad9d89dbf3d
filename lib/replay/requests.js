'use strict'

// Lines of JSON → timed requests, each checked before anything plays.

const path = require('node:path')

const check = require('../check')
const { check: values } = require('../check/values')
const { SpeakerError, refuse } = require('../error')
const { CALLS } = require('./calls')
const { reader, words } = require('./dialects')

/** As far as every other time in this package reaches. */
const MAX_AT_MS = 24 * 3600 * 1000

const SKIPPED = /^\s*($|#|\/\/)/

/**
 * What a JSONL text asks for: `requests` in their order, `{ atMs, type, request }`, where `request` is what the call of that type
 * (see CALLS) takes; and the `options` of the session, if its first line says any, as a recording's does. Paths are relative
 * to `directory`; complaints name the line as `name:7`.
 */
function parseRequests(text, { name, directory }) {
  const parser = new Parser(directory)
  for (const [index, line] of text.split('\n').entries()) {
    if (SKIPPED.test(line)) continue
    try {
      parser.line(parseObject(line), index + 1)
    } catch (error) {
      if (error.code !== 'ERR_INVALID_ARGUMENT') throw error
      throw new SpeakerError(error.code, `${name}:${index + 1}: ${error.message}`)
    }
  }
  const { options = {}, requests } = parser
  return { options, requests }
}

class Parser {
  options
  requests = []
  #directory
  #timeOf = stopwatch()
  #streams = new Set()

  constructor(directory) {
    this.#directory = directory
  }

  line(fields, number) {
    if (fields.type === 'session') return this.#session(fields)
    const atMs = this.#timeOf(fields)
    const { type, request } = translate(fields)
    this.requests.push({ atMs, type, request: type === 'play' ? this.#play(request, number) : this.#other(type, request) })
  }

  #session({ type, ...options }) {
    if (this.options || this.requests.length > 0) throw refuse('the options of a session in the first line only', 'type', type)
    this.options = check.replayedOptions(options)
  }

  /** A checked play request with a name, that means the same from every working directory. */
  #play(request, number) {
    const { requestId = `line-${number}`, audio } = request
    const named = { ...request, requestId, ...(audio !== undefined && { audio: check.base64(audio) }) }
    const { path: file } = check.playRequest(named)
    return file === undefined ? named : { ...named, audioUrl: path.resolve(this.#directory, file) }
  }

  #other(type, request) {
    const { requestId } = CALLS[type].check(request)
    if (type === 'stream') this.#streams.add(values.text(requestId ?? null, 'requestId'))
    if (CALLS[type].onStream && !this.#streams.has(requestId)) throw refuse('that of a stream above', 'requestId', requestId)
    return request
  }
}

function parseObject(line) {
  let value
  try {
    value = JSON.parse(line)
  } catch {
    throw refuse('JSON', 'the line', line.trim())
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('an object', 'the line', value)
  return value
}

/** Reads one line's time after the other: in ms since the start, never backwards. */
function stopwatch() {
  let last = 0
  let firstTimestamp
  return ({ atMs, timestamp }) => {
    let time = last
    if (atMs !== undefined) {
      time = atMs
    } else if (timestamp !== undefined) {
      const epochMs = typeof timestamp === 'string' ? Date.parse(timestamp) : timestamp
      if (!Number.isFinite(epochMs)) throw refuse('an ISO date or epoch milliseconds', 'timestamp', timestamp)
      firstTimestamp ??= epochMs
      time = epochMs - firstTimestamp
    }
    if (typeof time !== 'number' || !(time >= last && time <= MAX_AT_MS)) {
      const [argument, received] = atMs !== undefined ? ['atMs', atMs] : ['timestamp', timestamp]
      throw refuse(`a time from ${last} ms (that of the line above) to 24 h`, argument, received)
    }
    last = time
    return time
  }
}

function translate(fields) {
  const key = fields.type === undefined && fields.action !== undefined ? 'action' : 'type'
  const read = reader(key, fields[key])
  if (!read) throw refuse(`one of ${words(key).join(', ')}`, key, fields[key])
  return read(fields)
}

module.exports = { parseRequests }
