'use strict'

// The speakers of run.js, in a process of their own: each plays without a pause in a room of its own, whatever happens to the cluster. Every
// event is sent to the parent with its time.

const { openAll } = require('../../bench/open-all')
const { SpeakerSession } = require('../..')
const { tone } = require('../support/wav')
const { answer } = require('./child')

/** What the mix does while nothing arrives, by session in turn. */
const POLICIES = ['pause', 'continue', 'drop']
const LOOP_MS = 1000
/** Events whose number depends on who listens, or on how busy the machine is. */
const PASSED_OVER = ['subscribed', 'overloaded', 'progress', 'participantJoined', 'participantChanged', 'participantLeft']

let clip
const sessions = []

function open({ url, tokens }, n) {
  const session = new SpeakerSession({
    output: { type: 'livekit', url, token: tokens[n], publish: [0], onReconnect: POLICIES[n % POLICIES.length] },
    maxDurationMs: 86_400_000
  })
  session.on('event', ({ type, reason, code, unheardMs }) => {
    if (!PASSED_OVER.includes(type)) process.send({ n, type, reason, code, unheardMs, at: Date.now() })
    // What an application does whose playbacks fail when the room is lost: it plays again, which waits for the room.
    if (type === 'failed') play(session)
  })
  sessions[n] = session
  return session
}

function play(session) {
  session.playAudio({ audio: clip, loop: true }).catch(() => {}) // `failed` tells it
}

answer({
  async open(given) {
    clip = await SpeakerSession.clip({ audio: tone(440, LOOP_MS) })
    const { errors } = await openAll(Object.keys(given.tokens), async (n) => {
      const session = open(given, Number(n))
      await session.connect()
      play(session)
    })
    return errors
  },
  states() {
    return sessions.map((session) => ({ connection: session.connection, playbacks: session.playbacks(), stats: session.stats() }))
  },
  async stop() {
    await Promise.all(sessions.map((session) => session.close()))
  }
})
