'use strict'

// The sound that a listener misses with packet loss between a session and its server, at random and in both directions: with each packet
// sent once, and with `red`, where each repeats the one before it. The words are rising tones (chirp.js): the concealment of a
// listener's buffer sounds like an earlier part of the word, and counts as missing. The row without loss shows the accuracy. It only reports: no time makes it fail.

const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, openServer, publish, roomOn, speak } = require('../__test__/support/room')
const { Wire } = require('../__test__/support/wire')
const { chirp, missing } = require('./chirp')
const { operands, save } = require('./results')

// `node bench/loss.js [WORDS]`; all cases run at the same time, each in a room of its own
const [WORDS = 100] = operands().map(Number)
const WORD_MS = 300
/** The time after which a listener's buffer has returned all of a word. */
const HEARD_MS = 600
const LOSSES = [0, 0.05, 0.1, 0.15]
const WAYS = [['once', { red: false }], ['red', { red: true }]]

async function measure(t, server, { loss, name, output }) {
  const room = roomOn(t, server)
  const ear = await room.join()
  const wire = await Wire.open(server.url, t)
  const { session } = speak(t, room, { url: wire.url, ...output })
  await publish(session, { ...room, ear })
  wire.media.loss = loss
  let [inside, silent] = [0, 0]
  for (let n = 0; n < WORDS; n++) {
    const heard = fromNow(ear, 'speaker')
    await session.playAudio({ audio: chirp(WORD_MS) })
    await sleep(HEARD_MS)
    const { start, within } = missing(heard(), WORD_MS)
    inside += within
    if (start === WORD_MS) silent += 1
  }
  return { loss, way: name, missing: inside / (WORDS * WORD_MS), silent, reported: session.stats().link?.loss }
}

async function main() {
  const ends = []
  const t = { name: 'loss', after: (end) => ends.unshift(end) }
  try {
    const server = await openServer(t)
    const ways = LOSSES.flatMap((loss) => WAYS.map(([name, output]) => ({ loss, name, output })))
    const rows = await Promise.all(ways.map((way) => measure(t, server, way)))
    console.log(`${WORDS} words of ${WORD_MS} ms each; what is missing inside of them`)
    for (const { loss, way, missing: share, silent, reported } of rows) {
      const told = reported === undefined ? '-' : `${(100 * reported).toFixed(1)} %`
      console.log(
        `${`${100 * loss} %`.padStart(5)} lost  ${way.padEnd(5)} ${(100 * share).toFixed(2).padStart(7)} %  ` +
        `${String(silent).padStart(3)} words not heard  stats().link.loss ${told}`
      )
    }
    save('loss', { words: WORDS, wordMs: WORD_MS, rows })
  } finally {
    for (const end of ends) await end()
    await dispose()
  }
}

main()
