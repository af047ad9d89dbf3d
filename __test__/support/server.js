'use strict'

const { once } = require('node:events')
const net = require('node:net')

const { drip, flakyServer } = require('../../lib/testing')

/** Starts an HTTP server for one test. Returns its URL. */
async function serve(t, answer) {
  return (await flakyServer(answer, t)).url
}

/**
 * Starts a server for one test that answers as no HTTP library would: `answer(socket, request)` is called for each request, with its first
 * line, its headers by their names in lower case, and the number of earlier ones, in all and over the same connection. Returns its URL.
 */
async function serveBytes(t, answer) {
  const sockets = new Set()
  let count = 0
  const server = net.createServer((socket) => {
    sockets.add(socket)
    let [text, onConnection] = ['', 0]
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.setEncoding('latin1').on('data', (data) => {
      text += data
      for (let end; (end = text.indexOf('\r\n\r\n')) >= 0; text = text.slice(end + 4)) {
        const [line, ...fields] = text.slice(0, end).split('\r\n')
        const headers = Object.fromEntries(fields.map((field) => [field.split(':', 1)[0].toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]))
        answer(socket, { line, path: line.split(' ')[1], headers, before: count++, beforeOnConnection: onConnection++ })
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}

module.exports = { drip, serve, serveBytes }
