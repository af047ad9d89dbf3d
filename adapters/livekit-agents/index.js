'use strict'

// `require('speaker-session/livekit-agents')`. The classes extend those of the user's own `@livekit/agents`, which has one build for
// `require` and one for `import`: this file takes the first, index.mjs the second.

const agents = require('@livekit/agents')
const rtc = require('@livekit/rtc-node')

const { audioOutput } = require('./audio-output')
const { backgroundAudio } = require('./background-audio')

module.exports = { SpeakerAudioOutput: audioOutput(agents, rtc), BackgroundAudio: backgroundAudio(agents) }
