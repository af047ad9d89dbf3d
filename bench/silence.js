'use strict'

// The quality rating of a silent session in its room, and what a listener misses of the word that ends the silence: a word, then a long
// silence, then a word again. Two sources of ratings: `stats().link` of the session, and the server's ratings at a listener. The word is
// that of words.js. It only reports: no time makes it fail.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const { accessToken } = require('../lib/livekit/access-token')
const { startServer } = require('../scripts/livekit-server')
const { operands, save } = require('./results')

// `node bench/silence.js [SECONDS]`
const [SECONDS = 60] = operands().map(Number)
const WORD_MS = 300
const HUNG_MS = (SECONDS + 60) * 1000

/** Prints for how many seconds of the silence it had each rating, from its first rating on. */
function report(who, ratings) {
  const seconds = {}
  for (const [n, { second, quality }] of ratings.entries()) {
    seconds[quality] = (seconds[quality] ?? 0) + (ratings[n + 1]?.second ?? SECONDS) - second
  }
  const parts = Object.entries(seconds).map(([quality, lasted]) => `${quality} for ${lasted.toFixed(1)} s`)
  console.log(`by the ${who}: ${parts.join(', ') || 'never rated'}`)
  return seconds
}

async function main() {
  const server = await startServer()
  try {
    const give = (identity, grants) => accessToken(server, 'silence', identity, grants)
    const tokens = { speaker: await give('speaker', { canSubscribe: false }), ear: await give('ear', { canPublish: false }) }
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
    const child = fork(path.join(__dirname, 'silence-session.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
    const ratings = []
    let missed
    child.on('message', ({ missing, ...rating }) => {
      if (missing) return (missed = missing)
      ratings.push(rating)
      console.log(`${rating.second.toFixed(1).padStart(6)} s  ${rating.who.padEnd(10)} ${rating.quality}`)
    })
    child.send({ url: server.url, tokens, seconds: SECONDS, wordMs: WORD_MS })
    const [code, signal] = await once(child, 'exit')
    if (code !== 0) throw new Error(`the session ended with ${code ?? signal}`)
    const [session, listener] = ['session', 'listener'].map((who) => report(who, ratings.filter((rating) => rating.who === who)))
    const { start, within, end } = missed
    console.log(`of the word after ${SECONDS} s ${start} ms are missing at its start, ${within + end} ms later`)
    save('silence', { seconds: SECONDS, rated_s: { session, listener }, missing_ms: { start, later: within + end } })
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
