'use strict'

const path = require('node:path')

const { throwIfAborted } = require('./abort')
const { bell } = require('./bell')
const { collected } = require('./body')
const check = require('./check')
const { SpeakerClip } = require('./clip')
const { useEnvironment } = require('./environment')
const { SpeakerError } = require('./error')
const { NativeJob } = require('./native-job')
const { NativeClip } = require('./native')

/** Makes a clip from a source. */
async function makeClip(source) {
  const { signal, body, file, ...checked } = check.clipRequest(source)
  throwIfAborted(signal)
  if (body) checked.audio = file(await collected(body, signal, source.format))
  useEnvironment(checked.network)
  const native = NativeClip.make(checked, bell)
  if (native.code !== undefined) throw new SpeakerError(native.code, native.message)
  const { contentType, headers } = checked
  const audioUrl = checked.path === undefined ? checked.url : path.resolve(checked.path)
  const clip = new SpeakerClip(native, { audioUrl, headers: headers.length > 0 ? Object.fromEntries(headers) : undefined, contentType })
  await new NativeJob(native, 'the clip was made').done(signal)
  return clip
}

module.exports = { makeClip }
