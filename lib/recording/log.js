'use strict'

// A log of requests, of one user or many: lines of JSON in files. It is read twice: first as a whole, to check every line before anything
// plays, keeping only the place of each; then each user's lines as they are played.

const path = require('node:path')
const { Readable } = require('node:stream')

const check = require('../check')
const { MAX_MS, REQUIRED, check: values } = require('../check/values')
const { SpeakerError, invalidArgument } = require('../error')
const { CALLS } = require('./calls')
const { LinesOfFile, LinesOfObjects } = require('./lines')
const { isMasked, unmasked } = require('./masked')
const { translator, words } = require('./messages')
const { replayedOptions } = require('./session-line')
const { base64 } = require('./stream-lines')

class Log {
  /** Users by name, in order of appearance. */
  users = new Map()
  /** The files that are played. */
  sources = new Set()
  /** The earliest timestamp of a line, in ms; undefined if no line has one. */
  epochMs

  /** Reads files, each of one user or of many. Paths in a file are relative to its directory. Errors name the line as `name:7`. */
  static async open(files) {
    const log = new Log()
    for (const file of files) await log.#read(new LinesOfFile(file), path.dirname(file), (number) => `${file}:${number}: `)
    return log
  }

  /** Reads lines that are already objects; paths are relative to the working directory. */
  static async of(objects, placeOf = (number) => `requests[${number - 1}]: `) {
    const log = new Log()
    await log.#read(new LinesOfObjects(objects), '.', placeOf)
    return log
  }

  async #read(lines, directory, placeOf) {
    const file = new LogFile(this, lines, directory)
    lines.hold()
    try {
      for await (const { number, at, length } of lines) inLine(number, placeOf, () => file.line(lines.fields(at, length), number, at, length))
    } finally {
      lines.release()
    }
    file.end()
  }

  /** Returns the user of this name, creating it if there is none. */
  user(name, options) {
    if (!this.users.has(name)) this.users.set(name, new User(this, name, options))
    return this.users.get(name)
  }

  /** Renames the user that was added last, and returns it. */
  rename(user, name) {
    this.users.delete(user.name)
    user.name = name
    this.users.set(name, user)
    return user
  }
}

/** Reads a line; adds its place to the message of an error. */
function inLine(number, placeOf, read) {
  try {
    read()
  } catch (error) {
    if (error.code !== 'ERR_INVALID_ARGUMENT') throw error
    throw new SpeakerError(error.code, `${placeOf(error.atLine ?? number)}${error.message}`)
  }
}

/** Assigns the lines of a file to users while it is read for the first time. */
class LogFile {
  lines
  directory
  #log
  #options
  /** The user of all lines so far. */
  #only
  #isNamed = false
  #isShared = false
  /** The number of the first line that names no user. */
  #unnamed
  #isEmpty = true

  constructor(log, lines, directory) {
    this.#log = log
    this.lines = lines
    this.directory = directory
  }

  line(fields, number, at, length) {
    const name = userOf(fields)
    if (fields.type === 'session' && name === undefined) this.#session(fields)
    else if (fields.type === 'session') this.#user(name, number).session(fields)
    else this.#user(name, number).add(fields, this, number, at, length)
    this.#isEmpty = false
  }

  /** Ends the file. One that names nobody belongs to one user, even without any requests. */
  end() {
    if (!this.#only) this.#log.user(this.lines.name, this.#options)
  }

  /** Sets the options of all users of this file that have none of their own. */
  #session(fields) {
    if (!this.#isEmpty) throw invalidArgument('the options of a session in the first line only', 'type', fields.type)
    this.#options = optionsOf(fields)
  }

  #user(name, number) {
    if (name === undefined) {
      if (this.#isShared) throw invalidArgument('a user, as the file has several,', 'the line', undefined)
      this.#unnamed ??= number
      return (this.#only ??= this.#log.user(this.lines.name, this.#options))
    }
    const isNameOfAll = this.#only && !this.#isNamed && !this.#log.users.has(name)
    const user = isNameOfAll ? this.#log.rename(this.#only, name) : this.#log.user(name, this.#options)
    this.#isNamed = true
    this.#only ??= user
    if (user !== this.#only) this.#share()
    return user
  }

  /** Called when a second name appears: from now on every line needs one. */
  #share() {
    this.#isShared = true
    if (this.#unnamed === undefined) return
    throw Object.assign(invalidArgument('a user, as the file has several,', 'the line', undefined), { atLine: this.#unnamed })
  }
}

/**
 * One user's requests. They can be iterated any number of times, each `{ atMs, type, request }`, where `request` is the argument of the
 * call for that type (see CALLS).
 */
class User {
  name
  /** The options of the session. */
  options
  /** The number of requests that were recorded without their secrets. */
  masked = 0
  /** The time of the first request, in ms since `zeroMs`. */
  firstMs
  #log
  /** The number, place and length of each line, by file. Of millions of lines only numbers are kept. */
  #parts = []
  #reader = new Reader()

  constructor(log, name, options = {}) {
    this.#log = log
    this.name = name
    this.options = options
  }

  session(fields) {
    if (this.#parts.length > 0) throw invalidArgument('the options of a session in the first line only', 'type', fields.type)
    this.options = optionsOf(fields)
  }

  add(fields, file, ...place) {
    const { atMs, type, request, source } = this.#reader.read(fields, file.directory, place[0])
    this.firstMs ??= atMs
    if (this.#parts.at(-1)?.file !== file) this.#parts.push({ file, places: [] })
    this.#parts.at(-1).places.push(...place)
    if (this.#reader.epochMs < (this.#log.epochMs ?? Infinity)) this.#log.epochMs = this.#reader.epochMs
    if (source !== undefined) this.#log.sources.add(source)
    if (type === 'play' && isMasked(request)) this.masked++
  }

  /** The time 0 of the requests, in ms since the log begins. */
  get zeroMs() {
    const { epochMs } = this.#reader
    return epochMs === undefined ? 0 : epochMs - this.#log.epochMs
  }

  *[Symbol.iterator]() {
    const reader = new Reader()
    for (const { file: { lines, directory }, places } of this.#parts) {
      lines.hold()
      try {
        for (let n = 0; n < places.length; n += 3) {
          const { atMs, type, request } = reader.read(lines.fields(places[n + 1], places[n + 2]), directory, places[n])
          yield { atMs, type, request: type === 'play' && isMasked(request) ? unmasked(request) : request }
        }
      } finally {
        lines.release()
      }
    }
  }
}

/** Reads a user's lines one after the other. */
class Reader {
  /** The first timestamp. */
  epochMs
  #lastMs = 0
  #streams = new Set()

  /** Returns `{ atMs, type, request, source }`, where `source` is the file that is played, if any; `number` is that of the line. */
  read(fields, directory, number) {
    const atMs = this.#timeOf(fields)
    const { type, request } = requestOf(fields)
    return { atMs, type, ...(type === 'play' ? played(request, directory, number) : { request: this.#other(type, request) }) }
  }

  #other(type, request) {
    const { requestId } = CALLS[type].check(request)
    if (type === 'stream') this.#streams.add(values.text(requestId, 'requestId', REQUIRED))
    if (CALLS[type].onStream && !this.#streams.has(requestId)) throw invalidArgument('that of a stream above', 'requestId', requestId)
    return request
  }

  /** Returns the time of a line in ms; throws if time goes backwards. */
  #timeOf({ atMs, timestamp }) {
    let time = this.#lastMs
    if (atMs !== undefined) {
      time = atMs
    } else if (timestamp !== undefined) {
      const epochMs = typeof timestamp === 'string' ? Date.parse(timestamp) : timestamp
      if (!Number.isFinite(epochMs)) throw invalidArgument('an ISO date or epoch milliseconds', 'timestamp', timestamp)
      this.epochMs ??= epochMs
      time = epochMs - this.epochMs
    }
    if (typeof time !== 'number' || !(time >= this.#lastMs && time <= MAX_MS)) {
      const [argument, received] = atMs !== undefined ? ['atMs', atMs] : ['timestamp', timestamp]
      throw invalidArgument(`a time from ${this.#lastMs} ms (that of the line above) to 24 h`, argument, received)
    }
    this.#lastMs = time
    return time
  }
}

/** Fields that name the user, on lines of any kind. */
const USER = ['user', 'userId', 'session', 'sessionId']

/** Returns the user that a line names, if any. */
function userOf(fields) {
  const key = USER.find((name) => fields[name] !== undefined && fields[name] !== null)
  if (key === undefined) return undefined
  const name = Number.isInteger(fields[key]) ? String(fields[key]) : values.id(fields[key], key)
  // Apps of one user have sessions of their own in the cloud: `<session>-<package>`.
  const suffix = `-${fields.packageName}`
  return key === 'sessionId' && name.length > suffix.length && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
}

/** Validates a play request, and gives it a `requestId` and an absolute path. Its audio is base64, or standard input. */
function played(request, directory, number) {
  const { requestId = `line-${number}`, audio } = request
  const named = { ...request, requestId, ...(audio !== undefined && { audio: audio instanceof Readable ? audio : base64(audio) }) }
  const file = check.playRequest(named).path
  if (file === undefined) return { request: named }
  const audioUrl = path.resolve(directory, file)
  return { request: { ...named, audioUrl }, source: audioUrl }
}

/** Returns `{ type, request }` for a line of any known kind. */
function requestOf({ user, userId, session, sessionId, ...fields }) {
  const key = fields.type === undefined && fields.action !== undefined ? 'action' : 'type'
  const translate = translator(key, fields[key])
  if (!translate) throw invalidArgument(`one of ${words(key).join(', ')}`, key, fields[key])
  return translate(fields)
}

/** Returns the options in the line of a session. */
function optionsOf({ type, user, userId, session, sessionId, ...options }) {
  return replayedOptions(options)
}

module.exports = { Log }
