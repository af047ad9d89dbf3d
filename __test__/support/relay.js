'use strict'

const dgram = require('node:dgram')
const { once } = require('node:events')

/**
 * A UDP relay in front of a server's media port: it loses, delays and cuts packets, and can be watched.
 */
class Relay {
  /** The share of packets that get lost, in either direction. */
  loss = 0
  delayMs = 0
  /** Returns true for the ports of clients that get through. */
  admits = () => true
  /** Called with every packet to the server as it arrives, lost or not: `(bytes, atMs)`. */
  onPacket = () => {}
  #whole = true
  #socket = dgram.createSocket('udp4')
  #serverPort
  /** The socket that stands for each client at the server. */
  #clients = new Map()

  static async open() {
    const relay = new Relay()
    relay.#socket.on('message', (bytes, from) => {
      relay.onPacket(bytes, performance.now())
      if (relay.admits(from.port)) relay.#pass(() => relay.#client(from).send(bytes, relay.#serverPort, '127.0.0.1'))
    })
    relay.#socket.bind(0, '127.0.0.1')
    await once(relay.#socket, 'listening')
    return relay
  }

  /** Returns the port to use in place of the server's. */
  standsFor(serverPort) {
    this.#serverPort = serverPort
    return this.#socket.address().port
  }

  cut() {
    this.#whole = false
  }

  mend() {
    this.#whole = true
  }

  close() {
    this.cut()
    for (const socket of [this.#socket, ...this.#clients.values()]) socket.close()
  }

  #client({ address, port }) {
    const name = `${address}:${port}`
    if (!this.#clients.has(name)) {
      const socket = dgram.createSocket('udp4')
      socket.on('message', (bytes) => this.#pass(() => this.#socket.send(bytes, port, address)))
      socket.on('error', () => {})
      this.#clients.set(name, socket)
    }
    return this.#clients.get(name)
  }

  #pass(send) {
    if (!this.#whole || Math.random() < this.loss) return
    if (this.delayMs === 0) send()
    else setTimeout(() => this.#whole && send(), this.delayMs)
  }
}

module.exports = { Relay }
