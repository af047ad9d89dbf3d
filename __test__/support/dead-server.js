'use strict'

const { once } = require('node:events')
const net = require('node:net')

/** A dead server on the port of one that is gone: it ends every connection, and records the attempts. */
class DeadServer {
  /** The attempts to join or to resume, in order: `{ atMs, identity }`. */
  attempts = []
  #server
  #sockets = new Set()

  static async open(port) {
    const dead = new DeadServer()
    dead.#server = net.createServer((socket) => dead.#meet(socket))
    dead.#server.listen({ port, host: '127.0.0.1', backlog: 4096 })
    await once(dead.#server, 'listening')
    return dead
  }

  /** Returns the times of each identity's attempts, in ms. */
  byIdentity() {
    const times = new Map()
    for (const { atMs, identity } of this.attempts) times.set(identity, [...(times.get(identity) ?? []), atMs])
    return times
  }

  async close() {
    this.#sockets.forEach((socket) => socket.destroy())
    this.#server.close()
    await once(this.#server, 'close')
  }

  #meet(socket) {
    this.#sockets.add(socket)
    let head = ''
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (bytes) => {
      head += bytes.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      // LiveKit's clients request the reason of a refusal afterwards, which is not an attempt.
      if (/^upgrade: *websocket/im.test(head)) this.attempts.push({ atMs: performance.now(), identity: identityIn(head) })
      socket.destroy()
    })
  }
}

function identityIn(head) {
  const [, token] = /^authorization: *bearer (\S+)/im.exec(head)
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub
}

module.exports = { DeadServer }
