'use strict'

// What a listener misses of the first and the last words. Each play is a session of its own in a room that already has a listener:
//
// first              a word of 300 ms as soon as `connect` has resolved, on track 0
// first on a track   the first word on a track that nothing has played on before
// in the middle      a word on track 0 after others: the accuracy of the measurement
// goodbye            a word, and `close` as soon as its promise has resolved
//
// The word is a rising tone (chirp.js), so each piece that was heard tells its position, to within 7 ms at either end; a
// listener's buffer may stretch or shorten it. Missing parts are counted at the start of the word, at its end, and in all.
// It only reports: no time makes it fail.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const os = require('node:os')
const path = require('node:path')

const { accessToken } = require('../lib/livekit/access-token')
const { startServer } = require('../scripts/livekit-server')
const { cells, named } = require('./percentiles')
const { operands, save } = require('./results')

// `node bench/words.js [PLAYS [ROWS]]`; rows of plays run at the same time, each in a room of its own
const [PLAYS = 200, ROWS = 2] = operands().map(Number)
const WORD_MS = 300
const HUNG_MS = 1_200_000

const PARTS = [{ head: 'at the start', key: 'start' }, { head: 'at the end', key: 'end' }, { head: 'in all', key: 'all' }]
const NAMES = { first: 'first', track: 'first on a track', middle: 'in the middle', goodbye: 'goodbye' }

async function main() {
  const server = await startServer()
  try {
    const rows = await Promise.all(Array.from({ length: ROWS }, async (_, row) => {
      const count = Math.ceil((PLAYS - row) / ROWS)
      const give = (identity, grants) => accessToken(server, `words-${row}`, identity, grants)
      const speakers = Array.from({ length: count }, (_, n) => `speaker-${n}`)
      const plays = await Promise.all(speakers.map(async (identity) => {
        return { identity, token: await give(identity, { canSubscribe: false }) }
      }))
      return { ear: await give('ear', { canPublish: false }), plays }
    }))
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
    const child = fork(path.join(__dirname, 'words-plays.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
    const words = []
    child.on('message', (word) => words.push(word))
    child.send({ url: server.url, rows, wordMs: WORD_MS })
    const [code, signal] = await once(child, 'exit')
    if (code !== 0) console.error(`the plays ended with ${code ?? signal}`)
    report(words)
  } finally {
    await server.stop()
  }
}

function report(words) {
  console.log(`${os.cpus().length} cores; ${PLAYS} plays, ${ROWS} at a time; missing ms of a word of ${WORD_MS} ms`)
  line('', '', PARTS.map(({ head }) => head.padStart(24)))
  line('word', 'plays', PARTS.map(() => numbers(['p50', 'p99', 'max'])))
  for (const [kind, name] of Object.entries(NAMES)) {
    const told = words.filter((word) => word.kind === kind)
    line(name, told.length, PARTS.map(({ key }) => numbers(cells(told.map((word) => word[key])))))
  }
  const rows = Object.keys(NAMES).map((kind) => {
    const told = words.filter((word) => word.kind === kind)
    const missing = PARTS.map(({ key }) => [`${key}_ms`, named(told.map((word) => word[key]))])
    return { row: kind, plays: told.length, ...Object.fromEntries(missing) }
  })
  for (const { failed } of words.filter((word) => word.failed)) console.log(`failed: ${failed}`)
  save('words', { wordMs: WORD_MS, rows })
}

function numbers(values) {
  return values.map((value) => String(value).padStart(8)).join('')
}

function line(name, count, columns) {
  console.log(name.padEnd(18) + String(count).padStart(6) + columns.map((column) => `  ${column}`).join(''))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
