'use strict'

// A server of WAV files in its own process, so that its costs are not taken for the addon's. `/mono/30` is 30 s of a tone; it counts
// the bytes it has sent, part of which the system's buffers on the way hold.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')

const { wavHeader } = require('../../lib/wav-header')

const RATE = 48_000
const PIECE_SECONDS = 1
const CHANNELS = { mono: 1, stereo: 2 }

/** Returns the sample at a place: no two seconds are the same, so that none can be taken for another. */
const sampleAt = (n) => Math.round(9000 * Math.sin((2 * Math.PI * 440 * n) / RATE) + (n / RATE) % 1000)

function second(channels, number) {
  const bytes = Buffer.alloc(RATE * channels * 2)
  for (let n = 0; n < RATE * channels; n++) {
    bytes.writeInt16LE(sampleAt(number * RATE + Math.floor(n / channels)), 2 * n)
  }
  return bytes
}

async function answer(request, response, count) {
  const [, layout, seconds] = request.url.split('/')
  const channels = CHANNELS[layout]
  const length = Number(seconds) * RATE * channels * 2
  const head = wavHeader(length, RATE, channels)
  response.writeHead(200, { 'content-type': 'audio/wav', 'content-length': head.length + length })
  response.on('error', () => {})
  response.write(head)
  for (let number = 0; number < seconds && !response.destroyed; number += PIECE_SECONDS) {
    const piece = second(channels, number)
    count(piece.length)
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  response.end()
}

/** Starts the server. Returns its address, a function for the bytes handed to the system, and one that stops it. */
async function downloads() {
  const child = fork(__filename, { env: { ...process.env, LD_PRELOAD: '' } })
  const [port] = await once(child, 'message')
  const sent = async () => {
    child.send('sent')
    return (await once(child, 'message'))[0]
  }
  return { url: `http://127.0.0.1:${port}`, sent, close: () => child.kill('SIGKILL') }
}

if (require.main === module) {
  let sent = 0
  const server = http.createServer((request, response) => answer(request, response, (bytes) => (sent += bytes)))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('message', () => process.send(sent))
  process.once('disconnect', () => process.exit(0))
}

module.exports = { downloads, sampleAt }
