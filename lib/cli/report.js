'use strict'

// The output of a run: lines for people, or events for programs.

const { printable, seconds } = require('./format')
const { ProgressLine } = require('./progress')
const { timeline } = require('./timeline')

const COLUMNS = 80

/** Events that are shown to people, and their wording. */
const DETAILS = {
  muted: ({ trackId }) => `track ${trackId}`,
  unmuted: ({ trackId }) => `track ${trackId}`,
  queued: ({ queuePosition }) => `position ${queuePosition}`,
  started: () => '',
  stalled: ({ positionMs }) => `at ${seconds(positionMs)}`,
  metadata: ({ title, station }) => [title, station].filter(Boolean).join(', on '),
  paused: ({ positionMs }) => `at ${seconds(positionMs)}`,
  sought: ({ positionMs }) => `to ${seconds(positionMs)}`,
  resumed: ({ positionMs }) => `at ${seconds(positionMs)}`,
  completed: ({ durationMs }) => seconds(durationMs),
  stopped: ({ reason, durationMs }) => `${reason}, after ${seconds(durationMs)}`,
  failed: ({ code, message, durationMs }) =>
    `${code}${durationMs > 0 ? `, after ${seconds(durationMs)}` : ''}: ${message}`,
  reconnecting: ({ reason }) => reason,
  reconnected: () => ''
}

/** Errors of the output: they fail everything that plays, and are reported once, by the session. */
const OF_THE_OUTPUT = ['ERR_OUTPUT', 'ERR_JOIN_FAILED', 'ERR_DISCONNECTED', 'ERR_INTERNAL']

/** Refusals without an event; they are reported once too. */
const ASKED = {
  volume: ({ volume, fadeMs = 5 }) => `to ${volume} in ${fadeMs} ms`,
  move: ({ queuePosition }) => `to position ${queuePosition}`,
  flush: () => '',
  interrupt: ({ keep }) => (keep ? `all but ${keep.join(', ')}` : 'all')
}

/** Returns the current playbacks of a session, for display. */
function nowPlaying(session) {
  const playing = session.playbacks().map(({ requestId, state, positionMs }) => {
    return state === 'playing' ? `${requestId} ${seconds(positionMs, 1)}` : `${requestId} (${state})`
  })
  return `${seconds(session.stats().timeMs, 1)}  ${playing.join(', ')}`
}

class TextReport {
  #stdout
  #stderr
  #progress

  constructor(session, { stdout, stderr }) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.#progress = new ProgressLine(stdout, () => nowPlaying(session))
    for (const type of Object.keys(DETAILS)) session.on(type, (event) => this.#event(type, event))
  }

  asked(type, request, atMs) {
    const { requestId, trackId } = request
    const subject = requestId ?? (trackId === undefined ? '' : `track ${trackId}`)
    if (Object.hasOwn(ASKED, type)) this.#line(atMs, type, subject, ASKED[type](request))
  }

  refused({ requestedAtMs: atMs, ...playback }) {
    this.#event('failed', { atMs, ...playback })
  }

  end(playbacks, sounds, summary) {
    this.#progress.end()
    if (sounds.length > 0) this.#print('')
    for (const sound of sounds) this.#heard(sound)
    this.#print('')
    timeline(playbacks, this.#stdout.columns ?? COLUMNS, sounds).forEach((line) => this.#print(line))
    this.#print(summary)
  }

  #event(type, { atMs, requestId = '', ...event }) {
    this.#line(atMs, type, requestId, DETAILS[type](event), type === 'failed' && !OF_THE_OUTPUT.includes(event.code) ? this.#stderr : this.#stdout)
  }

  #heard({ track, beganAtMs, endedAtMs, levelDb, hz }) {
    const loudness = `${levelDb.toFixed(1)} dBFS, about ${hz.toFixed(0)} Hz`
    this.#line(beganAtMs, 'heard', track, `till ${seconds(endedAtMs)}, ${loudness}`)
  }

  #line(atMs, label, subject, details, stream) {
    const rest = [subject, details].filter(Boolean).join('  ')
    this.#print(`${seconds(atMs).padStart(9)}  ${label.padEnd(9)} ${rest}`.trimEnd(), stream)
  }

  #print(line, stream = this.#stdout) {
    this.#progress.clear()
    stream.write(`${printable(line)}\n`)
  }
}

class JsonReport {
  #stdout
  #stderr
  #user
  #offsetMs

  /** In a log of many users, events name their user, and their times are those of the log: `offsetMs` later. */
  constructor(session, { stdout, stderr }, { user, offsetMs = 0 } = {}) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.#user = user
    this.#offsetMs = offsetMs
    session.on('event', ({ type, requestId, context, ...event }) => {
      this.#print({ type, requestId, ...event })
      if (type === 'failed' && !OF_THE_OUTPUT.includes(event.code)) this.#complain(requestId, event)
    })
  }

  /** Prints nothing: the author of the requests knows them. */
  asked() {}

  /** Prints a refusal, which is no event of the session, so it has no `seq`. */
  refused({ requestId, requestedAtMs: atMs, code, message }) {
    this.#print({ type: 'refused', requestId, atMs, code, message })
    this.#complain(requestId, { code, message })
  }

  /** Prints the sounds heard, which are no events either. */
  end(_playbacks, sounds, summary) {
    for (const { frames, ...sound } of sounds) this.#print({ type: 'heard', ...sound })
    this.#stderr.write(`${summary}\n`)
  }

  /** Prints an error for people: the events may be read by a program. */
  #complain(requestId, { code, message }) {
    const whose = [this.#user, requestId].filter((name) => name !== undefined).join(', ')
    this.#stderr.write(`speaker-session: ${printable(`${whose}: ${code}: ${message}`)}\n`)
  }

  #print({ atMs, ...event }) {
    const time = atMs === undefined ? undefined : atMs + this.#offsetMs
    this.#stdout.write(`${JSON.stringify({ user: this.#user, ...event, atMs: time })}\n`)
  }
}

module.exports = { TextReport, JsonReport }
