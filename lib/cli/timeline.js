'use strict'

// A lane for each playback, and one for each track that was listened to, on one scale of time:
//
//   music      ├─────┄┄┄┄┄──»─────■ stopped (user)
//   next       ···················├────────────┤
//   missing    ✗ ERR_FILE
//   ♪ speaker   ▅▆▆▅▆▆▆▆▅▆▆▆▅▅▆▆▆▅▅▇▇▇▆▇▇▆▆▆▅▃▁
//              0 s       2 s        4 s
//
// · is queued, ┄ is paused, » was sought.

const { decibels } = require('./format')

const LONGEST_NAME = 24
const NARROWEST = 20
const BETWEEN_LABELS = 10
/** The scale for a run that took no time. */
const SHORTEST_MS = 1000
/** Levels from barely audible to full scale. */
const LOUDNESS = '▁▂▃▄▅▆▇█'
const RANGE_DB = 60

/**
 * Returns the lines of a timeline, as wide as `columns` allows; `playbacks` as in History, all ended, `sounds` as in
 * Ear.
 */
function timeline(playbacks, columns, sounds = []) {
  if (playbacks.length === 0) return []
  const tracks = [...new Set(sounds.map(({ track }) => track))]
  const names = [...playbacks.map(({ requestId }) => shorten(requestId)), ...tracks.map((track) => `♪ ${track}`)]
  const margin = longest(names) + 2
  const width = Math.max(columns - margin - longest(playbacks.map(note)) - 1, NARROWEST)
  const totalMs = Math.max(...[...playbacks, ...sounds].map(({ endedAtMs }) => endedAtMs)) || SHORTEST_MS
  const cell = (ms) => Math.round((ms / totalMs) * (width - 1))
  const heard = (track) => sounds.filter((sound) => sound.track === track).flatMap(({ frames }) => frames)
  const played = playbacks.map((playback) => lane(playback, cell))
  const lanes = [...played, ...tracks.map((track) => loudness(heard(track), cell))]
  const lines = lanes.map((each, index) => names[index].padEnd(margin) + each)
  return [...lines, ' '.repeat(margin) + scale(totalMs, width, cell)]
}

/** Returns the loudest frame of each cell. */
function loudness(frames, cell) {
  const cells = []
  for (const { atMs, lengthMs, power } of frames) {
    const step = Math.min(Math.ceil((1 + decibels(power) / RANGE_DB) * LOUDNESS.length), LOUDNESS.length)
    for (let at = cell(atMs); at <= cell(atMs + lengthMs); at++) cells[at] = Math.max(cells[at] ?? 1, step)
  }
  return Array.from(cells, (step) => (step ? LOUDNESS[step - 1] : ' ')).join('')
}

function lane(playback, cell) {
  const { requestedAtMs, startedAtMs, endedAtMs, outcome } = playback
  const sounded = startedAtMs !== undefined
  const [requested, start, end] = [requestedAtMs, startedAtMs ?? endedAtMs, endedAtMs].map(cell)
  const before = ' '.repeat(Math.min(requested, start)) + '·'.repeat(Math.max(0, start - requested))
  const body = sounded && end > start ? soundOf(playback, start, end, cell) : ''
  const mark = { completed: body ? '┤' : '│', stopped: '■', failed: '✗' }[outcome]
  return `${before}${body}${mark} ${note(playback)}`.trimEnd()
}

/** Draws a playback from its start to the mark of its end. */
function soundOf({ pauses = [], seeks = [] }, start, end, cell) {
  const cells = Array.from('├'.padEnd(end - start, '─'))
  for (const { fromMs, toMs } of pauses) cells.fill('┄', Math.max(cell(fromMs) - start, 1), toMs && Math.max(cell(toMs) - start, 1))
  for (const atMs of seeks) if (cell(atMs) > start && cell(atMs) < end) cells[cell(atMs) - start] = '»'
  return cells.join('')
}

function note({ outcome, reason, code }) {
  return { completed: '', stopped: `stopped (${reason})`, failed: code }[outcome]
}

/** Returns labels at round numbers of seconds, as close together as can be read. */
function scale(totalMs, width, cell) {
  const leastMs = (totalMs * BETWEEN_LABELS) / width
  const power = 10 ** Math.floor(Math.log10(leastMs))
  const everyMs = [1, 2, 5, 10].map((digit) => digit * power).find((ms) => ms >= leastMs)
  let line = ''
  for (let count = 0; count * everyMs <= totalMs; count++) {
    const label = `${Number(((count * everyMs) / 1000).toPrecision(6))} s`
    const start = cell(count * everyMs)
    if (start + label.length > width) break
    line = line.padEnd(start) + label
  }
  return line
}

function shorten(name) {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name
}

function longest(texts) {
  return Math.max(...texts.map((text) => text.length))
}

module.exports = { timeline }
