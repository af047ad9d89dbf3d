'use strict'

// A TCP proxy before a LiveKit server that notes what is asked of it over HTTP, and how that is answered; it can speak for the server.

const { once } = require('node:events')
const net = require('node:net')

const { SignalResponse } = require('@livekit/protocol')

/** The head of an HTTP message in what has come, if it is there. */
const head = (bytes) => bytes.toString('latin1').split('\r\n\r\n')[0]

class Gate {
  url
  /** `{ path, token, status }` of each connection's first request, in order; no status until it is answered. */
  asked = []
  /** What the next ones get for an answer, instead of the server's, before the connection ends: each a function of the WebSocket's key. */
  refusals = []
  #server
  #sockets = new Set()
  /** The clients whose signalling is open. */
  #joined = new Set()

  /** Before the server at `url`; goes with the test. */
  static async open(url, t) {
    const gate = new Gate()
    gate.#server = net.createServer((client) => gate.#connect(client, new URL(url).port))
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    gate.url = `ws://127.0.0.1:${gate.#server.address().port}`
    t.after(() => (gate.#server.close(), gate.#sockets.forEach((socket) => socket.destroy())))
    return gate
  }

  /** Those that asked to join or to resume, with this status. */
  joins(status) {
    return this.asked.filter((request) => request.status === status && !request.path.includes('validate'))
  }

  /** Says a message (the parts of a `SignalResponse`) to those whose signalling is open, as if the server did. */
  say(message) {
    const payload = new SignalResponse({ message }).toBinary()
    const head = Buffer.from([0x82, 126, payload.length >> 8, payload.length & 0xff]) // RFC 6455 §5.2
    this.#joined.forEach((client) => client.write(Buffer.concat([head, payload])))
  }

  /** Ends the signalling that is open, behind what was said. */
  hangUp() {
    this.#joined.forEach((client) => client.end())
  }

  #connect(client, port) {
    this.#watch(client)
    client.once('data', (bytes) => {
      const [line, ...headers] = head(bytes).split('\r\n')
      const header = (name) => headers.find((header) => header.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2)
      const request = { path: line.split(' ')[1], token: header('authorization')?.slice('Bearer '.length) }
      this.asked.push(request)
      if (this.refusals.length > 0) return client.end(this.refusals.shift()(header('sec-websocket-key')))
      const upstream = net.connect(port, '127.0.0.1')
      this.#watch(upstream)
      upstream.once('data', (answer) => {
        request.status = Number(head(answer).split(' ')[1])
        if (request.status === 101) this.#joined.add(client)
      })
      upstream.write(bytes)
      client.pipe(upstream).pipe(client)
      client.on('close', () => upstream.destroy())
      upstream.on('close', () => client.destroy())
    })
  }

  #watch(socket) {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => (this.#sockets.delete(socket), this.#joined.delete(socket)))
  }
}

module.exports = { Gate }
