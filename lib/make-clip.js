'use strict'

const path = require('node:path')

const { refuseAborted } = require('./abort')
const { bell } = require('./bell')
const { gathered } = require('./body')
const check = require('./check')
const { SpeakerClip } = require('./clip')
const { SpeakerError } = require('./error')
const { Making } = require('./making')
const { NativeClip } = require('./native')
const { useEnvironment } = require('./network')

/** Makes a clip of a source. */
async function makeClip(source) {
  const { signal, body, ...checked } = check.clipRequest(source)
  refuseAborted(signal)
  if (body) checked.audio = await gathered(body, signal)
  if (!checked.network) useEnvironment()
  const native = NativeClip.make(checked, bell)
  if (native.code !== undefined) throw new SpeakerError(native.code, native.message)
  const { headers } = source
  const { contentType } = checked
  const audioUrl = checked.path === undefined ? checked.url : path.resolve(checked.path)
  const clip = new SpeakerClip(native, { audioUrl, headers: headers && { ...headers }, contentType })
  await new Making(native, 'the clip was made').made(signal)
  return clip
}

module.exports = { makeClip }
