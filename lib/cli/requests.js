'use strict'

// Turns the operands of a command into timed requests and options of the session.

const { readFileSync } = require('node:fs')
const path = require('node:path')

const check = require('../check')
const { SpeakerError } = require('../error')
const { parseRequests } = require('../recording/parse-requests')

function refuse(message) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', message)
}

const READERS = {
  play(sources) {
    const names = distinct(sources.map(nameOf))
    const requests = sources.map((audioUrl, index) => {
      return { atMs: 0, type: 'play', request: { requestId: names[index], audioUrl, stopOther: false } }
    })
    return { options: {}, requests }
  },

  replay([file]) {
    let text
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      throw refuse(`Expected a readable file for the requests but received ${file}: ${error.message}`)
    }
    return parseRequests(text, { name: file, directory: path.dirname(file) })
  }
}

/**
 * Returns what parseRequests does, for either command. Throws if a request would play the file `out` that is written.
 */
function requestsOf(command, operands, out) {
  const asked = READERS[command](operands)
  for (const { type, request } of asked.requests) {
    if (type !== 'play' || out === undefined) continue
    const { path: source } = check.playRequest(request)
    if (source !== undefined && path.resolve(source) === path.resolve(out)) {
      throw refuse(`Expected a file that is not played for --out but received ${out}`)
    }
  }
  return asked
}

/** Returns the last part of a path or URL, without its query. */
function nameOf(source) {
  return path.basename(source.replace(/[?#].*/, '')) || source
}

/** Returns the names with a number behind each repeated one. */
function distinct(names) {
  const seen = new Map()
  return names.map((name) => {
    seen.set(name, (seen.get(name) ?? 0) + 1)
    return seen.get(name) === 1 ? name : `${name} (${seen.get(name)})`
  })
}

module.exports = { requestsOf }
