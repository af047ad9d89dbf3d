'use strict'

// Remote procedure calls between participants, as LiveKit's clients make them (version 1): a request, its acknowledgement, and the
// response or an error. The caller has one time limit for the acknowledgement and another for the response.

const { randomUUID } = require('node:crypto')

const { MAX_PAYLOAD } = require('../check/values')
const { SpeakerError } = require('../error')

const VERSION = 1

/** The time limit for the acknowledgement. */
const ACK_MS = 7000

/** The maximum size of an error's message, in bytes. */
const MAX_MESSAGE = 256

/** The error codes of LiveKit's clients, and their messages. */
const ERRORS = {
  1400: 'Method not supported at destination',
  1404: 'Unsupported RPC version',
  1500: 'Application error in method handler',
  1501: 'Connection timeout',
  1502: 'Response timeout',
  1503: 'Recipient disconnected',
  1504: 'Response payload too large'
}

class Rpc {
  /** Methods by their names. */
  #methods = new Map()
  /** Pending calls by their ids. */
  #calls = new Map()
  #send
  #listen

  /** `send(rpc, to)` resolves when a message is on its way; `listen` is called when messages from others become relevant. */
  constructor(send, listen) {
    this.#send = send
    this.#listen = listen
  }

  /** Starts to receive messages from others. */
  get isUsed() {
    return this.#methods.size > 0 || this.#calls.size > 0
  }

  register(method, handler) {
    this.#methods.set(method, handler)
    this.#listen()
  }

  unregister(method) {
    this.#methods.delete(method)
  }

  perform({ to, method, payload, timeoutMs }) {
    const id = randomUUID()
    const call = { identity: to }
    call.promise = new Promise((resolve, reject) => Object.assign(call, { resolve, reject }))
    this.#calls.set(id, call)
    this.#listen()
    this.#send({ id, method, payload, timeoutMs }, [to]).then(
      () => {
        // The answer may have come already.
        if (this.#calls.get(id) !== call) return
        call.response = setTimeout(() => this.#fail(id, failure(1502)), timeoutMs)
        if (!call.isAcknowledged) call.ack = setTimeout(() => this.#fail(id, failure(1501)), ACK_MS)
      },
      (error) => this.#fail(id, error)
    )
    return call.promise
  }

  /** Handles a message. */
  receive({ identity, rpc, ...message }) {
    if (rpc === 'request') return this.#answer(identity, message)
    const call = this.#calls.get(message.id)
    // Nobody else can answer for the participant that was called.
    if (call?.identity !== identity) return
    if (rpc === 'ack') {
      call.isAcknowledged = true
      clearTimeout(call.ack)
    } else if (rpc === 'response') {
      this.#over(message.id).resolve(message.payload)
    } else {
      this.#fail(message.id, failure(message.code, message.message, message.data))
    }
  }

  /** Fails the calls of a participant that has left the room. */
  left(identity) {
    for (const [id, call] of this.#calls) if (call.identity === identity) this.#fail(id, failure(1503))
  }

  /** Fails all calls because the room is gone, for this reason. */
  end(reason) {
    const code = reason === 'closed' ? 'ERR_CLOSED' : 'ERR_DISCONNECTED'
    const gone = () => new SpeakerError(code, `Expected a room until the call is answered but it is gone: ${reason}`)
    for (const id of this.#calls.keys()) this.#fail(id, gone())
  }

  #fail(id, error) {
    this.#over(id)?.reject(error)
  }

  #over(id) {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    clearTimeout(call?.ack)
    clearTimeout(call?.response)
    return call
  }

  async #answer(identity, { id, version, ...request }) {
    const reply = (answer) => this.#send({ id, ...answer }, [identity ?? '']).catch(() => {}) // who called will know by the time
    reply({})
    reply(version === VERSION ? await this.#invoke({ requestId: id, identity, ...request }) : error(1404))
  }

  async #invoke({ method, ...invocation }) {
    const handler = this.#methods.get(method)
    if (!handler) return error(1400)
    try {
      const payload = await handler(invocation)
      if (typeof payload !== 'string' || !payload.isWellFormed()) throw new TypeError(`Expected a string of well-formed Unicode from the handler of '${method}'`)
      return Buffer.byteLength(payload) > MAX_PAYLOAD ? error(1504) : { payload }
    } catch (thrown) {
      if (isFailure(thrown)) return error(thrown.rpcCode, cut(thrown.message, MAX_MESSAGE), cut(thrown.rpcData, MAX_PAYLOAD))
      process.emitWarning(thrown instanceof Error ? thrown : new Error(`the handler of '${method}' failed`))
      return error(1500)
    }
  }
}

/** Returns true for an error that is meant to be sent to the caller. */
function isFailure(thrown) {
  return Number.isInteger(thrown?.rpcCode) && thrown.rpcCode >= 0 && thrown.rpcCode <= 0xffffffff
}

/** Returns an error for the caller as a message. */
function error(code, message = ERRORS[code], data = '') {
  return { code, message, data }
}

/** Returns the error with which the promise of a call rejects. */
function failure(rpcCode, message = ERRORS[rpcCode], data = '') {
  return new SpeakerError('ERR_RPC', message, { rpcCode, ...(data && { rpcData: data }) })
}

/** Returns a text cut between characters to at most this many bytes. */
function cut(text, most) {
  const bytes = Buffer.from(String(text ?? ''))
  if (bytes.length <= most) return bytes.toString()
  let end = most
  while ((bytes[end] & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

module.exports = { Rpc }
