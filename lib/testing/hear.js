'use strict'

// Finds tones and sounds in samples, and their times.

const { REQUIRED, check, object } = require('../check/values')
const { invalidArgument } = require('../error')

/** The window that is searched for a tone, and the step between windows. */
const WINDOW_MS = 20
const HOP_MS = 2

/** Returns the amplitude of one frequency in samples[from…to), by Goertzel's algorithm: exact where the range holds whole periods. */
function amplitude(samples, from, to, hz, sampleRate = 48000) {
  const step = (2 * Math.PI * hz) / sampleRate
  const turn = 2 * Math.cos(step)
  let [last, before] = [0, 0]
  for (let n = from; n < to; n++) [last, before] = [samples[n] + turn * last - before, last]
  const power = last * last + before * before - turn * last * before
  return (2 * Math.sqrt(Math.max(0, power))) / (to - from)
}

function level(recording, hz, fromMs = 0, toMs = Infinity, options) {
  const { samples, sampleRate } = channelOf(recording, options, [])
  const offset = (ms) => Math.min(samples.length, Math.max(0, Math.round((ms * sampleRate) / 1000)))
  const [from, to] = [offset(fromMs), offset(toMs)]
  return to > from ? amplitude(samples, from, to, hz, sampleRate) : 0
}

function tonesIn(recording, frequencies, options = {}) {
  if (!Array.isArray(frequencies)) throw invalidArgument('an array of frequencies in Hz', 'frequencies', frequencies)
  const { samples, sampleRate } = channelOf(recording, options, ['threshold'])
  const threshold = check.number(options.threshold, 'threshold', 0.05, 0.0001, 1)
  const endMs = (samples.length * 1000) / sampleRate
  const tones = frequencies.flatMap((hz) => {
    return runs(levels(samples, sampleRate, check.number(hz, 'frequencies', REQUIRED, 1, sampleRate / 2)), threshold).map(({ fromMs, toMs, level }) => {
      return { hz, fromMs: Math.max(0, fromMs), toMs: Math.min(endMs, toMs), level }
    })
  })
  return tones.sort((a, b) => a.fromMs - b.fromMs || a.hz - b.hz)
}

/**
 * Returns the amplitude of a frequency around each time, HOP_MS apart from -WINDOW_MS / 2 on. Uses a Hann window, so that a tone that is cut is
 * not mistaken for others.
 */
function levels(samples, sampleRate, hz) {
  const width = Math.round((WINDOW_MS * sampleRate) / 1000)
  const hann = Float64Array.from({ length: width }, (_, n) => 1 - Math.cos((2 * Math.PI * (n + 0.5)) / width))
  const looked = new Float64Array(width)
  const count = Math.ceil((samples.length / sampleRate) * (1000 / HOP_MS) + WINDOW_MS / HOP_MS) + 1
  return Float64Array.from({ length: count }, (_, hop) => {
    const from = Math.round(((hop * HOP_MS - WINDOW_MS) * sampleRate) / 1000)
    for (let n = 0; n < width; n++) looked[n] = (samples[from + n] ?? 0) * hann[n]
    return amplitude(looked, 0, width, hz, sampleRate)
  })
}

/** Returns where levels are above the threshold, `{ fromMs, toMs, level }`: from and to where half the tone is in the window. */
function runs(levels, threshold) {
  const found = []
  for (let hop = 0; hop < levels.length; hop++) {
    if (levels[hop] < threshold) continue
    const from = hop
    while (levels[hop + 1] >= threshold) hop++
    found.push(run(levels, from, hop))
  }
  return found
}

function run(levels, from, to) {
  const inside = levels.slice(from, to + 1)
  const whole = WINDOW_MS / HOP_MS
  const atMs = (hop) => Math.round(hop * HOP_MS - WINDOW_MS / 2)
  const half = (part) => Math.max(...part) / 2
  const [rise, fall] = [half(inside.subarray(0, whole + 1)), half(inside.subarray(-whole - 1))]
  const level = inside.toSorted()[Math.floor(inside.length / 2)]
  return { fromMs: atMs(crossing(levels, from, 1, rise)), toMs: atMs(crossing(levels, to, -1, fall)), level }
}

/** Returns where levels cross this one, between two hops, from an end of a run inwards. */
function crossing(levels, end, inwards, half) {
  let hop = end
  while (levels[hop] < half) hop += inwards
  const [inner, outer] = [levels[hop], levels[hop - inwards] ?? 0]
  return outer >= half ? hop : hop - (inwards * (inner - half)) / (inner - outer)
}

function soundsIn(recording, options = {}) {
  const { samples, sampleRate } = channelOf(recording, options, ['threshold', 'pauseMs'])
  const threshold = check.number(options.threshold, 'threshold', 0.001, 0, 1)
  const pause = (check.number(options.pauseMs, 'pauseMs', 20, 0, 3_600_000) * sampleRate) / 1000
  const sounds = []
  for (let n = 0; n < samples.length; n++) {
    const size = Math.abs(samples[n])
    if (size <= threshold) continue
    if (sounds.length === 0 || n - sounds.at(-1).to > pause) sounds.push({ from: n, peak: 0 })
    const last = sounds.at(-1)
    last.to = n + 1
    last.peak = Math.max(last.peak, size)
  }
  const ms = (samples) => (samples * 1000) / sampleRate
  return sounds.map(({ from, to, peak }) => ({ fromMs: ms(from), toMs: ms(to), peak, rms: rms(samples.subarray(from, to)) }))
}

function rms(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
}

/** Returns one channel of a recording, or of bare samples at 48 kHz, as `{ samples, sampleRate }`; the mean of all if none is named. */
function channelOf(recording, options = {}, known) {
  object(options, 'options', ['channel', ...known])
  const { samples, sampleRate = 48000, channels = 1 } = ArrayBuffer.isView(recording) ? { samples: recording } : Object(recording)
  if (!ArrayBuffer.isView(samples)) throw invalidArgument('a recording or a Float32Array', 'recording', recording)
  const channel = check.integer(options.channel, 'channel', undefined, 0, channels - 1)
  if (channels === 1) return { samples, sampleRate }
  const picked = Float32Array.from({ length: samples.length / channels }, (_, n) => {
    const frame = samples.subarray(n * channels, (n + 1) * channels)
    return channel === undefined ? frame.reduce((sum, sample) => sum + sample, 0) / channels : frame[channel]
  })
  return { samples: picked, sampleRate }
}

module.exports = { amplitude, level, soundsIn, tonesIn }
