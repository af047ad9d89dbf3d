'use strict'

// Barge-in on a phone call, with messages as Azure Communication Services takes them (media streaming): as soon as the caller
// begins to speak, what is said to him stops; what he has said is answered in turn.
//
//   node examples/barge-in.js > messages.jsonl    what goes to the call's WebSocket; what happens is told on stderr
//   node examples/barge-in.js --realtime          the same at the speed of speech
//
// The recognizer is a list of what it tells, and the speech service reads files. Time is moved by hand, so that it is over
// at once and gives the same messages each time; a call leaves `clock` out, as --realtime does.

const { readFileSync } = require('node:fs')
const path = require('node:path')
const { pipeline } = require('node:stream/promises')
const { setImmediate: immediate, setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('..') // 'speaker-session'

const RECOGNIZED = [
  { atMs: 0, final: 'what is new?', answer: 'welcome.mp3' },
  { atMs: 1500, partial: 'wait' },
  { atMs: 1700, partial: 'wait, any' },
  { atMs: 1900, final: 'wait, any meetings?', answer: 'reminder.mp3' },
  { atMs: 2500, final: 'and the front door?', answer: 'urgent.mp3' }, // waits for its turn
  { atMs: 2700, final: 'and the weather?', answer: 'welcome.mp3' }, // one too many
  { atMs: 4500, partial: 'never' },
  { atMs: 4800, final: 'never mind', answer: 'reminder.mp3' }
]

const realtime = process.argv.includes('--realtime')
const send = (message) => console.log(JSON.stringify(message)) // socket.send(…)

/** What has an earlier time was interrupted. */
let silentUntilMs = 0

const session = new SpeakerSession({
  overlap: 'queue', // one turn after the other
  maxQueued: 1,
  output: {
    type: 'pcm',
    clock: realtime ? 'realtime' : 'manual',
    sampleRate: 16000,
    onFrame(frame, { atMs }) {
      if (atMs < silentUntilMs) return
      send({ Kind: 'AudioData', AudioData: { Data: frame.toString('base64') }, StopAudio: null })
    }
  }
})

/** What becomes of each turn. */
const turns = new Map()

/** The caller begins to speak. Recognizers tell that several times. */
async function onPartial() {
  const { interrupted } = await session.interrupt({ keep: ['system'], reason: 'barge-in' })
  if (interrupted.length === 0) return
  silentUntilMs = Infinity // the fade, which comes too late now
  send({ Kind: 'StopAudio', AudioData: null, StopAudio: {} })
  for (const { requestId, positionMs } of interrupted) console.error(`${requestId}: ${positionMs.toFixed(1)} ms were heard`)
  await Promise.all(interrupted.map(({ requestId }) => turns.get(requestId)))
  silentUntilMs = session.stats().timeMs
}

/** The caller has said something: the answer is spoken when those before it are. */
async function onFinal(answer) {
  const requestId = `turn ${turns.size + 1}`
  const speech = session.createStream({ requestId, format: 'mp3', role: 'voice', stopOther: false })
  turns.set(requestId, speech.finished)
  pipeline(synthesize(answer), speech).catch(() => {}) // `finished` tells it too
  try {
    const { outcome, durationMs } = await speech.finished
    console.error(`${requestId}: ${outcome} after ${durationMs.toFixed(1)} ms`)
  } catch ({ code, message }) {
    console.error(`${requestId}: ${code}: ${message}`)
  }
}

/** Speech arrives in pieces. */
async function* synthesize(answer) {
  const speech = readFileSync(path.join(__dirname, 'audio', answer))
  for (let at = 0; at < speech.length; at += 2000) {
    if (realtime) await sleep(20)
    yield speech.subarray(at, at + 2000)
  }
}

async function pass(ms) {
  if (realtime) return sleep(ms)
  await immediate() // what is written now is written before
  await session.advance(ms)
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
  while (session.playbacks().length > 0) await pass(100)
  await session.close()
}

main()
