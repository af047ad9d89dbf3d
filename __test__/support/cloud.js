'use strict'

// A cloud around SpeakerManager: what it reads of a user's session, and what it keeps of what it is told.

const { SpeakerManager } = require('speaker-session/mentra')

/** Returns a pino-like logger that collects its lines: `{ level, text, … }`. */
function logger(lines) {
  const log = (level) => (told, text) => lines.push({ level, text, ...told })
  const own = { child: () => own, debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  return own
}

/** Returns a user's session as the cloud has it, which collects the messages to apps. */
function userSession(more = {}) {
  const [lines, relayed] = [[], []]
  const session = {
    userId: 'user@example.com',
    logger: logger(lines),
    relayAudioPlayResponseToApp: (response) => relayed.push(response),
    ...more
  }
  return { session, lines, relayed }
}

/** Creates a manager for one test, with its events; by default it plays into memory on the manual clock. */
function manager(t, { session, ...options } = {}) {
  const cloud = userSession(session)
  const speaker = new SpeakerManager(cloud.session, { output: { type: 'memory', clock: 'manual' }, progressIntervalMs: 0, ...options })
  t.after(() => speaker.dispose())
  const [told, differences] = [[], []]
  speaker.on('event', (event) => told.push(event))
  speaker.on('difference', (difference) => differences.push(difference))
  return {
    ...cloud,
    speaker,
    told,
    differences,
    advance: (ms) => speaker.speakerSession.advance(ms),
    heard: () => speaker.speakerSession.recording().samples,
    job: (requestId) => speaker.jobs().findLast((job) => job.requestId === requestId)
  }
}

/** The environment before a test changed it. */
const before = new WeakMap()

/** Sets environment variables for one test. */
function environment(t, variables) {
  if (!before.has(t)) before.set(t, { ...process.env })
  for (const [name, value] of Object.entries(variables)) {
    set(name, value)
    t.after(() => set(name, before.get(t)[name]))
  }
}

function set(name, value) {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

module.exports = { environment, manager, userSession }
