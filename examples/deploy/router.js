'use strict'

// A small router in front of two generations of a speaker: it passes requests to the newer one, and what the older one plays.

const { fork } = require('node:child_process')
const { EventEmitter } = require('node:events')
const path = require('node:path')

/** The time that a speaker has to join the room, or to hand over. */
const TIMEOUT_MS = 15_000

/** Starts speakers in a room, one after another. Emits `event` with `{ generation, type, … }` for what happens in each. */
class Router extends EventEmitter {
  #room
  #env
  #generation = 0
  #current
  #children = new Set()

  /** `env` are variables of the speakers' environment, beside those of this process: where the server is. */
  constructor(room, env = {}) {
    super()
    this.#room = room
    this.#env = env
  }

  /** Starts the first speaker. */
  async start() {
    this.#current = this.#fork(`speaker-${this.#generation + 1}`)
    await message(this.#current, 'ready')
  }

  play(request) {
    this.#current.send({ play: request })
  }

  /**
   * Replaces the speaker by a new process. It has an identity of its own and joins before the old one leaves; or, with `sameIdentity`, that of the
   * old one, whom the server ends then. Returns the description that was handed over.
   */
  async deploy({ sameIdentity = false } = {}) {
    const old = this.#current
    let description
    if (sameIdentity) {
      // Before the new one joins: then it is too late.
      old.send({ handOver: { whenReplaced: true } })
      const next = this.#fork(old.identity)
      description = await message(old, 'description')
      this.#current = next
    } else {
      const next = this.#fork(`speaker-${this.#generation + 1}`)
      await message(next, 'ready')
      // What comes from now on is for the new one.
      this.#current = next
      const handed = message(old, 'description')
      old.kill('SIGTERM')
      description = await handed
    }
    this.#current.send({ adopt: description })
    return description
  }

  /** Ends all speakers. */
  close() {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  #fork(identity) {
    const generation = ++this.#generation
    const child = fork(path.join(__dirname, 'speaker.js'), [this.#room, identity], { env: { ...process.env, ...this.#env } })
    child.identity = identity
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    child.on('message', ({ event }) => event && this.emit('event', { generation, ...event }))
    return child
  }
}

/** Resolves with the field `name` of the first message that has it. */
function message(child, name) {
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`a speaker ${why} before '${name}'`))
    const timer = setTimeout(() => fail(`took ${TIMEOUT_MS} ms`), TIMEOUT_MS)
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`))
    child.on('message', (content) => {
      if (content[name] === undefined) return
      clearTimeout(timer)
      resolve(content[name])
    })
  })
}

module.exports = { Router }
