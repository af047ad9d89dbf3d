'use strict'

// Counts what one user heard, event by event, so that no history has to be kept.

/** The maximum number of failures that a report lists. */
const MAX_REPORTED_FAILURES = 10

/** Samples of 48 kHz in a millisecond. */
const PER_MS = 48
/** Counts that are summed over users. */
const SUMS = ['plays', 'completed', 'stopped', 'failed', 'refused', 'unheard', 'heardMs', 'overlapMs', 'unheardMs', 'waited', 'waitedMs']

class HeardStatistics {
  #sums = Object.fromEntries(SUMS.map((name) => [name, 0]))
  #longestWaitMs = 0
  #codes = {}
  #failures = []
  /** For each that did not wait in a queue, the wall time from request to first sound; undefined on a manual clock. */
  #firstSounds
  #offsetMs
  /** The playbacks that sound now. */
  #sounding = new Set()
  #muted = new Set()
  #lastMs = 0

  /** Counts what a session plays. `offsetMs` is added to its times; `isLive`: it plays in real time. */
  constructor(session, { offsetMs = 0, isLive = false } = {}) {
    this.#offsetMs = offsetMs
    if (isLive) this.#firstSounds = []
    session.on('muted', ({ atMs, trackId }) => this.#sound(atMs, () => this.#muted.add(trackId)))
    session.on('unmuted', ({ atMs, trackId }) => this.#sound(atMs, () => this.#muted.delete(trackId)))
  }

  /** Counts a playback (see History) that has started at this time. */
  started(playback, atMs) {
    if (this.#firstSounds && playback.queuedAtMs === undefined) this.#firstSounds.push(performance.now() - playback.askedAt)
    this.resumed(playback, atMs)
  }

  /** Called when it sounds from here on. */
  resumed(playback, atMs) {
    this.#sound(atMs, () => this.#sounding.add(playback))
  }

  /** Called when it is silent from here on. */
  paused(playback, atMs) {
    this.#sound(atMs, () => this.#sounding.delete(playback))
  }

  /** Called when it has ended. */
  ended(playback) {
    this.paused(playback, playback.endedAtMs)
    this.#count(playback)
  }

  #count({ requestId, requestedAtMs, queuedAtMs, startedAtMs, endedAtMs, outcome, isRefused, durationMs, unheardMs = 0, code, message }) {
    const sums = this.#sums
    sums.plays++
    sums[isRefused ? 'refused' : outcome]++
    sums.unheardMs += unheardMs
    if (startedAtMs === undefined || unheardMs >= durationMs) sums.unheard++
    if (queuedAtMs !== undefined) this.#wait((startedAtMs ?? endedAtMs) - queuedAtMs)
    if (code === undefined) return
    this.#codes[code] = (this.#codes[code] ?? 0) + 1
    if (this.#failures.length < MAX_REPORTED_FAILURES) this.#failures.push({ requestId, atMs: this.#offsetMs + requestedAtMs, code, message })
  }

  /** Returns the report of the user of this name, whose first request is at `firstAtMs`. */
  report(user, firstAtMs) {
    const { plays, completed, stopped, failed, refused, unheard, heardMs, overlapMs, unheardMs, waited, waitedMs } = rounded(this.#sums)
    return {
      user, firstAtMs, plays, completed, stopped, failed, refused, codes: this.#codes, heardMs, overlapMs, unheard, unheardMs, waited, waitedMs,
      longestWaitMs: this.#longestWaitMs,
      ...(this.#firstSounds && { firstSoundMs: spread(this.#firstSounds) }),
      failures: this.#failures
    }
  }

  /** Returns the time to the first sound of each, if that was measured. */
  get firstSounds() {
    return this.#firstSounds
  }

  #wait(ms) {
    this.#sums.waited++
    this.#sums.waitedMs += ms
    this.#longestWaitMs = Math.max(this.#longestWaitMs, wholeSamples(ms))
  }

  /** Called when the set of what sounds changes at this time. */
  #sound(atMs, change) {
    const count = [...this.#sounding].filter(({ trackId }) => !this.#muted.has(trackId)).length
    const passed = Math.max(0, atMs - this.#lastMs)
    if (count > 0) this.#sums.heardMs += passed
    if (count > 1) this.#sums.overlapMs += passed
    this.#lastMs += passed
    change()
  }
}

/** Rounds a time to whole samples: a difference or a sum of times in ms may be 499.99999999999994 instead of 500. */
function wholeSamples(ms) {
  return Math.round(ms * PER_MS) / PER_MS
}

function rounded(sums) {
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, name.endsWith('Ms') ? wholeSamples(sum) : sum]))
}

/** Sums the reports of all users; `firstSounds` are theirs. */
function totals(reports, firstSounds) {
  const sums = rounded(Object.fromEntries(SUMS.map((name) => [name, reports.reduce((sum, report) => sum + report[name], 0)])))
  const codes = {}
  for (const report of reports) for (const [code, count] of Object.entries(report.codes)) codes[code] = (codes[code] ?? 0) + count
  const { plays, completed, stopped, failed, refused, heardMs, overlapMs, unheard, unheardMs, waited, waitedMs } = sums
  return {
    users: reports.length, plays, completed, stopped, failed, refused, codes, heardMs, overlapMs, unheard, unheardMs, waited, waitedMs,
    longestWaitMs: reports.reduce((most, { longestWaitMs }) => Math.max(most, longestWaitMs), 0),
    ...(firstSounds && { firstSoundMs: spread(firstSounds) })
  }
}

/** Returns the median, the 95th percentile and the maximum; null where nothing was measured. */
function spread(times) {
  const sorted = Float64Array.from(times).sort()
  const at = (share) => sorted[Math.ceil(share * sorted.length) - 1] ?? null
  return { median: at(0.5), p95: at(0.95), max: at(1) }
}

module.exports = { HeardStatistics, totals }
