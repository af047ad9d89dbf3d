'use strict'

// What the bytes of a stream are, and what a replay does with it.

const { refuse } = require('../error')
const { check, object } = require('./values')

const RAW = ['pcm16', 'f32']
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const FORMATS = [...RAW, 'mp3', 'ogg', 'wav', 'flac', 'aac']

/** A Readable, a web ReadableStream or another AsyncIterable: what gives its bytes by and by. */
function isIterable(audio) {
  return typeof audio?.[Symbol.asyncIterator] === 'function'
}

/** `more` says that the first bytes are on their way. */
function encoding({ format, sampleRate, channels }, more) {
  check.oneOf(format, 'format', undefined, FORMATS)
  if (!RAW.includes(format)) {
    if (sampleRate !== undefined) throw refuse(`format 'pcm16' or 'f32' beside it`, 'sampleRate', format)
    if (channels !== undefined) throw refuse(`format 'pcm16' or 'f32' beside it`, 'channels', format)
    return { format, sampleRate: 0, channels: 0, more }
  }
  if (sampleRate === undefined) throw refuse(`the sample rate of '${format}'`, 'sampleRate', undefined)
  return {
    format,
    sampleRate: check.integer(sampleRate, 'sampleRate', undefined, 8000, 192000),
    channels: check.integer(channels, 'channels', 1, 1, 2),
    more
  }
}

function writeRequest(request) {
  const { requestId } = ofStream(request, 'write', ['audio'])
  return { requestId, audio: base64(request.audio) }
}

function base64(audio) {
  if (typeof audio !== 'string' || !BASE64.test(audio)) throw refuse('a string in base64', 'audio', audio)
  return Buffer.from(audio, 'base64')
}

function flushRequest(request) {
  return ofStream(request, 'flush')
}

function endRequest(request) {
  return ofStream(request, 'end')
}

function ofStream(request, call, options = []) {
  const { requestId } = object(request, call, ['requestId', ...options])
  return { requestId: check.id(requestId ?? null, 'requestId') }
}

module.exports = { encoding, isIterable, base64, writeRequest, flushRequest, endRequest }
