'use strict'

// Validates the lines `write`, `flush` and `end`, which only a file of requests has: in code they are methods of a
// stream.

const { REQUIRED, check, object } = require('../check/values')
const { invalidArgument } = require('../error')

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Returns the bytes of a string in base64. */
function base64(audio) {
  if (typeof audio !== 'string' || !BASE64.test(audio)) throw invalidArgument('a string in base64', 'audio', audio)
  return Buffer.from(audio, 'base64')
}

function writeRequest(request) {
  const { requestId } = streamLine(request, 'write', ['audio'])
  return { requestId, audio: base64(request.audio) }
}

function flushRequest(request) {
  return streamLine(request, 'flush')
}

function endRequest(request) {
  return streamLine(request, 'end')
}

/** Returns the validated `requestId` of a line that may have these further fields. */
function streamLine(request, type, fields = []) {
  const { requestId } = object(request, type, ['requestId', ...fields])
  return { requestId: check.id(requestId, 'requestId', REQUIRED) }
}

module.exports = { base64, writeRequest, flushRequest, endRequest }
