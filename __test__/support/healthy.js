'use strict'

// Healthy sessions, which play without a pause while something is done to the process, and the longest silence heard from them.

const { writeFileSync } = require('node:fs')
const path = require('node:path')

const { SpeakerSession } = require('../..')
const { wavFile } = require('./wav')

const RATE = 8000
const FRAME_MS = 20
/** The level and duration of silence that a healthy session never has. */
const QUIET = 300
const QUIET_SAMPLES = 10

/** Returns an output of frames. */
const frames = (onFrame = () => {}) => ({ type: 'pcm', sampleRate: RATE, frameMs: FRAME_MS, onFrame })

/** Writes files of two minutes without silence, at rates that need resampling. Returns their paths. */
function steady(folder) {
  return [44100, 24000].map((rate) => {
    const samples = Float64Array.from({ length: rate * 120 }, (_, n) => 0.3 * Math.sin((2 * Math.PI * 441 * n) / rate))
    const file = path.join(folder, `steady-${rate}.wav`)
    writeFileSync(file, wavFile(samples, rate))
    return file
  })
}

/** Opens a session that plays without a pause, and measures the longest silence heard from it since `forget`. */
async function healthy(audioUrl) {
  let run, longest, late, endMs, last
  const forget = () => ([run, longest, late, endMs, last] = [0, 0, 0, undefined, performance.now()])
  forget()
  const session = new SpeakerSession({ output: frames(hear), progressIntervalMs: 0, maxDurationMs: 86_400_000 })
  function hear(frame, { atMs }) {
    const now = performance.now()
    late = Math.max(late, now - last - FRAME_MS)
    last = now
    // Time that the session skipped.
    run += ((atMs - (endMs ?? atMs)) * RATE) / 1000
    endMs = atMs + FRAME_MS
    for (let at = 0; at < frame.length; at += 2) {
      run = Math.abs(frame.readInt16LE(at)) < QUIET ? run + 1 : 0
      if (run > longest) longest = run
    }
  }
  session.playAudio({ audioUrl, loop: true }).catch(() => {})
  return {
    session, forget,
    silentMs: () => (longest >= QUIET_SAMPLES ? (longest * 1000) / RATE : 0),
    lateMs: () => Math.max(late, performance.now() - last - FRAME_MS)
  }
}

module.exports = { frames, healthy, steady }
