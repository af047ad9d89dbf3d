'use strict'

const OUTCOMES = ['completed', 'stopped', 'failed']

/**
 * What becomes of every play request, in order of request: `{ requestId, trackId, volume, requestedAtMs, startedAtMs,
 * endedAtMs, outcome, durationMs, reason, code, message }`, each there as soon as it is known; `pauses` are `{ fromMs, toMs }`, the
 * last one without an end if it has none, and `seeks` times.
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

  /** Enters a request that is made now. */
  requested({ requestId, trackId = 0, volume = 1 }, atMs) {
    const playback = { requestId, trackId, volume, requestedAtMs: atMs, pauses: [], seeks: [] }
    this.playbacks.push(playback)
    return playback
  }

  /** Enters that a request was refused, of which no event tells. */
  refused(playback, { code, message }) {
    Object.assign(playback, { outcome: 'failed', endedAtMs: playback.requestedAtMs, durationMs: 0, code, message })
  }

  isLive() {
    return this.playbacks.some(({ outcome }) => outcome === undefined)
  }

  count(wanted) {
    return this.playbacks.filter(({ outcome }) => outcome === wanted).length
  }

  #learn(requestId, facts) {
    Object.assign(this.#live(requestId) ?? {}, facts)
  }

  /** An id may come again once its playback has ended, so an event is about the first that has not. */
  #live(requestId) {
    return this.playbacks.find((each) => each.requestId === requestId && each.outcome === undefined)
  }
}

module.exports = { History, OUTCOMES }
