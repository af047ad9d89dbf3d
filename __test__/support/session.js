'use strict'

const { SpeakerSession } = require('../..')

/** But for `subscribed`: when somebody begins to listen is the listener's affair, and comes between any others. */
const EVENTS = [
  'connected', 'queued', 'started', 'progress', 'stalled', 'paused', 'resumed', 'sought', 'completed', 'stopped',
  'failed', 'mark', 'reconnecting', 'reconnected', 'disconnected', 'muted', 'unmuted', 'unpublished', 'republished', 'error'
]
const TERMINAL = ['completed', 'stopped', 'failed']

/** A session for one test that remembers what it told; into memory and with the manual clock unless said otherwise. */
function open(t, { output, ...options } = {}) {
  const session = new SpeakerSession({
    output: { type: 'memory', clock: 'manual', ...output },
    progressIntervalMs: 0,
    ...options
  })
  t.after(() => session.close())
  const told = []
  for (const type of EVENTS) session.on(type, (event) => told.push({ type, ...event }))
  return {
    session,
    told,
    heard: () => session.recording().samples,
    /** The events about one playback, in words: "started@0", "completed@500". */
    of: (requestId) =>
      told.filter((event) => event.requestId === requestId).map(({ type, atMs }) => `${type}@${atMs}`),
    terminal: (requestId) =>
      told.filter((event) => event.requestId === requestId && TERMINAL.includes(event.type))
  }
}

/** Advances until nothing lives. */
async function finish(session) {
  while (session.playbacks().length > 0) await session.advance(20)
}

/** A signal, and what aborts it. */
function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

module.exports = { abortable, open, finish }
