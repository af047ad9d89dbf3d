'use strict'

// Proxies on loopback, which record their requests, and the environment variables for them.

const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const { pipeline } = require('node:stream')

const NAMES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY']

/** Sets the proxy variables for one test, and unsets the others. */
function useProxies(t, variables) {
  const names = NAMES.flatMap((name) => [name, name.toLowerCase()])
  const before = names.map((name) => process.env[name])
  const restore = () => names.forEach((name, n) => (before[n] === undefined ? delete process.env[name] : (process.env[name] = before[n])))
  t.after(restore)
  names.forEach((name) => delete process.env[name])
  Object.assign(process.env, variables)
}

/** Joins two sockets; each ends with the other, after it has passed on its data. */
function join(client, upstream) {
  client.pipe(upstream).pipe(client)
  for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', () => (client.destroySoon(), upstream.destroySoon()))
}

async function listening(t, server) {
  const sockets = new Set()
  server.on('connection', (socket) => sockets.add(socket.on('close', () => sockets.delete(socket))))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.close(), sockets.forEach((socket) => socket.destroy())))
  return server.address().port
}

/** An HTTP proxy: `{ port, asked }`. With a `login` (`user:password`) it refuses all others. */
async function openProxy(t, { login } = {}) {
  const asked = []
  const mayPass = ({ headers }) =>
    !login || headers['proxy-authorization'] === `Basic ${Buffer.from(login).toString('base64')}`
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (!mayPass(request)) return response.writeHead(407).end()
    const { 'proxy-authorization': _, ...headers } = request.headers
    http.get(request.url, { headers }, (answer) => {
      // A connection that the server resets is reset for the client.
      pipeline(answer, response.writeHead(answer.statusCode, answer.headers), () => {})
    })
  })
  server.on('connect', (request, client) => {
    asked.push(`CONNECT ${request.url}`)
    client.on('error', () => {})
    if (!mayPass(request)) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    // Any name: here all servers are on loopback.
    const upstream = net.connect(request.url.split(':').at(-1), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
    join(client, upstream)
  })
  return { port: await listening(t, server), asked }
}

/** A SOCKS5 proxy (RFC 1928) for names and addresses on loopback: `{ port, asked }`. */
async function openSocks(t) {
  const asked = []
  const server = net.createServer(async (client) => {
    client.on('error', () => {})
    const next = async () => (await once(client, 'data'))[0]
    await next()
    client.write(Buffer.from([5, 0]))
    const request = await next()
    const port = request.readUInt16BE(request.length - 2)
    const isName = request[3] === 3
    asked.push(isName ? `name ${request.subarray(5, -2)}:${port}` : `address ${[...request.subarray(4, -2)].join('.')}:${port}`)
    const upstream = net.connect(port, '127.0.0.1', () => client.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0])))
    join(client, upstream)
  })
  return { port: await listening(t, server), asked }
}

module.exports = { openProxy, openSocks, useProxies }
