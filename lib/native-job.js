'use strict'

// Waits for what the addon makes from a source outside of sessions: a clip or a probe.

const { aborted, onAbort } = require('./abort')
const { listen } = require('./bell')
const { Pending } = require('./pending')

/** The only ticket: the addon answers under it. */
const TICKET = 0

/** Something that is being made. It is kept alive, and so is the process, until it is finished. */
class NativeJob {
  #native
  #description
  #pending = new Pending(this)

  /** `native` is the addon's side, `description` says in words what it does. */
  constructor(native, description) {
    this.#native = native
    this.#description = description
    listen(native.number, this, (job) => job.#receive())
  }

  /** Settles once it is made, or the signal is aborted. */
  async done(signal) {
    const { promise } = this.#pending.addTicket(TICKET)
    onAbort(signal, promise, () => this.#abort())
    await promise.catch((error) => {
      throw error.code === 'ERR_ABORTED' ? aborted(error.message, signal) : error
    })
  }

  #receive() {
    const answer = this.#native.take()
    if (answer) this.#pending.answer(answer)
  }

  #abort() {
    this.#native.cancel()
    const message = `the signal was aborted before ${this.#description}`
    this.#pending.answer({ ticket: TICKET, error: { code: 'ERR_ABORTED', message } })
  }
}

module.exports = { NativeJob }
