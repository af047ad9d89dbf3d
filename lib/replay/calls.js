'use strict'

const check = require('../check')

/** What each type of request calls, and how it is checked before anything plays. */
const CALLS = {
  play: { method: 'playAudio', check: check.playRequest },
  stop: { method: 'stopAudio', check: check.stopRequest },
  pause: { method: 'pauseAudio', check: check.pauseRequest },
  resume: { method: 'resumeAudio', check: check.resumeRequest },
  seek: { method: 'seekAudio', check: check.seekRequest },
  volume: { method: 'setVolume', check: check.volumeRequest },
  move: { method: 'moveAudio', check: check.moveRequest },
  interrupt: { method: 'interrupt', check: check.interruptRequest }
}

module.exports = { CALLS }
