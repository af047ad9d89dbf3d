'use strict'

// The types of recorded requests, and the call that each one stands for.

const check = require('../check')
const { endRequest, flushRequest, writeRequest } = require('./stream-lines')

/**
 * By type: `check` validates the request; then one of `begin`, which starts a playback and returns a promise of its
 * end, `onStream`, which is called with the stream of that `requestId`, `onSession`, and `method`, the name of a method of
 * the session.
 */
const CALLS = {
  play: { begin: (session, request) => session.playAudio(request), check: check.playRequest },
  stream: { begin: stream, check: check.streamRequest },
  write: { onStream: (stream, { audio }) => stream?.write(Buffer.from(audio, 'base64')), check: writeRequest },
  flush: { onStream: (stream) => stream?.flush(), check: flushRequest },
  end: { onStream: (stream) => stream?.end(), check: endRequest },
  stop: { method: 'stopAudio', check: check.stopRequest },
  pause: { method: 'pauseAudio', check: check.pauseRequest },
  resume: { method: 'resumeAudio', check: check.resumeRequest },
  seek: { method: 'seekAudio', check: check.seekRequest },
  volume: { method: 'setVolume', check: check.volumeRequest },
  trackVolume: { onSession: (session, { trackId, ...change }) => session.track(trackId).setVolume(change), check: check.trackVolumeLine },
  trackPan: { onSession: (session, { trackId, ...change }) => session.track(trackId).setPan(change), check: check.trackPanLine },
  mute: { method: 'setMuted', check: check.muteRequest },
  move: { method: 'moveAudio', check: check.moveRequest },
  interrupt: { method: 'interrupt', check: check.interruptRequest }
}

/** Creates a stream, enters it into `streams` for the lines that write to it, and returns a promise of its end. */
async function stream(session, request, streams) {
  const opened = session.createStream(request)
  streams.set(opened.requestId, opened)
  opened.once('close', () => streams.get(opened.requestId) === opened && streams.delete(opened.requestId))
  return opened.finished
}

module.exports = { CALLS }
