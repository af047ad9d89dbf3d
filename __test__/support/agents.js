'use strict'

// What an agent says, and what its output tells of it: the real classes of `@livekit/agents`.

const { setImmediate: turn } = require('node:timers/promises')

const agents = require('@livekit/agents')
const { AudioFrame } = require('@livekit/rtc-node')

const { SpeakerAudioOutput } = require('speaker-session/livekit-agents')
const { open } = require('./session')

agents.initializeLogger({ pretty: false, level: 'silent' })

/** A tone as samples of ±1. */
function hum(hz, ms, rate = 48000) {
  return Float64Array.from({ length: (rate * ms) / 1000 }, (_, n) => 0.3 * Math.sin((2 * Math.PI * hz * n) / rate))
}

/** Frames that hold samples of ±1, of one channel. */
function framesOf(samples, { rate = 48000, frameMs = 20 } = {}) {
  const length = (rate * frameMs) / 1000
  return Array.from({ length: Math.ceil(samples.length / length) }, (_, n) => {
    const part = Int16Array.from(samples.slice(n * length, (n + 1) * length), (sample) => Math.round(sample * 32767))
    return new AudioFrame(part, rate, 1, part.length)
  })
}

/** Has an output take frames, as an agent does. */
async function capture(output, frames) {
  for (const frame of frames) await output.captureFrame(frame)
}

/** What an output tells, in words: `started`, `finished 1000`, `finished 420 interrupted`. */
function listen(output) {
  const told = []
  output.on('playbackStarted', () => told.push('started'))
  output.on('playbackFinished', ({ playbackPosition, interrupted }) => {
    told.push(`finished ${Math.round(playbackPosition * 1e6) / 1000}${interrupted ? ' interrupted' : ''}`)
  })
  return told
}

/** An output in a session of its own, into memory and with the manual clock unless said otherwise. */
function openOutput(t, { speech, ...options } = {}) {
  const { session, told: events, heard } = open(t, options)
  const output = new SpeakerAudioOutput({ session, ...speech })
  const advance = async (ms) => {
    await session.advance(ms)
    await turn()
  }
  return { session, events, heard, output, advance, told: listen(output) }
}

module.exports = { capture, framesOf, hum, listen, openOutput, turn }
