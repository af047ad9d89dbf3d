'use strict'

// Who asks in which words. Each line is recognised by one word under `type` or `action`, and becomes what a call takes.

const { CALLS } = require('./calls')

const play = (request) => ({ type: 'play', request })
// Messages off a wire may overtake each other.
const stop = (request) => ({ type: 'stop', request: { ...request, ahead: true } })

const DIALECTS = {
  type: {
    // This package's own words: nothing is ignored, so a misspelt field is found.
    ...Object.fromEntries(Object.keys(CALLS).map((type) => [type, ({ atMs, type, ...request }) => ({ type, request })])),
    // The cloud's messages carry more than playing needs.
    audio_play_request: ({ requestId, audioUrl, volume, stopOtherAudio: stopOther, trackId }) =>
      play({ requestId, audioUrl, volume, stopOther, trackId }),
    audio_stop_request: ({ requestId, trackId, reason }) => stop({ requestId, trackId, reason })
  },
  action: {
    // The bridge is written in Go, where a boolean that is missing is false.
    play_url: ({ requestId, url: audioUrl, volume, gain, stopOther = false, trackId }) =>
      play({ requestId, audioUrl, volume, gain, stopOther, trackId }),
    stop_playback: ({ requestId, reason }) => stop({ requestId, reason })
  }
}

/** How to read an object that has this `key` (`type` or `action`) with this word; undefined if nobody speaks so. */
function reader(key, word) {
  return Object.hasOwn(DIALECTS[key], word) ? DIALECTS[key][word] : undefined
}

function words(key) {
  return Object.keys(DIALECTS[key])
}

module.exports = { reader, words }
