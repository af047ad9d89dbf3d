'use strict'

// Lines of JSON → timed requests, each checked before anything plays.

const path = require('node:path')

const { check } = require('../check/values')
const { SpeakerError, refuse } = require('../error')
const { CALLS } = require('./calls')
const { reader, words } = require('./dialects')

/** As far as every other time in this package reaches. */
const MAX_AT_MS = 24 * 3600 * 1000

const SKIPPED = /^\s*($|#|\/\/)/

/**
 * The requests of a JSONL text in their order: `{ atMs, type, request }`, where `request` is what the call of that type
 * (see CALLS) takes. Paths are relative to `directory`; complaints name the line as `name:7`.
 */
function parseRequests(text, { name, directory }) {
  const timeOf = stopwatch()
  const streams = new Set()
  return text.split('\n').flatMap((line, index) => {
    if (SKIPPED.test(line)) return []
    try {
      const fields = parseObject(line)
      const atMs = timeOf(fields)
      const { type, request } = translate(fields)
      if (type === 'play') return [{ atMs, type, request: completed(request, index + 1, directory) }]
      const { requestId } = CALLS[type].check(request)
      if (type === 'stream') streams.add(check.text(requestId ?? null, 'requestId'))
      if (CALLS[type].onStream && !streams.has(requestId)) throw refuse('that of a stream above', 'requestId', requestId)
      return [{ atMs, type, request }]
    } catch (error) {
      if (error.code !== 'ERR_INVALID_ARGUMENT') throw error
      throw new SpeakerError(error.code, `${name}:${index + 1}: ${error.message}`)
    }
  })
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

/** A checked play request with a name, that means the same from every working directory. */
function completed(request, lineNumber, directory) {
  const named = { ...request, requestId: request.requestId ?? `line-${lineNumber}` }
  const { path: file } = CALLS.play.check(named)
  return file === undefined ? named : { ...named, audioUrl: path.resolve(directory, file) }
}

module.exports = { parseRequests }
