'use strict'

const { SpeakerError } = require('./lib/error')
const { SpeakerSession } = require('./lib/session')

module.exports = { SpeakerSession, SpeakerError }
