// `import … from 'speaker-session/livekit-agents'`; see index.js.

import * as agents from '@livekit/agents'
import * as rtc from '@livekit/rtc-node'

import output from './audio-output.js'
import background from './background-audio.js'

export const SpeakerAudioOutput = output.audioOutput(agents, rtc)
export const BackgroundAudio = background.backgroundAudio(agents)
