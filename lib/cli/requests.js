'use strict'

// Turns the operands of a command into timed requests and options of the session.

const { readFileSync, statSync } = require('node:fs')
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
    return { options: {}, requests, masked: 0 }
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
 * Returns what parseRequests does, for either command. Throws if the file `out` is one that is read, under whatever name, or if it
 * is there already and may not be replaced (`force`).
 */
function requestsOf(command, operands, { out, force }) {
  const asked = READERS[command](operands)
  const files = sourcesOf(asked.requests)
  if (out !== undefined) refuseOut(out, force, command === 'replay' ? [...operands, ...files] : files)
  return asked
}

/** Returns the files that are played. Checks all requests on the way. */
function sourcesOf(requests) {
  const played = requests.filter(({ type }) => type === 'play').map(({ request }) => check.playRequest(request).path)
  return played.filter((file) => file !== undefined)
}

function refuseOut(out, force, files) {
  const there = lookAt(out)
  const isOut = (file) => path.resolve(file) === path.resolve(out) || (there && isSame(lookAt(file), there))
  if (files.some(isOut)) throw refuse(`Expected a file that is neither played nor replayed for --out but received ${out}`)
  if (there?.isFile() && !force) {
    throw refuse(`Expected a file that does not exist for --out but received ${out}; --force replaces it`)
  }
}

/** Returns what is there, or nothing if that can't be known: then it can't be played or written either. */
function lookAt(file) {
  try {
    return statSync(file, { bigint: true })
  } catch {
    return undefined
  }
}

/** Returns true for two names of one file. */
function isSame(one, other) {
  return one?.dev === other.dev && one.ino === other.ino
}

/** Returns the last part of a path or URL, without its query; of a URL without a path its host. */
function nameOf(source) {
  if (!/^https?:/i.test(source) || !URL.canParse(source)) return path.basename(source) || source
  const { pathname, host } = new URL(source)
  return path.basename(pathname) || host
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
