'use strict'

const { EventEmitter } = require('node:events')

const check = require('./check')
const { SpeakerError } = require('./error')
const { NativeSession } = require('./native')

/** A timer that never fires in earnest: the longest that Node has. It is what keeps the process alive. */
const FOREVER_MS = 0x7fffffff

class SpeakerSession extends EventEmitter {
  #native
  #output
  /** Promises by the playback they wait for. */
  #playing = new Map()
  /** Promises by the ticket of the call they wait for. */
  #tickets = new Map()
  #lastTicket = 0
  #alive = undefined

  constructor(options) {
    super()
    const checked = check.sessionOptions(options)
    this.#output = { ...checked.output, onFrame: options.output.onFrame }
    // Weakly, or a session that was never closed would hold itself for ever.
    const session = new WeakRef(this)
    this.#native = new NativeSession(checked, (message) => session.deref()?.#receive(message))
  }

  async connect() {
    await this.#ask((ticket) => this.#native.connect(ticket))
  }

  playAudio(request) {
    const { promise, resolve, reject } = withResolvers()
    // Who listens to `failed` need not await the promise too: one bad request must not end a server.
    promise.catch(() => {})
    try {
      const accepted = this.#native.play(check.playRequest(request))
      if (typeof accepted !== 'string') throw new SpeakerError(accepted.code, accepted.message)
      this.#playing.set(accepted, { resolve, reject, trace: {} })
      Error.captureStackTrace?.(this.#playing.get(accepted).trace, this.playAudio)
      this.#stayAlive()
    } catch (error) {
      reject(error)
    }
    return promise
  }

  async stopAudio(target) {
    return { stopped: this.#native.stop(check.stopRequest(target)) }
  }

  playbacks() {
    return this.#native.playbacks()
  }

  stats() {
    return this.#native.stats()
  }

  async advance(ms) {
    const checked = check.duration(ms)
    await this.#ask((ticket) => this.#native.advance(checked, ticket))
  }

  recording() {
    const { type, channels } = this.#output
    if (type !== 'memory') {
      const message = `Expected output.type 'memory' for recording but received '${type}'`
      throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', message)
    }
    return { sampleRate: 48000, channels, samples: this.#native.recording() }
  }

  async close() {
    await this.#ask((ticket) => this.#native.close(ticket))
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  /** Makes a call that answers later, under a ticket. */
  #ask(call) {
    const { promise, resolve, reject } = withResolvers()
    const ticket = ++this.#lastTicket
    const refusal = call(ticket)
    if (refusal) throw new SpeakerError(refusal.code, refusal.message)
    this.#tickets.set(ticket, { resolve, reject })
    this.#stayAlive()
    return promise
  }

  /** Everything that comes back from the addon comes here, in order: answers, frames and events. */
  #receive(message) {
    if (message.ticket !== undefined) {
      const { resolve, reject } = this.#take(this.#tickets, message.ticket)
      if (message.error) reject(new SpeakerError(message.error.code, message.error.message))
      else resolve()
    } else if (message.frame !== undefined) {
      this.#output.onFrame(message.frame, { atMs: message.atMs })
    } else {
      this.#event(message)
    }
  }

  #event({ type, ...event }) {
    try {
      // An `error` that nobody listens to would be thrown.
      if (type !== 'error' || this.listenerCount('error') > 0) this.emit(type, event)
    } finally {
      // Also when a listener throws: the promise belongs to somebody else.
      if (type === 'completed' || type === 'stopped' || type === 'failed') this.#settle(type, event)
    }
  }

  #settle(outcome, { requestId, reason, durationMs, positionMs, code, message }) {
    const waiting = this.#take(this.#playing, requestId)
    if (!waiting) return // refused: its promise was rejected at once
    if (outcome === 'failed') {
      const error = new SpeakerError(code, message, { requestId, positionMs })
      // Where it was asked for is of more use than where it was told of.
      if (waiting.trace.stack) error.stack = waiting.trace.stack.replace(/^.*/, `${error}`)
      waiting.reject(error)
    } else if (outcome === 'stopped') {
      waiting.resolve({ requestId, outcome, reason, durationMs: positionMs, positionMs })
    } else {
      waiting.resolve({ requestId, outcome, durationMs, positionMs: durationMs })
    }
  }

  /** While something is awaited, Node stays; an idle session lets it go. */
  #stayAlive() {
    this.#alive ??= setInterval(() => this.#alive, FOREVER_MS)
  }

  #take(map, key) {
    const waiting = map.get(key)
    map.delete(key)
    if (this.#playing.size + this.#tickets.size === 0) {
      clearInterval(this.#alive)
      this.#alive = undefined
    }
    return waiting
  }
}

/** `Promise.withResolvers`, which Node has from 22 on. */
function withResolvers() {
  const resolvers = {}
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }))
  return resolvers
}

module.exports = { SpeakerSession }
