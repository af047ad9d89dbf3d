'use strict'

const path = require('node:path')

const { onAbort, refuseAborted } = require('./abort')
const { bell, listen } = require('./bell')
const { gathered } = require('./body')
const check = require('./check')
const { SpeakerClip } = require('./clip')
const { SpeakerError } = require('./error')
const { NativeClip } = require('./native')
const { useEnvironment } = require('./network')
const { Pending } = require('./pending')

/** The one ticket of a clip: that under which the addon answers. */
const TICKET = 0

/** A clip that is being made. It is kept, with the process, until it is. */
class Making {
  #native
  #pending = new Pending(this)

  constructor(native) {
    this.#native = native
    listen(native.number, this, (making) => making.#receive())
  }

  async made(signal) {
    const { promise } = this.#pending.addTicket(TICKET)
    onAbort(signal, promise, () => this.#abort())
    await promise
  }

  #receive() {
    const answer = this.#native.take()
    if (answer) this.#pending.answer(answer)
  }

  #abort() {
    this.#native.cancel()
    const message = 'the signal was aborted before the clip was made'
    this.#pending.answer({ ticket: TICKET, error: { code: 'ERR_ABORTED', message } })
  }
}

/** Makes a clip of a source. */
async function makeClip(source) {
  const { signal, body, ...checked } = check.clipRequest(source)
  refuseAborted(signal)
  if (body) checked.audio = await gathered(body, signal)
  if (!checked.network) useEnvironment()
  const native = NativeClip.make(checked, bell)
  if (native.code !== undefined) throw new SpeakerError(native.code, native.message)
  const { headers } = source
  const { contentType } = checked
  const audioUrl = checked.path === undefined ? checked.url : path.resolve(checked.path)
  const clip = new SpeakerClip(native, { audioUrl, headers: headers && { ...headers }, contentType })
  await new Making(native).made(signal)
  return clip
}

module.exports = { makeClip }
