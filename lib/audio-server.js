'use strict'

const { once } = require('node:events')
const http = require('node:http')
const { pipeline } = require('node:stream')

const { CONTENT_TYPES } = require('./audio-stream')

/** How long a listener may take for the end of the stream once the session is closed. */
const LINGER_MS = 2000

/** The address at which a server that listens at all of them is reached from this machine. */
const LOOPBACK = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** A server whose session is not used any more is closed, as an output is. */
const forgotten = new FinalizationRegistry((server) => server.close())

/** The server of the output `http`: answers each GET with a stream of its session. It does not keep Node alive, nor its session. */
class AudioServer {
  #server
  #session
  #options
  #codec
  #isClosed = false
  /** The promise of the URL, while the server starts and listens. */
  #listening
  /** Sockets with a response that does not end: what comes behind its request is not answered. */
  #busy = new WeakSet()
  url

  /** `options` are `{ host, port, path }`. */
  constructor(session, options, codec) {
    this.#session = new WeakRef(session)
    this.#options = options
    this.#codec = codec
    forgotten.register(session, this)
  }

  /** Starts to listen, unless it does. Returns the URL. */
  listen() {
    this.#listening ??= this.#start().catch((error) => {
      this.#listening = undefined
      throw error
    })
    return this.#listening
  }

  async #start() {
    const { host, port, path } = this.#options
    const server = http.createServer((request, response) => this.#answer(request, response))
    server.on('connection', (socket) => socket.unref())
    server.listen({ host, port }).unref()
    await once(server, 'listening')
    if (this.#isClosed) {
      server.close()
      throw new Error('the session is closed')
    }
    // A connection that can't be accepted is the client's loss alone.
    server.on('error', () => {})
    this.#server = server
    const { address, family, port: actual } = server.address()
    const name = LOOPBACK[address] ?? address
    this.url = `http://${family === 'IPv6' ? `[${name}]` : name}:${actual}${path}`
    return this.url
  }

  /** Stops listening. Responses that do not end, because their client does not read, are cut off. */
  close() {
    this.#isClosed = true
    const server = this.#server
    if (!server?.listening) return
    server.close()
    setTimeout(() => server.closeAllConnections(), LINGER_MS).unref()
  }

  #answer(request, response) {
    const { socket } = request
    if (this.#busy.has(socket)) return socket.destroy()
    response.setHeader('Cache-Control', 'no-store')
    if (pathOf(request.url) !== this.#options.path) return respond(response, 404)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return respond(response, 405)
    }
    response.setHeader('Accept-Ranges', 'none')
    response.setHeader('Content-Type', CONTENT_TYPES[this.#codec])
    if (request.method === 'HEAD') return response.end()
    let stream
    try {
      stream = this.#session.deref()?.audioStream()
    } catch {
      // It is being closed.
    }
    if (!stream) return respond(response, 503)
    this.#busy.add(socket)
    response.setHeader('Connection', 'close')
    // MP3 has no headers of its own: its first bytes may take a while.
    response.flushHeaders()
    pipeline(stream, response, () => {})
  }
}

function respond(response, status) {
  const text = `${http.STATUS_CODES[status]}\n`
  response.writeHead(status, { 'Content-Type': 'text/plain' }).end(text)
}

/** Returns the path of a request's target, which may be a whole URL (RFC 9112 §3.2.2). */
function pathOf(target) {
  return target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0] || '/'
}

module.exports = { AudioServer }
