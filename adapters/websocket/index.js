'use strict'

// Sessions that speak into a phone call or play a model's speech, over a WebSocket of their user's. Documented in index.d.ts.

const { acs, twilio } = require('./codecs')
const { SpeakerLine } = require('./line')
const { RealtimeSpeech } = require('./realtime-speech')

module.exports = { SpeakerLine, RealtimeSpeech, acs, twilio }
