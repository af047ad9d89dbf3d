'use strict'

const { throwIfAborted } = require('./abort')
const { bell } = require('./bell')
const { collected } = require('./body')
const check = require('./check')
const { useEnvironment } = require('./environment')
const { SpeakerError } = require('./error')
const { NativeJob } = require('./native-job')
const { NativeProbe } = require('./native')

/** Probes a source without playing it. */
async function probe(source, options) {
  const { loudness, signal, body, file, ...checked } = check.probeRequest(source, options)
  throwIfAborted(signal)
  if (body) checked.audio = file(await collected(body, signal, source.format))
  useEnvironment(checked.network)
  const native = NativeProbe.begin(checked, loudness, bell)
  if (native.code !== undefined) throw new SpeakerError(native.code, native.message)
  await new NativeJob(native, 'the source was probed').done(signal)
  const { container, codec, sampleRate, channels, durationMs = null, exact, ...found } = native.probed()
  const { integratedLufs = null, truePeakDb = null, taggedLufs = null } = found
  const tags = Object.fromEntries(found.tags)
  const known = { container, codec, sampleRate, channels, durationMs, exact, tags }
  return loudness ? { ...known, loudness: { integratedLufs, truePeakDb, taggedLufs } } : known
}

module.exports = { probe }
