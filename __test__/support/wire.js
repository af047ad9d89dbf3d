'use strict'

// The network between one session and a LiveKit server: all that either says to the other comes through here.
//
// The signalling goes through a TCP proxy. In it, the server's ICE candidates are made to point at a UDP relay, those
// for TCP at a tunnel if there is one, and all others (the session's own) at a port where nobody is, so that no packet
// finds another way.

const { once } = require('node:events')
const net = require('node:net')

const { Relay } = require('./relay')
const { Frames } = require('./websocket')

const CANDIDATE = /(candidate:\S+ \d+ )(udp|tcp)( \d+ \S+ )(\d+)/gi
/** The discard port, which nobody serves. */
const NOWHERE = '9'

class Wire {
  /** Where a session finds the server. */
  url
  /** What carries the media. */
  media
  /** A Tunnel that carries it over TCP, if one is set before the session joins. */
  tunnel
  /** Sees every message of the signalling: `(text, 'up' or 'down')`. */
  onMessage = () => {}
  #server
  #sockets = new Set()
  #whole = true

  /** To the LiveKit server at `url`; goes with the test, if there is one. */
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
    this.#sockets.forEach((socket) => socket.destroy())
  }

  mend() {
    this.#whole = true
  }

  close() {
    this.cut()
    this.#server?.close()
    this.media?.close()
  }

  #connect(client, port) {
    if (!this.#whole) return client.destroy()
    const upstream = net.connect(port, '127.0.0.1')
    this.#forward(client, upstream, 'up', () => NOWHERE)
    this.#forward(upstream, client, 'down', (protocol, serverPort) => {
      const carrier = protocol.toLowerCase() === 'udp' ? this.media : this.tunnel
      return carrier?.standsFor(Number(serverPort)) ?? NOWHERE
    })
  }

  /** Passes on what one says to the other; `portFor` says which port takes the place of a candidate's. */
  #forward(from, to, direction, portFor) {
    const frames = new Frames((text) => {
      this.onMessage(text, direction)
      return text.replace(CANDIDATE, (_, start, protocol, address, port) => {
        return start + protocol + address + String(portFor(protocol, port)).padStart(port.length, '0')
      })
    })
    this.#sockets.add(from)
    from.on('data', (chunk) => to.write(frames.push(chunk)))
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }
}

module.exports = { Wire }
