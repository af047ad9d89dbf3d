'use strict'

const OUTCOMES = ['completed', 'stopped', 'failed']

/**
 * The playbacks of a session in order of request, each `{ requestId, trackId, volume, requestedAtMs, askedAt, queuedAtMs, startedAtMs,
 * endedAtMs, outcome, isRefused, durationMs, unheardMs, reason, code, message, pauses, seeks }`, with fields missing until they are known.
 * `askedAt` is the wall time of the request (`performance.now()`); `pauses` are `{ fromMs, toMs }`, the last one without `toMs` if it was not
 * resumed; `seeks` are times. A playback is the `context` of its request, which identifies its events. `heard` (see Heard) is informed of each;
 * with `keeps: false` they are not kept beyond their end.
 */
class History {
  playbacks = []
  #live = new Set()
  #counts = { completed: 0, stopped: 0, failed: 0 }
  #keeps
  #heard

  constructor(session, { keeps = true, heard } = {}) {
    this.#keeps = keeps
    this.#heard = heard
    this.#on(session, 'queued', (playback, { atMs }) => (playback.queuedAtMs ??= atMs))
    this.#on(session, 'started', (playback, { atMs }) => {
      playback.startedAtMs = atMs
      heard?.started(playback, atMs)
    })
    this.#on(session, 'paused', (playback, { atMs }) => {
      playback.pauses.push({ fromMs: atMs })
      heard?.paused(playback, atMs)
    })
    this.#on(session, 'resumed', (playback, { atMs }) => {
      Object.assign(playback.pauses.at(-1) ?? {}, { toMs: atMs })
      if (playback.startedAtMs !== undefined) heard?.resumed(playback, atMs)
    })
    this.#on(session, 'sought', (playback, { atMs }) => playback.seeks.push(atMs))
    for (const outcome of OUTCOMES) {
      this.#on(session, outcome, (playback, { atMs, durationMs, unheardMs, reason, code, message }) => {
        this.#end(playback, { outcome, endedAtMs: atMs, durationMs, unheardMs, reason, code, message })
      })
    }
  }

  /** Adds a request that was made at `atMs`, and returns its playback. */
  requested({ requestId, trackId = 0, volume = 1 }, atMs) {
    const playback = { requestId, trackId, volume, requestedAtMs: atMs, askedAt: performance.now(), pauses: [], seeks: [] }
    this.#live.add(playback)
    if (this.#keeps) this.playbacks.push(playback)
    return playback
  }

  /** Removes a request that became no playback of its own. */
  joined(playback) {
    this.#live.delete(playback)
    if (this.#keeps) this.playbacks.splice(this.playbacks.lastIndexOf(playback), 1)
  }

  /** Records that a request was refused without an event. */
  refused(playback, { code, message }) {
    this.#end(playback, { outcome: 'failed', isRefused: true, endedAtMs: playback.requestedAtMs, durationMs: 0, code, message })
  }

  /** Returns true if a playback has not ended. */
  isLive() {
    return this.#live.size > 0
  }

  /** Returns the number of playbacks that ended with this outcome. */
  count(wanted) {
    return this.#counts[wanted]
  }

  #on(session, type, learn) {
    session.on(type, ({ context, ...event }) => this.#live.has(context) && learn(context, event))
  }

  #end(playback, facts) {
    Object.assign(playback, facts)
    this.#live.delete(playback)
    this.#counts[playback.outcome]++
    this.#heard?.ended(playback)
  }
}

module.exports = { History, OUTCOMES }
