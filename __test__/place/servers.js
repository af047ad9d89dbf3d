'use strict'

// HTTP servers in their own process, with their own descriptors, which go on while a row's process is suspended. Run as a program, this
// is such a server, of the kind its argument names.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')

const { tone } = require('../support/wav')

const DRIP_MS = 200
const clip = tone(440, 50)
const long = tone(440, 5000)

const head = (length, connection) => `HTTP/1.1 200 OK\r\nconnection: ${connection}\r\ncontent-length: ${length}\r\n\r\n`

const KINDS = {
  /** Answers, and keeps every connection open. */
  keep: (socket) => socket.on('data', () => (socket.write(head(clip.length, 'keep-alive')), socket.write(clip))),
  /** Accepts a request and never answers. */
  silent: (socket) => socket.resume(),
  /** Sends a clip of 5 s bit by bit. */
  drip(socket) {
    socket.once('data', () => {
      socket.write(head(long.length, 'close'))
      let sent = 0
      const timer = setInterval(() => {
        socket.write(long.subarray(sent, (sent += 20_000)))
        if (sent >= long.length) socket.end()
      }, DRIP_MS)
      socket.on('close', () => clearInterval(timer))
    })
  }
}

/** Starts one on every address of 127.0.0.0/8; it ends with this process. Returns its port. */
async function startServer(kind) {
  // It has more descriptors than the row, where that is allowed.
  const command = 'ulimit -n 8192 2>/dev/null; exec "$0" "$@"'
  const child = spawn('sh', ['-c', command, process.execPath, __filename, kind], { stdio: ['pipe', 'pipe', 'inherit'] })
  process.once('exit', () => child.kill())
  child.unref()
  const [port] = await once(child.stdout, 'data')
  return Number(port)
}

function main(kind) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    KINDS[kind](socket)
  })
  server.listen({ port: 0, host: '0.0.0.0', backlog: 2048 }, () => console.log(server.address().port))
  process.stdin.on('close', () => process.exit()).resume()
}

if (require.main === module) main(process.argv[2])

module.exports = { startServer }
