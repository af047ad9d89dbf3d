'use strict'

// A load balancer for the signalling of a cluster: TCP, round robin, and a connection that one node refuses goes to the next. Media does
// not pass through it: it goes straight to the node that has the room.

const { once } = require('node:events')
const net = require('node:net')

/**
 * Balances connections over `nodes`, a list of `{ port }` on loopback that may change. Resolves with `{ url, close() }`. `onRoute(head, node)`
 * is called with the head of each connection's first request.
 */
async function startBalancer(nodes, onRoute = () => {}) {
  const sockets = new Set()
  let next = 0
  const server = net.createServer({ pauseOnConnect: true }, async (client) => {
    keep(client)
    const begin = next++
    for (let tried = 0; tried < nodes.length; tried++) {
      const node = nodes[(begin + tried) % nodes.length]
      const upstream = await reach(node)
      if (!upstream) continue
      keep(upstream)
      client.once('data', (head) => onRoute(head.toString('latin1'), node))
      client.pipe(upstream)
      upstream.pipe(client)
      client.on('close', () => upstream.destroy())
      // A node that is killed resets its connections.
      upstream.on('close', () => client.destroy())
      return
    }
    client.destroy()
  })
  function keep(socket) {
    sockets.add(socket.setNoDelay())
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    sockets.forEach((socket) => socket.destroy())
  }
  return { url: `ws://127.0.0.1:${server.address().port}`, close }
}

/** Connects to a node. Resolves with undefined if it refuses. */
function reach({ port }) {
  const socket = net.connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}

module.exports = { startBalancer }
