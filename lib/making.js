'use strict'

// What the addon makes of a source beside its sessions, and how that is waited for.

const { aborted, onAbort } = require('./abort')
const { listen } = require('./bell')
const { Pending } = require('./pending')

/** The one ticket of what is made: that under which the addon answers. */
const TICKET = 0

/** Something that is being made. It is kept, with the process, until it is. */
class Making {
  #native
  #what
  #pending = new Pending(this)

  /** `native` is the addon's side, `what` is to be, in words. */
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
