'use strict'

// The network between one session and a LiveKit server: all their traffic passes through here.
//
// The signalling goes through a TCP proxy. In it, the server's ICE candidates are made to point at a UDP relay, those
// for TCP at a tunnel if there is one, and all others (the session's own) at a port where nobody is, so that no packet
// finds another way.

const { once } = require('node:events')
const net = require('node:net')

const { SignalResponse } = require('@livekit/protocol')

const { Relay } = require('./relay')
const { Frames, closeFrame } = require('./websocket')

const CANDIDATE = /(candidate:\S+ \d+ )(udp|tcp)( \d+ \S+ )(\d+)/gi
/** The discard port, which nobody serves. */
const NOWHERE = '9'
/** The status of an upgrade to a WebSocket. */
const SWITCHING = 101
/** The close code of a server that goes away (RFC 6455 §7.4.1). */
const GOING_AWAY = 1001

class Wire {
  /** The URL at which a session finds the server. */
  url
  /** The Relay that carries the media. */
  media
  /** A Tunnel that carries it over TCP, if one is set before the session joins. */
  tunnel
  /** Called with every signalling message: `(text, 'up' or 'down')`. */
  onMessage = () => {}
  /**
   * Every request, in order: `{ atMs, path, query, token, key, upgrade, status }`. `upgrade` is set for an attempt to join or to resume, and
   * not for the request for the reason of a refusal, which LiveKit's clients make afterwards; `key` is that of its WebSocket.
   */
  requests = []
  /** Called with each request before the server gets it. May answer in its place by returning a status, or all bytes of the answer. */
  answers = () => undefined
  #server
  /** The connections of clients, each with its connection to the server. */
  #connections = new Map()
  /** The clients with open signalling. */
  #open = new Set()
  /** The clients whose connections are open and pass nothing on. */
  #deaf = new Set()
  #whole = true

  /** Opens a wire to the LiveKit server at `url`, for one test if given. */
  static async open(url, t) {
    const wire = new Wire()
    t?.after(() => wire.close())
    wire.media = await Relay.open()
    wire.#server = net.createServer((client) => wire.#connect(client, Number(new URL(url).port)))
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    wire.url = `ws://127.0.0.1:${wire.#server.address().port}`
    return wire
  }

  /** Ends the signalling connections, and refuses others till `mend`. */
  cut() {
    this.#whole = false
    for (const client of this.#connections.keys()) client.destroy()
  }

  mend() {
    this.#whole = true
  }

  /** Resets the signalling connections (TCP RST); new ones work. */
  reset() {
    for (const client of this.#connections.keys()) client.resetAndDestroy()
  }

  /**
   * Passes nothing on any more over the present signalling connections, which stay open: as a node does that passed it on to a node which
   * is dead now. New ones work.
   */
  deafen() {
    for (const client of this.#connections.keys()) this.#deaf.add(client)
  }

  /** Closes the signalling connections as a server that goes away does; new ones work. */
  sayGoodbye(code = GOING_AWAY) {
    for (const [client, upstream] of this.#connections) client.end(closeFrame(code), () => upstream.destroy())
  }

  /** Sends a message (the parts of a `SignalResponse`) to the clients with open signalling, as if the server did. */
  say(message) {
    const payload = new SignalResponse({ message }).toBinary()
    const head = Buffer.from([0x82, 126, payload.length >> 8, payload.length & 0xff]) // RFC 6455 §5.2
    this.#open.forEach((client) => client.write(Buffer.concat([head, payload])))
  }

  /** Returns the attempts to join or to resume since `fromMs`. */
  attempts(fromMs = 0) {
    return this.requests.filter(({ atMs, upgrade }) => upgrade && atMs >= fromMs)
  }

  close() {
    this.cut()
    this.#server?.close()
    this.media?.close()
  }

  #connect(client, port) {
    if (!this.#whole) return client.destroy()
    const upstream = net.connect(port, '127.0.0.1')
    this.#connections.set(client, upstream)
    const unanswered = []
    const up = this.#rewriting('up', () => NOWHERE, (head) => {
      const request = readRequest(head)
      this.requests.push(request)
      const answer = this.answers(request)
      if (answer === undefined) return unanswered.push(request) > 0
      const isStatus = typeof answer === 'number'
      if (isStatus) request.status = answer
      client.end(isStatus ? `HTTP/1.1 ${answer} by the wire\r\ncontent-length: 0\r\nconnection: close\r\n\r\n` : answer)
      return false
    })
    const standIn = (protocol, serverPort) => {
      const carrier = protocol.toLowerCase() === 'udp' ? this.media : this.tunnel
      return carrier?.standsFor(Number(serverPort)) ?? NOWHERE
    }
    const down = this.#rewriting('down', standIn, (head) => {
      const status = Number(head.split(' ')[1])
      const request = unanswered.shift()
      if (request) request.status = status
      if (status !== SWITCHING) return
      this.#open.add(client);
      [up, down].forEach((frames) => frames.upgrade())
    })
    const isDeaf = () => this.#deaf.has(client)
    forward(client, upstream, up, isDeaf)
    forward(upstream, client, down, isDeaf)
    client.on('close', () => [this.#connections, this.#open, this.#deaf].forEach((clients) => clients.delete(client)))
  }

  /** `portFor` returns the port that replaces a candidate's. */
  #rewriting(direction, portFor, onHead) {
    const rewrite = (text) => {
      this.onMessage(text, direction)
      return text.replace(CANDIDATE, (_, start, protocol, address, port) => {
        return start + protocol + address + String(portFor(protocol, port)).padStart(port.length, '0')
      })
    }
    return new Frames(rewrite, onHead)
  }
}

/** Passes data on from one socket to the other, unless it is deaf. */
function forward(from, to, frames, isDeaf) {
  from.on('data', (chunk) => isDeaf() || to.write(frames.push(chunk)))
  from.on('error', () => {})
  from.on('close', () => to.destroy())
}

function readRequest(head) {
  const [, path] = head.split(' ')
  return {
    atMs: performance.now(),
    path: path.split('?')[0],
    query: path.split('?')[1] ?? '',
    key: /^sec-websocket-key: *(\S+)/im.exec(head)?.[1],
    token: /^authorization: *bearer (\S+)/im.exec(head)?.[1] ?? /[?&]access_token=([^&\s]+)/.exec(path)?.[1],
    upgrade: /^upgrade: *websocket/im.test(head),
    status: undefined
  }
}

module.exports = { Wire }
