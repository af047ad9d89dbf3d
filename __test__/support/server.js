'use strict'

// An HTTP server on loopback that misbehaves as asked.

const { once } = require('node:events')
const http = require('node:http')

/** A server for one test; says its address. */
async function serve(t, answer) {
  const server = http.createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** Sends so many bytes each time; ends with the body, if that ever does. */
function drip(response, body, { bytes, everyMs }) {
  let sent = 0
  const timer = setInterval(() => {
    response.write(body.subarray(sent, sent + bytes))
    sent += bytes
    if (sent >= body.length) response.end()
  }, everyMs)
  response.once('close', () => clearInterval(timer))
}

module.exports = { drip, serve }
