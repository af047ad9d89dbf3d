'use strict'

// The speech of an agent and the events of its output: the real classes of `@livekit/agents`.

const { setImmediate: turn } = require('node:timers/promises')

const agents = require('@livekit/agents')
const { AudioFrame } = require('@livekit/rtc-node')

const { SpeakerAudioOutput } = require('speaker-session/livekit-agents')
const { open } = require('./session')

agents.initializeLogger({ pretty: false, level: 'silent' })

/** Returns a tone as samples of ±1. */
function hum(hz, ms, rate = 48000) {
  return Float64Array.from({ length: (rate * ms) / 1000 }, (_, n) => 0.3 * Math.sin((2 * Math.PI * hz * n) / rate))
}

/** Returns mono frames of samples of ±1. */
function framesOf(samples, { rate = 48000, frameMs = 20 } = {}) {
  const length = (rate * frameMs) / 1000
  return Array.from({ length: Math.ceil(samples.length / length) }, (_, n) => {
    const part = Int16Array.from(samples.slice(n * length, (n + 1) * length), (sample) => Math.round(sample * 32767))
    return new AudioFrame(part, rate, 1, part.length)
  })
}

/** Passes frames to an output, as an agent does. */
async function capture(output, frames) {
  for (const frame of frames) await output.captureFrame(frame)
}

/** Records the events of an output as text: `started`, `finished 1000`, `finished 420 interrupted`. */
function listen(output) {
  const told = []
  output.on('playbackStarted', () => told.push('started'))
  output.on('playbackFinished', ({ playbackPosition, interrupted }) => {
    told.push(`finished ${Math.round(playbackPosition * 1e6) / 1000}${interrupted ? ' interrupted' : ''}`)
  })
  return told
}

/** Opens an output in a session of its own; by default into memory and with the manual clock. */
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
