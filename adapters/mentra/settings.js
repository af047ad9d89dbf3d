'use strict'

// What the cloud's environment says. It is read when it is needed, for the cloud loads its .env file as late as that.

/** Returns the options of a SpeakerSession: those of the environment, and above them the caller's own. */
function sessionOptions(options) {
  return {
    network: 'public', // URLs come from apps
    overlap: isOff('ENABLE_AUDIO_OVERLAP') ? 'queue' : 'mix',
    ...number('SPEAKER_MAX_DURATION_MS', 'maxDurationMs'),
    ...number('PUBLISH_GAIN', 'gain'),
    ...options,
    onDuplicate: 'fail' // the answer to the first is the answer to both
  }
}

/** Whether the operator wants sound from the server: yes, unless told otherwise. */
function isPlaybackEnabled() {
  return !isOff('SERVER_PLAYBACK_ENABLED')
}

/** Whether tokens of rooms can be made here. */
function hasLiveKit() {
  return ['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET'].every((name) => process.env[name])
}

/** Whether the microphone's samples come with their bytes swapped. */
function areBytesSwapped() {
  return process.env.LIVEKIT_PCM_ENDIAN?.toLowerCase() === 'swap'
}

function isOff(name) {
  return ['false', '0', 'off'].includes(process.env[name]?.trim().toLowerCase())
}

/** A number as an option; what is no number is refused by the session, with a message. */
function number(name, option) {
  const value = process.env[name]
  return value ? { [option]: Number(value) } : {}
}

module.exports = { areBytesSwapped, hasLiveKit, isPlaybackEnabled, sessionOptions }
