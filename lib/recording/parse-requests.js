'use strict'

// Parses lines of JSON into timed requests and validates each before anything plays.

const path = require('node:path')

const check = require('../check')
const { MAX_MS, check: values } = require('../check/values')
const { SpeakerError, refuse } = require('../error')
const { CALLS } = require('./calls')
const { isMasked, unmasked } = require('./masked')
const { translator, words } = require('./messages')
const { replayedOptions } = require('./session-line')
const { base64 } = require('./stream-lines')

const SKIPPED = /^\s*($|#|\/\/)/

/**
 * Parses a JSONL text into `{ options, requests, masked }`: the options of the session, from the first line of a recording, how many
 * requests were recorded without their secrets, and the requests in order, each `{ atMs, type, request }`, where `request` is the argument of the call for that type (see
 * CALLS). Paths are relative to `directory`. Errors name the line as `name:7`.
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
  const { options = {}, requests, masked } = parser
  return { options, requests, masked }
}

class Parser {
  options
  requests = []
  masked = 0
  #directory
  #timeOf = stopwatch()
  #streams = new Set()

  constructor(directory) {
    this.#directory = directory
  }

  line(fields, number) {
    if (fields.type === 'session') return this.#session(fields)
    const atMs = this.#timeOf(fields)
    const { type, request } = read(fields)
    this.requests.push({ atMs, type, request: type === 'play' ? this.#play(request, number) : this.#other(type, request) })
  }

  #session({ type, ...options }) {
    if (this.options || this.requests.length > 0) throw refuse('the options of a session in the first line only', 'type', type)
    this.options = replayedOptions(options)
  }

  /** Validates a play request and returns it with a `requestId` and an absolute path. */
  #play(request, number) {
    const { requestId = `line-${number}`, audio } = request
    const named = { ...request, requestId, ...(audio !== undefined && { audio: base64(audio) }) }
    const { path: file } = check.playRequest(named)
    if (file !== undefined) return { ...named, audioUrl: path.resolve(this.#directory, file) }
    if (!isMasked(named)) return named
    this.masked++
    return unmasked(named)
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

/** Returns a function that returns the time of each line in ms since the start; it throws if time goes backwards. */
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
    if (typeof time !== 'number' || !(time >= last && time <= MAX_MS)) {
      const [argument, received] = atMs !== undefined ? ['atMs', atMs] : ['timestamp', timestamp]
      throw refuse(`a time from ${last} ms (that of the line above) to 24 h`, argument, received)
    }
    last = time
    return time
  }
}

/** Returns `{ type, request }` for a line of any known kind. */
function read(fields) {
  const key = fields.type === undefined && fields.action !== undefined ? 'action' : 'type'
  const translate = translator(key, fields[key])
  if (!translate) throw refuse(`one of ${words(key).join(', ')}`, key, fields[key])
  return translate(fields)
}

module.exports = { parseRequests }
