'use strict'

// Latency of playing and stopping a sound from memory in a LiveKit room: this addon against @livekit/rtc-node, both publishing one
// Opus track into the same room, alternately. It only reports: no time makes it fail.
//
// play on the wire   from the call of playAudio, or of the first captureFrame, to the first audible RTP packet
// stop on the wire   from the call of stopAudio, or of clearQueue, to the last audible RTP packet; 0 if it was earlier
// play at the ear    likewise, to the first audible frame (10 ms) of a listener's AudioStream, network and jitter buffer
//                    included
// stop at the ear    likewise, to its last audible frame
//
// The wire is a UDP relay in the measuring process, between the publisher and the server: the time is when Node gets
// the datagram, so the kernel and Node's event loop are included, and nothing of the server. Payloads are encrypted, but
// the audio-level header extension (RFC 6464) is not: a packet is audible if it declares
// more than −60 dBov, and a frame at the ear if its mean power is more. Each plays a tone of −13 dBFS for about 150 ms and is silent for the other's turn; by then
// the addon has parked. rtc-node has its queue of one second, filled as fast as it takes frames, as its examples do.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const os = require('node:os')
const path = require('node:path')

const { accessToken } = require('../lib/livekit/access-token')
const { startServer } = require('../scripts/livekit-server')
const { cells, named } = require('./percentiles')
const { operands, save } = require('./results')

// `node bench/latency.js [TURNS]`
const [TURNS = 150] = operands().map(Number)
const HUNG_MS = 600_000

const ROWS = {
  playOnWire: 'play on the wire',
  stopOnWire: 'stop on the wire',
  playAtEar: 'play at the ear',
  stopAtEar: 'stop at the ear'
}

/** Formats a number; 0 / 0 is not one. */
function number(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : '–'
}

async function main() {
  const server = await startServer()
  try {
    const token = (identity, grants) => accessToken(server, 'latency', identity, grants)
    const tokens = {
      ours: await token('ours', { canSubscribe: false }),
      official: await token('official'),
      ear: await token('ear', { canPublish: false })
    }
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
    const child = fork(path.join(__dirname, 'latency-turns.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
    let times
    child.on('message', (message) => (times = message))
    child.send({ url: server.url, tokens, turns: TURNS })
    const [code, signal] = await once(child, 'exit')
    if (!times) throw new Error(`the measuring ended with ${code ?? signal}`)
    report(times)
  } finally {
    await server.stop()
  }
}

function report({ ours, official }) {
  console.log(`${os.cpus().length} cores; ${TURNS} plays each, in turns; in ms`)
  console.log(' '.repeat(18) + ['A speaker-session', 'B rtc-node', 'A/B'].map((head) => head.padStart(26)).join(''))
  const heads = ['p50', 'p99', 'max'].map((head) => head.padStart(8)).join('')
  console.log(' '.repeat(20) + heads + '  ' + heads + '  ' + heads.slice(0, 16))
  for (const [name, title] of Object.entries(ROWS)) {
    const [a, b] = [ours, official].map((turns) => cells(turns.filter(Boolean).map((turn) => turn[name])))
    const text = (values, digits) => values.map((value) => number(value, digits).padStart(8)).join('')
    const ratios = a.slice(0, 2).map((value, n) => value / b[n])
    console.log(`${title.padEnd(20)}${text(a, 1)}  ${text(b, 1)}  ${text(ratios, 2)}`)
  }
  for (const [name, turns] of Object.entries({ A: ours, B: official })) {
    const missed = turns.filter((turn) => !turn).length
    if (missed > 0) console.log(`${name} was not heard ${missed} times`)
  }
  const rows = Object.keys(ROWS).map((name) => {
    const of = (turns) => named(turns.filter(Boolean).map((turn) => turn[name]))
    return { row: name, ours_ms: of(ours), official_ms: of(official) }
  })
  save('latency', { turns: TURNS, rows })
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
