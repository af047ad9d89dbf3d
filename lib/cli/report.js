'use strict'

// What the user sees of a run: lines for people, or events for programs.

const { printable, seconds } = require('./format')
const { ProgressLine } = require('./progress')
const { timeline } = require('./timeline')

const COLUMNS = 80

/** Events that a person is told of, and in which words. */
const DETAILS = {
  queued: ({ position }) => `place ${position}`,
  started: () => '',
  completed: ({ durationMs }) => seconds(durationMs),
  stopped: ({ reason, positionMs }) => `${reason}, after ${seconds(positionMs)}`,
  failed: ({ code, message, positionMs }) =>
    `${code}${positionMs > 0 ? `, after ${seconds(positionMs)}` : ''}: ${message}`
}

class TextReport {
  #stdout
  #progress

  constructor(session, { stdout }) {
    this.#stdout = stdout
    this.#progress = new ProgressLine(stdout, session)
    for (const type of Object.keys(DETAILS)) session.on(type, (event) => this.#event(type, event))
  }

  refused({ requestedAtMs: atMs, ...playback }) {
    this.#event('failed', { atMs, ...playback })
  }

  end(playbacks, summary) {
    this.#progress.end()
    this.#print('')
    timeline(playbacks, this.#stdout.columns ?? COLUMNS).forEach((line) => this.#print(line))
    this.#print(summary)
  }

  #event(type, event) {
    const line = `${seconds(event.atMs).padStart(9)}  ${type.padEnd(9)} ${event.requestId}  ${DETAILS[type](event)}`
    this.#print(line.trimEnd())
  }

  #print(line) {
    this.#progress.clear()
    this.#stdout.write(`${printable(line)}\n`)
  }
}

const EVENTS = ['connected', 'disconnected', 'error', 'progress', ...Object.keys(DETAILS)]

class JsonReport {
  #stdout
  #stderr

  constructor(session, { stdout, stderr }) {
    this.#stdout = stdout
    this.#stderr = stderr
    for (const type of EVENTS) session.on(type, ({ requestId, ...event }) => this.#print({ type, requestId, ...event }))
  }

  /** No event of the session's, so it has no `seq`. */
  refused({ requestId, requestedAtMs: atMs, code, message }) {
    this.#print({ type: 'refused', requestId, atMs, code, message })
  }

  end(_playbacks, summary) {
    this.#stderr.write(`${summary}\n`)
  }

  #print(event) {
    this.#stdout.write(`${JSON.stringify(event)}\n`)
  }
}

module.exports = { TextReport, JsonReport }
