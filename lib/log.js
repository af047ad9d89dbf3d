'use strict'

const { passVariables } = require('./environment')
const { describe, invalidArgument } = require('./error')
const { NativeLog } = require('./native')

/** The addon's log, opened by the first listener: without one nothing is logged. */
let native

/** Listeners to all lines. */
const listeners = []

/** Loggers by the number of their session. */
const loggers = new Map()

/** Loggers and listeners whose error was already reported. */
const faulty = new WeakSet()

const forgotten = new FinalizationRegistry(remove)

function log() {
  if (!native) {
    passVariables() // SPEAKER_SESSION_LOG is read once
    native = new NativeLog(deliver)
    // Delivers the last lines before the process ends.
    process.once('exit', deliverAll)
  }
  return native
}

/** Delivers the waiting lines, and returns how many there were. */
function deliver() {
  const lines = native.take()
  for (const line of lines) {
    const logger = loggers.get(line.session)
    if (logger) write(logger, line)
    else if (listeners.length > 0) for (const listener of [...listeners]) attempt(listener, () => listener(line))
    // This line belongs to no session: without listeners, all loggers get the report of lost lines.
    else if (line.session === undefined) for (const each of new Set(loggers.values())) write(each, line)
  }
  return lines.length
}

/** More rounds than the addon keeps lines for: a listener that logs itself must not make this go on for ever. */
const ROUNDS = 200

/** Delivers everything that was logged until now. */
function deliverAll() {
  for (let round = 0; round < ROUNDS && deliver() > 0; round++);
}

/** Calls a logger as pino is called: the fields first, then the text. */
function write(logger, { level, message, time, ...known }) {
  const method = typeof logger[level] === 'function' ? level : 'debug'
  attempt(logger, () => logger[method](known, message))
}

/** Catches whatever a logger throws: it must neither end the process nor keep lines from others. */
function attempt(logger, call) {
  const report = (error) => {
    if (faulty.has(logger)) return
    faulty.add(logger)
    process.emitWarning(`a logger failed: ${describe(error)}`, 'SpeakerSessionWarning')
  }
  try {
    const result = call()
    if (typeof result?.then === 'function') result.then(undefined, report)
  } catch (error) {
    report(error)
  }
}

/** Delivers the lines of a session to its logger, until it is closed or collected. */
function add(session, logger) {
  const { id } = session
  log().add(id)
  loggers.set(id, logger)
  forgotten.register(session, id)
}

function remove(id) {
  if (!loggers.has(id)) return
  deliverAll()
  native.remove(id)
  loggers.delete(id)
}

function on(listener) {
  if (typeof listener !== 'function') throw invalidArgument('a function', 'listener', listener)
  listeners.push(listener)
  log().takeAll(true)
}

function off(listener) {
  const index = listeners.lastIndexOf(listener)
  if (index < 0) return
  listeners.splice(index, 1)
  native.takeAll(listeners.length > 0)
}

module.exports = { add, remove, on, off }
