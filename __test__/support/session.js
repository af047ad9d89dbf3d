'use strict'

const { finish, testSession } = require('../../lib/testing')

/** Excludes `subscribed` and `overloaded`: their times depend on listeners and on the load of the machine, and they come between any others. */
const EVENTS = [
  'connected', 'queued', 'started', 'progress', 'stalled', 'paused', 'resumed', 'sought', 'completed', 'stopped',
  'failed', 'mark', 'metadata', 'reconnecting', 'reconnected', 'disconnected', 'muted', 'unmuted', 'unpublished', 'republished', 'error'
]
const TERMINAL = ['completed', 'stopped', 'failed']

/** Opens a session for one test that collects its events; by default into memory and with the manual clock. */
function open(t, options) {
  const { session } = testSession(options, t)
  const told = []
  const seqs = []
  session.on('event', ({ seq }) => seqs.push(seq))
  session.on('event', (event) => EVENTS.includes(event.type) && told.push(event))
  return {
    session,
    told,
    /** The `seq` of each event, `subscribed` and `overloaded` included. */
    seqs,
    heard: () => session.recording().samples,
    /** Returns the events of one playback as text: "started@0", "completed@500". */
    of: (requestId) =>
      told.filter((event) => event.requestId === requestId).map(({ type, atMs }) => `${type}@${atMs}`),
    terminal: (requestId) =>
      told.filter((event) => event.requestId === requestId && TERMINAL.includes(event.type))
  }
}

/** Returns a signal, and the function that aborts it. */
function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

module.exports = { abortable, open, finish }
