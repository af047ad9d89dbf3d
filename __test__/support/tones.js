'use strict'

// Clips that can be told apart by their pitch.

const assert = require('node:assert/strict')

const { level, tone } = require('./wav')

const MS = 48
const clips = { a: tone(440, 500), b: tone(880, 500), c: tone(1320, 500), long: tone(300, 3000) }
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clips[requestId] ?? clips.a, stopOther: false, ...options })

/** Returns true if `hz` sounds from ms to ms, at the level of a tone that plays alone; throws at any other level. */
function sounds(samples, fromMs, toMs, hz) {
  const amplitude = level(samples, fromMs * MS, toMs * MS, hz)
  assert.ok(amplitude < 0.003 || Math.abs(amplitude - 0.3) < 0.01, `${hz} Hz at a strange level: ${amplitude}`)
  return amplitude > 0.003
}

module.exports = { MS, clips, play, sounds }
