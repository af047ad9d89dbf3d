'use strict'

const { finish, testSession } = require('../../lib/testing')

/** But for `subscribed` and `overloaded`: when somebody begins to listen, or the machine is busy, is no affair of the session, and comes between any others. */
const EVENTS = [
  'connected', 'queued', 'started', 'progress', 'stalled', 'paused', 'resumed', 'sought', 'completed', 'stopped',
  'failed', 'mark', 'metadata', 'reconnecting', 'reconnected', 'disconnected', 'muted', 'unmuted', 'unpublished', 'republished', 'error'
]
const TERMINAL = ['completed', 'stopped', 'failed']

/** A session for one test that remembers what it told; into memory and with the manual clock unless said otherwise. */
function open(t, options) {
  const { session } = testSession(options, t)
  const told = []
  const seqs = []
  session.on('event', ({ seq }) => seqs.push(seq))
  session.on('event', (event) => EVENTS.includes(event.type) && told.push(event))
  return {
    session,
    told,
    /** The `seq` of each event, of `subscribed` and `overloaded` too. */
    seqs,
    heard: () => session.recording().samples,
    /** The events about one playback, in words: "started@0", "completed@500". */
    of: (requestId) =>
      told.filter((event) => event.requestId === requestId).map(({ type, atMs }) => `${type}@${atMs}`),
    terminal: (requestId) =>
      told.filter((event) => event.requestId === requestId && TERMINAL.includes(event.type))
  }
}

/** A signal, and what aborts it. */
function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

module.exports = { abortable, open, finish }
