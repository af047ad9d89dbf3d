'use strict'

// The kinds of messages that a line may hold. Each is recognised by one word under `type` or `action`, and is
// translated into a request of this package.

const { CALLS } = require('./calls')

const play = (request) => ({ type: 'play', request })

/** Leaves out fields that are undefined, because a target that is present and undefined would be refused. Messages off a wire may overtake each other. */
function stop(fields) {
  const request = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return { type: 'stop', request: request.requestId === undefined ? request : { ...request, ahead: true } }
}

const MESSAGES = {
  type: {
    // This package's own lines: every field is passed on, so that a misspelt one is refused.
    ...Object.fromEntries(Object.keys(CALLS).map((type) => [type, ({ atMs, timestamp, type, ...request }) => ({ type, request })])),
    // Messages of the cloud: fields that playing does not need are ignored.
    audio_play_request: ({ requestId, audioUrl, volume, stopOtherAudio: stopOther, trackId }) =>
      play({ requestId, audioUrl, volume, stopOther, trackId }),
    audio_stop_request: ({ requestId, trackId, reason }) => stop({ requestId, trackId, reason })
  },
  action: {
    // Commands of the bridge, which is written in Go: a missing boolean means false.
    play_url: ({ requestId, url: audioUrl, volume, gain, stopOther = false, trackId }) =>
      play({ requestId, audioUrl, volume, gain, stopOther, trackId }),
    stop_playback: ({ requestId, reason }) => stop({ requestId, reason })
  }
}

/** Returns the function that translates a line with this word under `key` (`type` or `action`), or undefined. */
function translator(key, word) {
  return Object.hasOwn(MESSAGES[key], word) ? MESSAGES[key][word] : undefined
}

/** Returns all words that are known under `key`. */
function words(key) {
  return Object.keys(MESSAGES[key])
}

module.exports = { translator, words }
