'use strict'

// One generation of the speaker: a process with one session in a room, which the router tells what to play.
//
//   node speaker.js ROOM IDENTITY     forked by router.js; LIVEKIT_URL and its keys name the server
//
// It takes the messages { play }, { adopt } and { handOver }, and sends { ready }, { event } and { description }.

const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession, liveKitFromEnv } = require('../..') // 'speaker-session'

/** Listeners that have not subscribed by then are not waited for. */
const LISTENERS_MS = 2000

const [room, identity] = process.argv.slice(2)
const session = new SpeakerSession({ output: liveKitFromEnv({ room, identity }) })

const send = (message) => process.connected && process.send(message)

session.on('event', (event) => send({ event }))

process.on('message', ({ play, adopt, handOver }) => {
  if (play) session.playAudio(play).catch(() => {}) // `failed` says so
  if (adopt) session.adopt(adopt)
  if (handOver) leave(handOver)
})

// A deploy: another generation is ready, in the room with an identity of its own.
process.once('SIGTERM', () => leave({ afterMs: 100 }))

/** Hands over everything that plays, and ends when its fall to silence was heard. */
async function leave(options) {
  send({ description: await session.handOver(options) })
  await session.close({ drain: true, withinMs: 8000 })
  process.disconnect()
}

async function enter() {
  const subscribed = once(session, 'subscribed')
  await session.connect()
  // Whoever listens hears the first sample, then.
  await Promise.race([subscribed, sleep(LISTENERS_MS, undefined, { ref: false })])
  send({ ready: true })
}

enter().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
