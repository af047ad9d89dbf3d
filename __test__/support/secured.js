'use strict'

const { once } = require('node:events')
const net = require('node:net')
const tls = require('node:tls')

/** Starts a TLS proxy with a `certificate` in front of the server at `url`, for one test. Returns its port. */
async function secured(t, url, certificate) {
  const sockets = new Set()
  const server = tls.createServer(certificate, (client) => {
    const upstream = net.connect(new URL(url).port, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => (client.destroySoon(), upstream.destroySoon()))
    }
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.close(), sockets.forEach((socket) => socket.destroy())))
  return server.address().port
}

module.exports = { secured }
