'use strict'

// Barge-in on a phone call, with messages as Azure Communication Services takes them (media streaming): as soon as the caller
// begins to speak, the current speech stops; what the caller has said is answered, and that replaces a reply that still runs.
//
//   node examples/barge-in.js > messages.jsonl    what goes to the call's WebSocket; what happens is told on stderr
//   node examples/barge-in.js --realtime          the same at the speed of speech
//
// The recognizer is a list of results, and the speech service reads files. The clock is manual, so that the example ends at once and
// gives the same messages each time; a real call leaves `clock` out, as --realtime does, and has a real socket.

const { readFileSync } = require('node:fs')
const path = require('node:path')
const { pipeline } = require('node:stream/promises')
const { setImmediate: immediate, setTimeout: sleep } = require('node:timers/promises')

const { SpeakerLine, acs } = require('../adapters/websocket') // 'speaker-session/websocket'

const RECOGNIZED = [
  { atMs: 0, final: 'what is new?', answer: 'welcome.mp3' },
  { atMs: 1500, partial: 'wait' },
  { atMs: 1700, partial: 'wait, any' },
  { atMs: 1900, final: 'wait, any meetings?', answer: 'reminder.mp3' },
  { atMs: 2500, final: 'and the front door?', answer: 'urgent.mp3' }, // said so fast that no partial result came before
  { atMs: 4500, final: 'and the weather?', answer: 'welcome.mp3' },
  { atMs: 5200, partial: 'never' },
  { atMs: 5500, final: 'never mind', answer: 'reminder.mp3' }
]

const realtime = process.argv.includes('--realtime')

const line = new SpeakerLine({
  socket: { readyState: 1, bufferedAmount: 0, send: (message) => console.log(message) }, // a WebSocket
  codec: acs(),
  clock: realtime ? 'realtime' : 'manual'
})

let turns = 0

/** Handles the beginning of the caller's speech. Recognizers report it several times. */
function onPartial() {
  return cancelReply('barge-in')
}

/** Answers what the caller has said, in place of any reply that plays or is being prepared. */
async function onFinal(answer) {
  const group = `turn ${++turns}`
  await cancelReply('next turn')
  // From here on the reply can be cancelled, even before its first word is ready.
  const speech = line.session.createStream({ group, format: 'mp3', role: 'voice' })
  pipeline(reply(answer), speech).catch(() => {}) // `finished` reports it too
  try {
    const { outcome, durationMs } = await speech.finished
    console.error(`${group}: ${outcome} after ${durationMs.toFixed(1)} ms`)
  } catch ({ code, message }) {
    console.error(`${group}: ${code}: ${message}`)
  }
}

/** Stops the current reply, if there is one: the call is silent at once, and `reply` ends with its stream. */
async function cancelReply(reason) {
  const { groups } = await line.interrupt({ keep: ['system'], reason })
  for (const { group, heardMs } of groups) console.error(`${group}: ${heardMs.toFixed(1)} ms were sent (${reason})`)
}

/** Yields the agent's answer in pieces, as a speech service sends it. */
async function* reply(answer) {
  const speech = readFileSync(path.join(__dirname, 'audio', answer))
  for (let at = 0; at < speech.length; at += 2000) {
    if (realtime) await sleep(20)
    yield speech.subarray(at, at + 2000)
  }
}

async function pass(ms) {
  if (realtime) return sleep(ms)
  await immediate() // what is written now is written before
  await line.session.advance(ms)
}

async function main() {
  let nowMs = 0
  for (const { atMs, partial, final, answer } of RECOGNIZED) {
    await pass(atMs - nowMs)
    nowMs = atMs
    console.error(`${atMs} ms: ${partial ? `${partial} …` : final}`)
    if (partial) onPartial()
    else onFinal(answer)
  }
  do await pass(100)
  while (line.session.playbacks().length > 0)
  await line.close()
}

main()
