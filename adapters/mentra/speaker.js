'use strict'

// One user's SpeakerSession, and what plays in it as jobs, told in the events of the bridge that it takes the place of.

/** The cloud's words for our codes. */
const WORDS = {
  decode_failed: ['ERR_DECODE', 'ERR_TRUNCATED', 'ERR_EMPTY_SOURCE'],
  fetch_failed: [
    'ERR_FETCH_FAILED', 'ERR_FETCH_TIMEOUT', 'ERR_HTTP_STATUS', 'ERR_TOO_MANY_REDIRECTS', 'ERR_URL_BLOCKED', 'ERR_SOURCE_TOO_LARGE',
    'ERR_SPOOL_FULL', 'ERR_START_TIMEOUT', 'ERR_FILE', 'ERR_ACCESS_DENIED'
  ],
  join_failed: ['ERR_JOIN_FAILED', 'ERR_PUBLISH_FAILED', 'ERR_DISCONNECTED', 'ERR_OUTPUT'],
  unsupported_format: ['ERR_UNSUPPORTED_FORMAT']
}

const wordByCode = new Map(Object.entries(WORDS).flatMap(([word, codes]) => codes.map((code) => [code, word])))

/** The errors after which a session accepts nothing more. */
const GONE = ['ERR_CLOSED', 'ERR_INTERNAL']

/** The longest delay of a Node timer. */
const LONGEST_MS = 0x7fffffff

class Speaker {
  #open
  #report
  #leaveAfterMs
  #leave
  #session = null
  #jobs = new Set()

  /**
   * `open` opens a session when one is needed, and may throw. `tell` is called with each event of a job, and the job. A room that was idle
   * for `leaveAfterMs` is left.
   */
  constructor({ open, report, leaveAfterMs = Infinity }) {
    this.#open = open
    this.#report = report
    this.#leaveAfterMs = leaveAfterMs
  }

  /** Null before it is needed, and after the room was left. */
  get session() {
    return this.#session
  }

  /** The live jobs. */
  get jobs() {
    return [...this.#jobs]
  }

  /** Joins the room. */
  async connect() {
    const session = this.#opened()
    await session.connect()
    if (session === this.#session) this.#rest()
  }

  /**
   * Plays, and returns the job. It fails with `refusal` if there is one. `of` are further fields of the job. Never throws.
   */
  play({ requestId, url, volume, gain, stopOther, trackId }, of = {}, refusal) {
    const job = { requestId, audioUrl: url, ...of, startedAt: Date.now(), state: 'pending' }
    this.#jobs.add(job)
    clearTimeout(this.#leave)
    const playing = this.#play({
      requestId, audioUrl: url, ...loudness(volume, gain), stopOther: stopOther ?? true, trackId: trackId ?? 0
    }, refusal)
    job.requestId ??= playing.requestId
    playing.started.then((isHeard) => isHeard && this.#started(job))
    playing.then((result) => this.#over(job, result), (error) => this.#failed(job, error))
    return job
  }

  /** Stops one request (remembered for 5 s if it has not arrived yet), one track or everything. */
  async stop({ requestId, trackId, reason = 'stopped' }) {
    if (requestId !== undefined) return this.#opened().stopAudio({ requestId, reason, ahead: true })
    return (await this.#session?.stopAudio({ ...(trackId !== undefined && { trackId }), reason })) ?? { stopped: [] }
  }

  /** Leaves the room and stops everything; the next request joins again. */
  async close() {
    clearTimeout(this.#leave)
    const session = this.#session
    this.#session = null
    await session?.close()
  }

  #opened() {
    this.#session ??= this.#open()
    return this.#session
  }

  #play(request, refusal) {
    try {
      if (refusal) throw refusal
      return this.#opened().playAudio(request)
    } catch (error) {
      return Object.assign(Promise.reject(error), { started: Promise.resolve(false) })
    }
  }

  #started(job) {
    job.state = 'streaming'
    this.#report({ type: 'play_started', requestId: job.requestId, url: shown(job.audioUrl) }, job)
  }

  #over(job, { outcome, reason, durationMs }) {
    const isWhole = outcome === 'completed'
    job.state = isWhole ? 'completed' : 'cancelled'
    this.#end(job, { success: isWhole, durationMs, ...(!isWhole && { error: 'cancelled', reason }) })
  }

  #failed(job, error) {
    const told = { error: word(error), code: error.code, message: error.message }
    // The same request again gets the answer of the first.
    if (error.code === 'ERR_DUPLICATE_REQUEST') {
      this.#jobs.delete(job)
      this.#report({ type: 'error', requestId: job.requestId, ...told })
      return
    }
    if (GONE.includes(error.code)) this.close().catch(() => {})
    job.state = 'error'
    this.#end(job, { success: false, durationMs: error.durationMs ?? 0, ...told })
  }

  #end(job, { durationMs, ...how }) {
    job.durationMs = Math.round(durationMs)
    if (how.error) job.error = how.error
    this.#jobs.delete(job)
    this.#rest()
    this.#report({ type: 'play_complete', requestId: job.requestId, url: shown(job.audioUrl), durationMs: job.durationMs, ...how }, job)
  }

  #rest() {
    clearTimeout(this.#leave)
    if (this.#jobs.size > 0 || !this.#session || this.#leaveAfterMs === Infinity) return
    const leave = () => this.close().catch(() => {}) // a lost room is left already
    this.#leave = setTimeout(leave, Math.min(this.#leaveAfterMs, LONGEST_MS)).unref()
  }
}

/** Returns the cloud's word for an error, or else our code as one, such as `queue_full`. */
function word({ code }) {
  return wordByCode.get(code) ?? (typeof code === 'string' ? code : 'ERR_INTERNAL').replace(/^ERR_/, '').toLowerCase()
}

/** Converts a volume of the cloud's, where more than 1 boosts, to ours. */
function loudness(volume, gain) {
  const isLoud = typeof volume === 'number' && volume > 1
  const boost = (isLoud ? volume : 1) * (gain ?? 1)
  return { volume: isLoud ? 1 : (volume ?? 1), gain: boost }
}

/** Returns a URL for events and logs: without the user, and without the query, which contains the text that is spoken. */
function shown(url) {
  if (!URL.canParse(url)) return '<no URL>'
  const { protocol, host, pathname, search } = new URL(url)
  if (protocol === 'data:') return 'data:<masked>'
  return `${protocol}//${host}${pathname}${search && '?<masked>'}`
}

/** Returns the failure of a request that is refused before it is played. */
function failure(code, message) {
  return Object.assign(new Error(message), { code })
}

module.exports = { Speaker, failure }
