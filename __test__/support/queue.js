'use strict'

// Short clips that wait for each other.

const { open } = require('./session')
const { tone } = require('./wav')

const CLIP_MS = 100
const clip = tone(440, CLIP_MS)
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clip, stopOther: false, ...options })

/**
 * Opens a session with `overlap: queue` in which these clips were requested at time 0, in this order; the first one plays.
 */
function line(t, requests, options) {
  const room = open(t, { overlap: 'queue', ...options })
  const results = Object.entries(requests).map(([name, request]) => play(room.session, name, request))
  const order = () => room.told.filter(({ type }) => type === 'started').map(({ requestId }) => requestId).join(' ')
  const places = (requestId) =>
    room.told.filter((event) => event.type === 'queued' && event.requestId === requestId)
      .map(({ queuePosition, atMs }) => `${queuePosition}@${atMs}`).join(' ')
  return { ...room, results, order, places }
}

module.exports = { CLIP_MS, clip, line, play }
