'use strict'

// Questions between run.js and its child processes.

const { fork } = require('node:child_process')
const { once } = require('node:events')

/** A child process, which ends with this process. */
class Child {
  /** Called with each message that is no answer. */
  onMessage = () => {}
  #process
  #ended
  /** What settles the questions that are not answered, by their names. */
  #asked = new Map()

  constructor(file) {
    // LiveKit's client logs to stdout.
    this.#process = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#process.on('message', (message) => {
      if (message.answer === undefined) return this.onMessage(message)
      const question = this.#asked.get(message.answer)
      if (message.error === undefined) question?.resolve(message.value)
      else question?.reject(new Error(message.error))
    })
    this.#ended = once(this.#process, 'exit')
    this.#ended.then(([code, signal]) => {
      for (const [what, { reject }] of this.#asked) reject(new Error(`the process ended (${signal ?? code}) at ${what}`))
    })
    this.kill = () => this.#process.kill('SIGKILL')
    process.once('exit', this.kill)
  }

  /** Resolves with the answer. Rejects if there is an error, or no answer within `ms`. */
  async ask(what, given, ms) {
    let late
    try {
      return await new Promise((resolve, reject) => {
        this.#asked.set(what, { resolve, reject })
        late = setTimeout(reject, ms, new Error(`Expected an answer to ${what} within ${ms} ms but received none`))
        this.#process.send({ what, given })
      })
    } finally {
      clearTimeout(late)
      this.#asked.delete(what)
    }
  }

  async end() {
    this.kill()
    await this.#ended
    process.off('exit', this.kill)
  }
}

/** In a child: answers each question by a function of that name. */
function answer(answers) {
  process.on('message', async ({ what, given }) => {
    try {
      process.send({ answer: what, value: await answers[what](given) })
    } catch (error) {
      process.send({ answer: what, error: error.message })
    }
  })
}

module.exports = { Child, answer }
