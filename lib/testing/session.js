'use strict'

const { SpeakerSession } = require('../session')
const { atEnd } = require('./at-end')

const STEP_MS = 20

/** Documented in index.d.ts. */
function testSession(options = {}, t) {
  const session = new SpeakerSession({ progressIntervalMs: 0, ...options, output: { type: 'memory', clock: 'manual', ...options.output } })
  atEnd(t, () => session.close())
  const events = []
  session.on('event', (event) => events.push(event))
  const of = (requestId) => events.filter((event) => event.requestId === requestId)
  return { session, events, of }
}

async function finish(session) {
  while (session.playbacks().length > 0) await session.advance(STEP_MS)
}

module.exports = { finish, testSession }
