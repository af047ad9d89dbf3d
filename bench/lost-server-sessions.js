'use strict'

// The sessions of lost-server.js, in their own process so that its CPU time is theirs. Its parent sends `{ url, tokens }`;
// they join, speak once, and it answers `{ joined, errors }`. Then it sends `{ back }` and `{ lost }` for each session, and answers
// `{ cpu }` with `{ cpuMs }`. It ends with its parent's channel.

const { openAll } = require('./open-all')
const { SpeakerSession } = require('..')
const { tone } = require('../__test__/support/wav')

const JOIN_MS = 60_000
/** Keeps the sessions from being collected. */
const sessions = []

async function join({ url, tokens }) {
  const audio = tone(440, 100)
  const { opened, errors } = await openAll(tokens, async (token) => {
    const session = new SpeakerSession({ output: { type: 'livekit', url, token, connectTimeoutMs: JOIN_MS } })
    session.on('reconnected', () => process.send({ back: true }))
    session.on('disconnected', ({ reason }) => process.send({ lost: reason }))
    await session.playAudio({ audio })
    return session
  })
  sessions.push(...opened)
  process.send({ joined: opened.length, errors })
}

process.on('message', (message) => {
  if (message.tokens) return join(message)
  const { user, system } = process.cpuUsage()
  process.send({ cpuMs: (user + system) / 1000 })
})
process.on('disconnect', () => process.exit())
