'use strict'

// Test sounds, and the writing and reading of WAV files.

const { readFileSync } = require('node:fs')

const { check, object } = require('../check/values')
const { SpeakerError } = require('../error')
const { wavHeader } = require('../wav-header')

const PCM = 1
const FLOAT = 3
/** The format is in a longer header (WAVE_FORMAT_EXTENSIBLE). */
const EXTENSIBLE = 0xfffe

function wavFile(samples, sampleRate = 48000, channels = 1) {
  const data = pcm16(samples)
  return Buffer.concat([wavHeader(data.length, sampleRate, channels), data])
}

/** Returns 16-bit samples, little-endian; values beyond ±1 are clipped. */
function pcm16(samples) {
  const bytes = Buffer.alloc(samples.length * 2)
  for (let n = 0; n < samples.length; n++) bytes.writeInt16LE(Math.round(Math.max(-1, Math.min(1, samples[n])) * 32767), n * 2)
  return bytes
}

function tone(hz, ms, options = {}) {
  object(options, 'tone', ['sampleRate', 'amplitude', 'format'])
  const sampleRate = check.integer(options.sampleRate, 'sampleRate', 48000, 1000, 192_000)
  const amplitude = check.number(options.amplitude, 'amplitude', 0.3, 0, 1)
  const format = check.oneOf(options.format, 'format', 'wav', ['wav', 'pcm16'])
  const length = Math.round((sampleRate * ms) / 1000)
  const samples = new Float64Array(length)
  for (let n = 0; n < length; n++) samples[n] = amplitude * Math.sin((2 * Math.PI * hz * n) / sampleRate)
  return format === 'wav' ? wavFile(samples, sampleRate) : pcm16(samples)
}

function readWav(file) {
  const { 'fmt ': format, data } = chunks(typeof file === 'string' ? readFileSync(file) : Buffer.from(file))
  if (!format || !data) throw broken('a format and samples', 'neither')
  const tag = format.readUInt16LE(0)
  const kind = tag === EXTENSIBLE ? format.readUInt16LE(24) : tag
  const bits = format.readUInt16LE(14)
  const read = { [`${PCM}/16`]: (n) => data.readInt16LE(n * 2) / 32768, [`${FLOAT}/32`]: (n) => data.readFloatLE(n * 4) }[`${kind}/${bits}`]
  if (!read) throw broken('samples of 16 bits, or floats of 32', `${bits} bits of format ${kind}`)
  const samples = new Float32Array(Math.floor(data.length / (bits / 8)))
  for (let n = 0; n < samples.length; n++) samples[n] = read(n)
  return { sampleRate: format.readUInt32LE(4), channels: format.readUInt16LE(2), samples }
}

/** Returns the chunks of a RIFF file by name. */
function chunks(file) {
  if (!Buffer.isBuffer(file) || file.length < 12 || file.toString('latin1', 0, 4) !== 'RIFF') throw broken('a RIFF file', `${file.length} bytes of something else`)
  const length = file.readUInt32LE(4) + 8
  if (length !== file.length) throw broken(`${length} bytes, as its header says,`, file.length)
  const found = {}
  for (let at = 12; at + 8 <= file.length; ) {
    const size = file.readUInt32LE(at + 4)
    found[file.toString('latin1', at, at + 4)] = file.subarray(at + 8, at + 8 + size)
    at += 8 + size + (size % 2)
  }
  return found
}

function broken(expected, received) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for a WAV file but received ${received}`)
}

module.exports = { pcm16, readWav, tone, wavFile }
