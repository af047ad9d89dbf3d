'use strict'

// Waits for what the addon makes from a source outside of sessions: a clip or a probe.

const { aborted, onAbort } = require('./abort')
const { listen } = require('./bell')
const { Pending } = require('./pending')

/** The only ticket: the addon answers under it. */
const TICKET = 0

/** Something that is being made. It is kept alive, and so is the process, until it is finished. */
class Making {
  #native
  #what
  #pending = new Pending(this)

  /** `native` is the addon's side, `what` its description in words. */
  constructor(native, what) {
    this.#native = native
    this.#what = what
    listen(native.number, this, (making) => making.#receive())
  }

  /** Settles once it is made, or the signal is aborted. */
  async made(signal) {
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
    const message = `the signal was aborted before ${this.#what}`
    this.#pending.answer({ ticket: TICKET, error: { code: 'ERR_ABORTED', message } })
  }
}

module.exports = { Making }
