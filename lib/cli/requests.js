'use strict'

// Turns the operands of a command into a log, and says where what is played goes.

const { statSync } = require('node:fs')
const path = require('node:path')

const { SpeakerError } = require('../error')
const { Log } = require('../recording/log')
const { logFiles } = require('../replay/files')
const { sourceName } = require('./source-name')

/** The WAV file that is written if nothing else is asked for. */
const OUT = 'mix.wav'

function refuse(message) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', message)
}

/**
 * Returns `{ log, users, files, out }`: the users of the log who are played, the files that it is read from, and the WAV file to be
 * written, if one is. Throws if that, the report or the timeline is a file that is read, under whatever name, or is there already and may not be
 * replaced (`force`).
 */
async function requestsOf(command, operands, options) {
  const files = command === 'play' ? [] : logFiles(operands)
  const log = command === 'play' ? await playing(operands) : await Log.open(files)
  const users = options.user ? options.user.map((name) => userOf(log, name)) : [...log.users.values()]
  if (users.length > 1) refuseOneMix(users, options)
  const isMixed = users.length === 1 && !options.livekit && (options.out !== undefined || (options.report ?? options.timeline) === undefined)
  const out = isMixed ? (options.out ?? OUT) : undefined
  const read = [...files, ...log.sources]
  if (out !== undefined) refuseWritten('--out', out, options.force, read)
  const others = out === undefined ? read : [...read, out]
  if (options.report !== undefined) refuseWritten('--report', options.report, options.force, others)
  if (options.timeline !== undefined) refuseWritten('--timeline', options.timeline, options.force, [...others, ...(options.report ? [options.report] : [])])
  return { log, users, out }
}

/** Returns a log in which all of these are played at once. */
function playing(sources) {
  const names = distinct(sources.map(sourceName))
  const requests = sources.map((audioUrl, index) => {
    return { atMs: 0, type: 'play', requestId: names[index], audioUrl, stopOther: false }
  })
  return Log.of(requests, () => '')
}

function userOf(log, name) {
  if (!log.users.has(name)) throw refuse(`Expected a user of the log for --user but received ${name}`)
  return log.users.get(name)
}

/** Everybody's sounds in one file or room would be nobody's. */
function refuseOneMix(users, options) {
  const option = ['out', 'livekit'].find((name) => options[name])
  if (option) throw refuse(`Expected one user, as by --user, for --${option} but received ${users.length}`)
}

function refuseWritten(option, written, force, files) {
  const there = lookAt(written)
  const isWritten = (file) => path.resolve(file) === path.resolve(written) || (there && isSame(lookAt(file), there))
  if (files.some(isWritten)) throw refuse(`Expected a file that is neither played nor replayed for ${option} but received ${written}`)
  if (there?.isFile() && !force) {
    throw refuse(`Expected a file that does not exist for ${option} but received ${written}; --force replaces it`)
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

/** Returns the names with a number behind each repeated one. */
function distinct(names) {
  const seen = new Map()
  return names.map((name) => {
    seen.set(name, (seen.get(name) ?? 0) + 1)
    return seen.get(name) === 1 ? name : `${name} (${seen.get(name)})`
  })
}

module.exports = { requestsOf }
