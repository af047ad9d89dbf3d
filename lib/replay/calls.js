'use strict'

const check = require('../check')

/** What each type of request calls, and how it is checked before anything plays: `begin` gives the end of a playback. */
const CALLS = {
  play: { begin: (session, request) => session.playAudio(request), check: check.playRequest },
  stream: { begin: stream, check: check.streamRequest },
  write: { onStream: (stream, { audio }) => stream?.write(Buffer.from(audio, 'base64')), check: check.writeRequest },
  flush: { onStream: (stream) => stream?.flush(), check: check.flushRequest },
  end: { onStream: (stream) => stream?.end(), check: check.endRequest },
  stop: { method: 'stopAudio', check: check.stopRequest },
  pause: { method: 'pauseAudio', check: check.pauseRequest },
  resume: { method: 'resumeAudio', check: check.resumeRequest },
  seek: { method: 'seekAudio', check: check.seekRequest },
  volume: { method: 'setVolume', check: check.volumeRequest },
  move: { method: 'moveAudio', check: check.moveRequest },
  interrupt: { method: 'interrupt', check: check.interruptRequest }
}

/** The end of a stream, which its own requests find in `streams`; one that is refused they don't. */
async function stream(session, request, streams) {
  const opened = session.createStream(request)
  streams.set(opened.requestId, opened)
  return opened.finished
}

module.exports = { CALLS }
