'use strict'

// One load of listen.js, in its own process: speakers, which speak until they are told to end, or listeners, which measure and end.

const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')

const { openAll } = require('./open-all')
const { wavFile } = require('../__test__/support/wav')

const SETTLE_MS = 3000
const RATE = 48000
const BITRATE = 64_000

/** Returns a second of harmonics of a voice: like speech, but never silent. */
function murmur() {
  const sample = (_, n) => {
    const phase = (2 * Math.PI * 150 * n) / RATE
    let value = 0
    for (let harmonic = 1; harmonic <= 12; harmonic++) value += Math.sin(harmonic * phase) / harmonic
    return 0.18 * value * (0.4 + 0.3 * Math.sin((2 * Math.PI * 4 * n) / RATE))
  }
  return wavFile(Float64Array.from({ length: RATE }, sample), RATE)
}

async function speakers({ url, tokens }) {
  const { SpeakerSession } = require('..')
  const audio = murmur()
  const { opened } = await openAll(tokens, async (token) => {
    const session = new SpeakerSession({ output: { type: 'livekit', url, token, bitrate: BITRATE, publish: 'lazy' } })
    await session.connect()
    session.playAudio({ audio, loop: true }).catch(() => {})
    return session
  })
  process.send({})
  await once(process, 'message')
  await Promise.all(opened.map((session) => session.close()))
}

/** Measures CPU time over a steady window, the share of the time that was heard, and the memory and threads of the process. */
async function measure(windowMs, count, heardMs) {
  await sleep(SETTLE_MS)
  const [wall, heard, cpu] = [performance.now(), heardMs(), process.cpuUsage()]
  await sleep(windowMs)
  const { user, system } = process.cpuUsage(cpu)
  const elapsed = performance.now() - wall
  return { cores: (user + system) / 1000 / elapsed, heard: (heardMs() - heard) / elapsed / count, rss: process.memoryUsage().rss }
}

async function ours({ url, tokens, windowMs }) {
  const { SpeakerSession } = require('..')
  let frames = 0
  const { opened, errors } = await openAll(tokens, async (token) => {
    const session = new SpeakerSession({ output: { type: 'livekit', url, token } })
    session.listen({ identity: 'speaker', frameMs: 10 }).on('data', () => (frames += 1))
    await session.connect()
    return session
  })
  process.send({ ...(await measure(windowMs, tokens.length, () => frames * 10)), errors: errors.length })
  await Promise.all(opened.map((session) => session.close()))
}

async function official({ url, tokens, windowMs }) {
  const rtc = require('@livekit/rtc-node')
  let samples = 0
  const { opened, errors } = await openAll(tokens, async (token) => {
    const room = new rtc.Room()
    room.on(rtc.RoomEvent.TrackSubscribed, async (track) => {
      for await (const { data } of new rtc.AudioStream(track, RATE, 1)) samples += data.length
    })
    await room.connect(url, token, { autoSubscribe: true, dynacast: false })
    return room
  })
  process.send({ ...(await measure(windowMs, tokens.length, () => (samples * 1000) / RATE)), errors: errors.length })
  await Promise.all(opened.map((room) => room.disconnect()))
  await rtc.dispose()
}

process.once('message', async (load) => {
  await { speakers, ours, official }[load.kind](load)
  process.disconnect()
})
