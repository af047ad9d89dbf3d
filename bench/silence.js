'use strict'

// What a silent session is rated in its room, and what a listener misses of the word that ends the silence: a word, then nothing
// for a while, then a word again. Two raters: `stats().link` of the session, and what the server tells a listener of it.
// The word is that of words.js. It reports; nothing fails on time.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const { accessToken } = require('../lib/livekit/access-token')
const { startServer } = require('../scripts/livekit-server')

// `node bench/silence.js [SECONDS]`
const SECONDS = Number(process.argv[2] ?? 60)
const WORD_MS = 300
const HUNG_MS = (SECONDS + 60) * 1000

async function main() {
  const server = await startServer()
  try {
    const give = (identity, grants) => accessToken(server, 'silence', identity, grants)
    const tokens = { speaker: await give('speaker', { canSubscribe: false }), ear: await give('ear', { canPublish: false }) }
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
    const child = fork(path.join(__dirname, 'silence-session.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
    child.on('message', ({ second, who, quality, missing }) => {
      if (missing) return console.log(`of the word after ${SECONDS} s: ${missing.start} ms missing at its start, ${missing.within + missing.end} ms later`)
      console.log(`${second.toFixed(1).padStart(6)} s  ${who.padEnd(10)} ${quality}`)
    })
    child.send({ url: server.url, tokens, seconds: SECONDS, wordMs: WORD_MS })
    const [code, signal] = await once(child, 'exit')
    if (code !== 0) throw new Error(`the session ended with ${code ?? signal}`)
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
