'use strict'

// The session of silence.js and its listener, in its own process: LiveKit's SDK logs to stdout. Its parent sends
// `{ url, tokens: { speaker, ear }, seconds, wordMs }`; it sends `{ second, who, quality }` for each change, at last `{ missing }`,
// and ends.

const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('..')
const { serve } = require('./child')
const { chirp, missing } = require('./chirp')
const { BenchEar, dispose } = require('./ear')

const LOOK_MS = 100
const HEARD_MS = 700

async function measure({ url, tokens, seconds, wordMs }) {
  const audio = chirp(wordMs)
  const ear = await BenchEar.open(url, tokens.ear)
  const session = new SpeakerSession({ output: { type: 'livekit', url, token: tokens.speaker } })
  await session.playAudio({ audio })
  const silentAtMs = performance.now()
  const told = {}
  const tell = (who, quality, atMs) => {
    if (quality === undefined || quality === told[who]) return
    told[who] = quality
    process.send({ second: (atMs - silentAtMs) / 1000, who, quality })
  }
  while (performance.now() - silentAtMs < seconds * 1000) {
    tell('session', session.stats().link?.quality, performance.now())
    for (const { atMs, identity, quality } of ear.qualities.splice(0)) if (identity === 'speaker') tell('listener', quality, atMs)
    await sleep(LOOK_MS)
  }
  ear.take('speaker', 'speaker')
  await session.playAudio({ audio })
  await sleep(HEARD_MS)
  process.send({ missing: missing(ear.take('speaker', 'speaker'), wordMs) })
  await Promise.all([session.close(), ear.close()])
  await dispose()
}

serve(measure)
