'use strict'

// The settings in the cloud's environment. They are read when they are needed, because the cloud loads its .env file late.

/** Returns the options of a SpeakerSession: those of the environment, overridden by the caller's. */
function sessionOptions(options) {
  return {
    network: 'public', // URLs come from apps
    overlap: isOff('ENABLE_AUDIO_OVERLAP') ? 'queue' : 'mix',
    ...number('SPEAKER_MAX_DURATION_MS', 'maxDurationMs'),
    ...number('PUBLISH_GAIN', 'gain'),
    ...options,
    onDuplicate: 'fail' // the second request gets the answer of the first
  }
}

/** Returns true unless the operator has turned sound from the server off. */
function isPlaybackEnabled() {
  return !isOff('SERVER_PLAYBACK_ENABLED')
}

/** Returns true if the environment has the keys for room tokens. */
function hasLiveKit() {
  return ['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET'].every((name) => process.env[name])
}

/** Returns true if the microphone's samples arrive with their bytes swapped. */
function areBytesSwapped() {
  return process.env.LIVEKIT_PCM_ENDIAN?.toLowerCase() === 'swap'
}

function isOff(name) {
  return ['false', '0', 'off'].includes(process.env[name]?.trim().toLowerCase())
}

/** Returns a variable as a number; the session refuses other text, with a message. */
function number(name, option) {
  const value = process.env[name]
  return value ? { [option]: Number(value) } : {}
}

module.exports = { areBytesSwapped, hasLiveKit, isPlaybackEnabled, sessionOptions }
