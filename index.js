'use strict'

const { SpeakerError } = require('./lib/error')
const { liveKitFromEnv } = require('./lib/livekit/environment')
const { SpeakerSession } = require('./lib/session')

module.exports = { SpeakerSession, SpeakerError, liveKitFromEnv }
