'use strict'

// Plays each user's lines of a log in a session of their own.

const { setTimeout: sleep } = require('node:timers/promises')

const { onAbort } = require('../abort')
const { SpeakerSession } = require('../session')
const { HeardStatistics, totals } = require('./heard-statistics')
const { History } = require('./history')
const { makeRequests } = require('./requests')

/** The default number of users that play at once on the manual clock: enough that some wait for servers while others play. */
const AT_ONCE = 32

/**
 * Plays users of a log (see Log), each in a session that is made for the first line and closed after the last. On the manual clock `atOnce`
 * of them play at once, in real time all, each at its time. Returns the report of what they heard; if `signal` is aborted, of those who
 * began.
 *
 * `options(user)` returns those of the session, whose clock is realtime if `isLive`. `onSession(session, name, offsetMs)` is called before
 * anything is played; times of the session are `offsetMs` later in the log. `onRefused(playback, name)` is called for a request that has
 * no event, `onMade(name, …)` after each request (see makeRequests), `onUser(report, session)` is awaited when a user is done. An error
 * thrown by `onSession` or `onUser` ends everything.
 */
async function replayUsers(users, options) {
  const replay = new UsersReplay(users, options)
  const { isLive, atOnce = isLive ? users.length : AT_ONCE, signal } = options
  const ended = Promise.all(Array.from({ length: Math.min(atOnce, users.length) }, () => replay.playInTurn()))
  if (signal?.aborted) replay.end()
  onAbort(signal, ended, () => replay.end())
  await ended
  return replay.report()
}

class UsersReplay {
  #users
  #waiting
  #options
  #begunAt = performance.now()
  #reports = new Map()
  #firstSounds = []
  #ended = new AbortController()
  #failure

  constructor(users, options) {
    this.#users = users
    this.#waiting = users[Symbol.iterator]()
    this.#options = options
  }

  /** Plays one user after the other, as long as there are users that were not begun. */
  async playInTurn() {
    for (let next = this.#waiting.next(); !next.done && !this.#isEnded; next = this.#waiting.next()) {
      try {
        await this.#play(next.value)
      } catch (error) {
        if (this.#isEnded) return
        this.#failure = error
        this.end()
      }
    }
  }

  end() {
    this.#ended.abort()
  }

  report() {
    if (this.#failure) throw this.#failure
    const users = this.#users.filter((user) => this.#reports.has(user)).map((user) => this.#reports.get(user))
    return { totals: totals(users, this.#options.isLive ? this.#firstSounds : undefined), users }
  }

  get #isEnded() {
    return this.#ended.signal.aborted
  }

  async #play(user) {
    const { options, isLive, onSession, onRefused, onMade, onUser } = this.#options
    const { zeroMs, firstMs = 0 } = user
    const signal = this.#ended.signal
    // In real time a session begins with its first line; on the manual clock silence costs nothing.
    const offsetMs = zeroMs + (isLive ? firstMs : 0)
    if (isLive) await sleep(Math.max(0, this.#begunAt + offsetMs - performance.now()), undefined, { signal })
    const session = new SpeakerSession(options(user))
    try {
      const errors = []
      session.on('error', (error) => errors.push(error))
      const heard = new HeardStatistics(session, { offsetMs, isLive })
      const history = new History(session, { keeps: false, heard })
      onSession?.(session, user.name, offsetMs)
      const timing = isLive ? { clock: 'realtime', zeroMs: -firstMs, begunAt: this.#begunAt + zeroMs } : { clock: 'manual' }
      const callbacks = { onRefused: (playback) => onRefused?.(playback, user.name), onMade: (...made) => onMade?.(user.name, ...made) }
      const played = makeRequests(session, user, history, { ...timing, signal, ...callbacks })
      onAbort(signal, played, () => session.close().catch(() => {})) // it is closed below too, where errors are told
      await played.catch((error) => errors.push(error))
      await session.close().catch((error) => errors.push(error))
      for (const ms of heard.firstSounds ?? []) this.#firstSounds.push(ms)
      const report = heard.report(user.name, zeroMs + firstMs)
      if (errors.length > 0) report.error = { code: errors[0].code, message: errors[0].message }
      this.#reports.set(user, report)
      await onUser?.(report, session)
    } finally {
      await session.close().catch(() => {})
    }
  }
}

module.exports = { replayUsers }
