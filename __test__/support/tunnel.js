'use strict'

const { once } = require('node:events')
const net = require('node:net')

/** A TCP proxy in front of a server's port: it can break connections, and can be watched. */
class Tunnel {
  /** Called with every piece to the server: `(bytes)`. */
  onPacket = () => {}
  #server
  #serverPort
  #clients = new Set()

  static async open(t) {
    const tunnel = new Tunnel()
    tunnel.#server = net.createServer((client) => tunnel.#connect(client)).listen(0, '127.0.0.1')
    await once(tunnel.#server, 'listening')
    t.after(() => (tunnel.#server.close(), tunnel.break()))
    return tunnel
  }

  /** Returns the port to use in place of the server's. */
  standsFor(serverPort) {
    this.#serverPort = serverPort
    return this.#server.address().port
  }

  /** Breaks the current connections; new ones work. */
  break() {
    this.#clients.forEach((client) => client.destroy())
  }

  #connect(client) {
    const upstream = net.connect(this.#serverPort, '127.0.0.1')
    this.#clients.add(client)
    client.on('data', (bytes) => this.onPacket(bytes))
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => (client.destroy(), upstream.destroy(), this.#clients.delete(client)))
    }
  }
}

module.exports = { Tunnel }
