'use strict'

// The plays of words.js, in its own process: LiveKit's SDK logs to stdout. Its parent sends
// `{ url, rows: [{ ear, plays: [{ identity, token }] }], wordMs }`; it sends `{ kind, start, end, all }` in missing ms for each word, or
// `{ failed }` for a play that failed, and ends.

const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('..')
const { serve } = require('./child')
const { chirp, missing } = require('./chirp')
const { BenchEar, dispose } = require('./ear')

/** A track on which nothing has played before. */
const FURTHER = 5
/** The largest delay of a listener's buffer. */
const HEARD_MS = 700

async function play({ url, ear, identity, token, wordMs }) {
  const audio = chirp(wordMs)
  const tell = (kind, name) => {
    const { start, within, end } = missing(ear.take(identity, name), wordMs)
    process.send({ kind, start, end, all: start + within + end })
  }
  const session = new SpeakerSession({ output: { type: 'livekit', url, token } })
  await session.connect()
  await session.playAudio({ audio })
  await sleep(HEARD_MS)
  tell('first', 'speaker')
  await session.playAudio({ audio, trackId: FURTHER })
  await sleep(HEARD_MS)
  tell('track', `track_${FURTHER}`)
  ear.take(identity, 'speaker')
  await session.playAudio({ audio })
  await sleep(HEARD_MS)
  tell('middle', 'speaker')
  await session.playAudio({ audio })
  await session.close()
  await sleep(HEARD_MS)
  tell('goodbye', 'speaker')
  ear.forget(identity)
}

async function measure({ url, rows, wordMs }) {
  await Promise.all(rows.map(async ({ ear: token, plays }) => {
    const ear = await BenchEar.open(url, token)
    for (const each of plays) {
      await play({ url, ear, wordMs, ...each }).catch(({ message }) => process.send({ failed: message }))
    }
    await ear.close()
  }))
  await dispose()
}

serve(measure)
