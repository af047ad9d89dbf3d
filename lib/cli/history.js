'use strict'

const OUTCOMES = ['completed', 'stopped', 'failed']

/**
 * The playbacks of a session in order of request, each `{ requestId, trackId, volume, requestedAtMs, startedAtMs,
 * endedAtMs, outcome, durationMs, reason, code, message, pauses, seeks }`, with fields missing until they are known.
 * `pauses` are `{ fromMs, toMs }`, the last one without `toMs` if it was not resumed; `seeks` are times.
 */
class History {
  playbacks = []

  constructor(session) {
    session.on('started', ({ requestId, atMs }) => this.#learn(requestId, { startedAtMs: atMs }))
    session.on('paused', ({ requestId, atMs }) => this.#live(requestId)?.pauses.push({ fromMs: atMs }))
    session.on('resumed', ({ requestId, atMs }) => Object.assign(this.#live(requestId)?.pauses.at(-1) ?? {}, { toMs: atMs }))
    session.on('sought', ({ requestId, atMs }) => this.#live(requestId)?.seeks.push(atMs))
    for (const outcome of OUTCOMES) {
      session.on(outcome, ({ seq, atMs, requestId, positionMs, ...why }) => {
        this.#learn(requestId, { outcome, endedAtMs: atMs, ...why })
      })
    }
  }

  /** Enters a request that is made at `atMs`, and returns its playback. */
  requested({ requestId, trackId = 0, volume = 1 }, atMs) {
    const playback = { requestId, trackId, volume, requestedAtMs: atMs, pauses: [], seeks: [] }
    this.playbacks.push(playback)
    return playback
  }

  /** Enters that a request was refused without an event. */
  refused(playback, { code, message }) {
    Object.assign(playback, { outcome: 'failed', endedAtMs: playback.requestedAtMs, durationMs: 0, code, message })
  }

  /** Returns true if a playback has not ended. */
  isLive() {
    return this.playbacks.some(({ outcome }) => outcome === undefined)
  }

  /** Returns how many playbacks ended with this outcome. */
  count(wanted) {
    return this.playbacks.filter(({ outcome }) => outcome === wanted).length
  }

  #learn(requestId, facts) {
    Object.assign(this.#live(requestId) ?? {}, facts)
  }

  /** Returns the first playback of this id that has not ended: an id may be used again after its end. */
  #live(requestId) {
    return this.playbacks.find((each) => each.requestId === requestId && each.outcome === undefined)
  }
}

module.exports = { History, OUTCOMES }
