'use strict'

// Tones to play, and ears to hear them with.

const { readFileSync } = require('node:fs')

const PCM = 1
const WINDOW = 4800

/** A mono 16-bit WAV file that holds samples from -1 to 1. */
function wavFile(samples, rate) {
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + samples.length * 2, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(PCM, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt32LE(rate * 2, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(samples.length * 2, 40)
  const data = Buffer.alloc(samples.length * 2)
  samples.forEach((sample, index) => data.writeInt16LE(Math.round(sample * 32767), index * 2))
  return Buffer.concat([header, data])
}

/** A sine as a WAV file; its first sample is 0, its second is not. */
function tone(hz, ms, { rate = 48000, amplitude = 0.3 } = {}) {
  const length = Math.round((rate * ms) / 1000)
  return wavFile(Float64Array.from({ length }, (_, n) => amplitude * Math.sin((2 * Math.PI * hz * n) / rate)), rate)
}

/** The chunks of a RIFF file by name. */
function chunks(file) {
  if (file.toString('latin1', 0, 4) !== 'RIFF' || file.readUInt32LE(4) !== file.length - 8) {
    throw new Error(`not a whole RIFF file: it says ${file.readUInt32LE(4) + 8} bytes and has ${file.length}`)
  }
  const found = {}
  for (let at = 12; at < file.length; ) {
    const length = file.readUInt32LE(at + 4)
    found[file.toString('latin1', at, at + 4)] = file.subarray(at + 8, at + 8 + length)
    at += 8 + length + (length % 2)
  }
  return found
}

/** A 16-bit or float WAV file's samples from -1 to 1, interleaved; it throws if the header does not fit the file. */
function readWav(path) {
  const { 'fmt ': format, data } = chunks(readFileSync(path))
  const bytes = format.readUInt16LE(14) / 8
  const sample = bytes === 2 ? (n) => data.readInt16LE(n * 2) / 32768 : (n) => data.readFloatLE(n * 4)
  return {
    sampleRate: format.readUInt32LE(4),
    channels: format.readUInt16LE(2),
    samples: Float32Array.from({ length: data.length / bytes }, (_, n) => sample(n))
  }
}

/** The amplitude of one frequency in samples[from…to), by Goertzel's algorithm: exact where the range holds whole periods. */
function level(samples, from, to, hz, rate = 48000) {
  const step = (2 * Math.PI * hz) / rate
  const turn = 2 * Math.cos(step)
  let [last, before] = [0, 0]
  for (let n = from; n < to; n++) [last, before] = [samples[n] + turn * last - before, last]
  const power = last * last + before * before - turn * last * before
  return (2 * Math.sqrt(Math.max(0, power))) / (to - from)
}

/** What `windows` found so far, by samples and frequency: an ear is asked again and again, and only ever hears more. */
const found = new WeakMap()

/** In which windows of 100 ms a frequency was heard, in samples at 48 kHz. They may grow from call to call. */
function windows(samples, hz) {
  if (!found.has(samples)) found.set(samples, new Map())
  const known = found.get(samples)
  if (!known.has(hz)) known.set(hz, { looked: 0, heard: [] })
  const one = known.get(hz)
  for (; (one.looked + 1) * WINDOW <= samples.length; one.looked++) {
    const from = one.looked * WINDOW
    if (level(samples, from, from + WINDOW, hz) > 0.15) one.heard.push(one.looked)
  }
  return [...one.heard]
}

/** The loudest window of a frequency. */
function loudest(samples, hz) {
  const levels = windows(samples, hz).map((n) => level(samples, n * WINDOW, (n + 1) * WINDOW, hz))
  return Math.max(0, ...levels)
}

module.exports = { wavFile, tone, readWav, level, windows, loudest }
