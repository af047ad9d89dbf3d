'use strict'

// Turns the operands of a command into a log, and determines where the sound goes.

const { statSync } = require('node:fs')
const path = require('node:path')

const { MAX_MS } = require('../check/values')
const { SpeakerError } = require('../error')
const { Log } = require('../recording/log')
const { logFiles } = require('../replay/files')
const { STANDARD } = require('./arguments')
const { usualDevice } = require('./sound-card')
const { sourceName } = require('./source-name')

/** The WAV file that is written by default. */
const OUT = 'mix.wav'

function usageError(message) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', message)
}

/**
 * Returns `{ log, users, out, device }`: the users of the log who are played, and the WAV file to be written or the device to play on, if
 * any. Throws if that file, the report or the timeline is a file that is read, under whatever name, or already exists and may not be
 * replaced (`force`).
 */
async function requestsOf(command, operands, options) {
  const files = command === 'play' ? [] : logFiles(operands)
  const log = command === 'play' ? await playing(operands, options) : await Log.open(files)
  const users = options.user ? options.user.map((name) => userOf(log, name)) : [...log.users.values()]
  if (users.length > 1) refuseOneMix(users, options)
  const isMixed = users.length === 1 && !options.livekit && !options.device && (options.out !== undefined || (options.report ?? options.timeline) === undefined)
  // Files are played to be heard; a log is replayed for a reproducible result.
  const device = options.device ?? (isMixed && options.out === undefined && command === 'play' ? usualDevice() : undefined)
  const out = isMixed && device === undefined ? (options.out ?? OUT) : undefined
  const read = [...files, ...log.sources]
  if (out !== undefined && out !== STANDARD) refuseWritten('--out', out, options.force, read)
  const others = out === undefined ? read : [...read, out]
  if (options.report !== undefined) refuseWritten('--report', options.report, options.force, others)
  if (options.timeline !== undefined) refuseWritten('--timeline', options.timeline, options.force, [...others, ...(options.report ? [options.report] : [])])
  return { log, users, out, device }
}

/** The largest limits of a session: everything that is named is to be played. */
const LIMITS = { maxConcurrent: 1000, maxQueued: 100_000, maxDurationMs: MAX_MS }

/** Returns a log in which all of these are played at once. */
function playing(sources, { overlap }) {
  const most = overlap === 'queue' ? LIMITS.maxQueued : LIMITS.maxConcurrent
  if (sources.length > most) throw usageError(`Expected at most ${most} files or URLs for play but received ${sources.length}`)
  const names = distinct(sources.map((source) => (source === STANDARD ? 'standard input' : sourceName(source))))
  const requests = sources.map((audioUrl, index) => {
    const source = audioUrl === STANDARD ? { audio: process.stdin } : { audioUrl }
    return { atMs: 0, type: 'play', requestId: names[index], ...source, stopOther: false }
  })
  return Log.of([{ type: 'session', ...LIMITS }, ...requests], () => '')
}

function userOf(log, name) {
  if (!log.users.has(name)) throw usageError(`Expected a user of the log for --user but received ${name}`)
  return log.users.get(name)
}

/** Refuses one file or room for several users: their sounds could not be told apart. */
function refuseOneMix(users, options) {
  const option = ['out', 'device', 'livekit'].find((name) => options[name])
  if (option) throw usageError(`Expected one user, as by --user, for --${option} but received ${users.length}`)
}

function refuseWritten(option, written, force, files) {
  const there = lookAt(written)
  const isWritten = (file) => path.resolve(file) === path.resolve(written) || (there && isSame(lookAt(file), there))
  if (files.some(isWritten)) throw usageError(`Expected a file that is neither played nor replayed for ${option} but received ${written}`)
  if (there?.isFile() && !force) {
    throw usageError(`Expected a file that does not exist for ${option} but received ${written}; --force replaces it`)
  }
}

/** Returns the file's status, or undefined if it can't be determined: then the file can't be played or written either. */
function lookAt(file) {
  try {
    return statSync(file, { bigint: true })
  } catch {
    return undefined
  }
}

/** Returns true if both names are of one file. */
function isSame(one, other) {
  return one?.dev === other.dev && one.ino === other.ino
}

/** Returns the names with a number after each repeated one. */
function distinct(names) {
  const seen = new Map()
  return names.map((name) => {
    seen.set(name, (seen.get(name) ?? 0) + 1)
    return seen.get(name) === 1 ? name : `${name} (${seen.get(name)})`
  })
}

module.exports = { requestsOf }
