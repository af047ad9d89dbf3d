'use strict'

// A hostile server. It runs in its own process, so that its CPU and memory are not counted as the addon's; it sends its parent the port,
// and exits with it.

const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const os = require('node:os')
const { setTimeout: sleep } = require('node:timers/promises')

const { bodies } = require('./bodies')

const DRIP_MS = 100
const SOUND = () => Buffer.concat([...bodies.wav()])
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n'

/** Writes as fast as the other side reads, until it disconnects. */
async function pour(to, pieces) {
  to.on('error', () => {})
  for (const piece of pieces) {
    if (to.destroyed) return
    if (to.write(piece)) continue
    await new Promise((resolve) => {
      const go = () => resolve(to.off('drain', go).off('close', go))
      to.on('drain', go).on('close', go)
    })
    // A generator never waits, and other clients need their turn.
    await sleep(0)
  }
  to.end()
}

/** The HTTP answers, by path. */
const answers = {
  '/redirect': (request, response) => response.writeHead(302, { location: '/redirect' }).end(),
  '/redirect-file': (request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/redirect-nowhere': (request, response) => response.writeHead(302).end(),
  '/204': (request, response) => response.writeHead(204).end(),
  '/206': (request, response) => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(SOUND()),
  '/416': (request, response) => response.writeHead(416).end(),
  '/500': (request, response) => pour(response.writeHead(500), bodies['mp3-zeros']()),
  '/type': (request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(SOUND()),
  '/no-type': (request, response) => response.writeHead(200, { 'content-type': '\xff'.repeat(5000) }).end(SOUND()),
  '/zip': (request, response) => pour(response.writeHead(200, { 'content-encoding': 'gzip' }), bodies.zip()),
  '/close': (request, response) => {
    const sound = SOUND()
    response.writeHead(200, { 'content-length': sound.length })
    response.write(sound.subarray(0, sound.length >> 1), () => response.destroy())
  },
  '/close-chunked': (request, response) => response.write(SOUND().subarray(0, 9000), () => response.destroy()),
  '/long': (request, response) => pour(response.writeHead(200, { 'content-length': 300e6 }), bodies['wav-endless']())
}

/** The answers as raw bytes, by path. */
const raw = {
  '/nothing': () => {},
  '/status-only': (socket) => socket.write(`${HEAD}\r\n`),
  '/headers-slow': async (socket) => {
    socket.write(HEAD)
    for (let n = 0; !socket.destroyed; n++) {
      socket.write(`X-${n}: a\r\n`)
      await sleep(DRIP_MS)
    }
  },
  '/headers-fast': (socket) => pour(socket, (function* () {
    yield HEAD
    for (;;) yield 'X-Header: value\r\n'.repeat(1000)
  })()),
  '/header-long': (socket) => pour(socket, (function* () {
    yield `${HEAD}X-Header: `
    for (;;) yield 'a'.repeat(65536)
  })()),
  '/hints': (socket) => pour(socket, (function* () {
    for (;;) yield 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(100)
  })()),
  '/drip': async (socket) => {
    socket.write(`${HEAD}\r\n`)
    for (const byte of SOUND()) {
      if (socket.destroyed) return
      socket.write(Buffer.from([byte]))
      await sleep(DRIP_MS)
    }
  },
  '/more': (socket) => {
    const sound = SOUND()
    socket.end(Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${sound.length}\r\n\r\n`), sound, SOUND()]))
  },
  '/length-wrong': (socket) => socket.end(`${HEAD}Content-Length: -1\r\n\r\n`),
  '/length-huge': (socket) => pour(socket, (function* () {
    yield `${HEAD}Content-Length: 18446744073709551615\r\n\r\n`
    yield* bodies['wav-endless']()
  })()),
  '/chunk-huge': (socket) => pour(socket, (function* () {
    yield `${HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n`
    yield* bodies['wav-endless']()
  })()),
  '/chunk-tiny': (socket) => pour(socket, (function* () {
    yield `${HEAD}Transfer-Encoding: chunked\r\n\r\n`
    const byte = (value) => `1\r\n${String.fromCharCode(value)}\r\n`
    for (const at of [...SOUND()]) yield Buffer.from(byte(at), 'latin1')
    yield '0\r\n\r\n'
  })()),
  '/chunk-wrong': (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nRIFF`),
  '/chunk-comment': (socket) => pour(socket, (function* () {
    yield `${HEAD}Transfer-Encoding: chunked\r\n\r\n1;`
    for (;;) yield 'x'.repeat(65536)
  })()),
  '/junk': (socket) => socket.end('RIFFjunk, as HTTP/0.9 would send it\n'.repeat(100)),
  '/reset': (socket) => socket.resetAndDestroy(),
  '/reset-within': (socket) => {
    const sound = SOUND()
    socket.write(Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${sound.length}\r\n\r\n`), sound.subarray(0, sound.length >> 1)]))
    setTimeout(() => socket.resetAndDestroy(), DRIP_MS)
  }
}

async function main() {
  os.setPriority(10)
  const polite = http.createServer((request, response) => {
    const name = request.url.slice('/body/'.length)
    if (answers[request.url]) answers[request.url](request, response)
    else pour(response, bodies[name]())
  })
  polite.listen(0, '127.0.0.1')
  await once(polite, 'listening')
  // Every connection ends after its answer: the next request may be for the other half.
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (data) => {
      const [, url] = data.toString('latin1').split(' ')
      if (raw[url]) return raw[url](socket)
      const onward = net.connect(polite.address().port, '127.0.0.1')
      onward.on('error', () => socket.destroy())
      onward.on('close', () => socket.destroy())
      socket.on('close', () => onward.destroy())
      onward.write(data.toString('latin1').replace('\r\n', '\r\nConnection: close\r\n'))
      socket.pipe(onward).pipe(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send(server.address().port)
}

process.once('disconnect', () => process.exit())
main()
