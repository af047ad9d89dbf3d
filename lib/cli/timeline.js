'use strict'

// A lane for each playback, on one scale of time:
//
//   music    ├──────────────────■ stopped (user)
//   next     ···················├────────────┤
//   missing  ✗ ERR_FILE
//            0 s       2 s        4 s

const LONGEST_NAME = 24
const NARROWEST = 20
const BETWEEN_LABELS = 10
/** The scale where nothing took any time. */
const SHORTEST_MS = 1000

/** The lines of a timeline, as wide as `columns` allows; `playbacks` as History has them, all ended. */
function timeline(playbacks, columns) {
  if (playbacks.length === 0) return []
  const names = playbacks.map(({ requestId }) => shorten(requestId))
  const margin = longest(names) + 2
  const width = Math.max(columns - margin - longest(playbacks.map(note)) - 1, NARROWEST)
  const totalMs = Math.max(...playbacks.map(({ endedAtMs }) => endedAtMs)) || SHORTEST_MS
  const cell = (ms) => Math.round((ms / totalMs) * (width - 1))
  const lanes = playbacks.map((playback, index) => names[index].padEnd(margin) + lane(playback, cell))
  return [...lanes, ' '.repeat(margin) + scale(totalMs, width, cell)]
}

function lane(playback, cell) {
  const { requestedAtMs, startedAtMs, endedAtMs, outcome } = playback
  const sounded = startedAtMs !== undefined
  const [requested, start, end] = [requestedAtMs, startedAtMs ?? endedAtMs, endedAtMs].map(cell)
  const before = ' '.repeat(Math.min(requested, start)) + '·'.repeat(Math.max(0, start - requested))
  const body = sounded && end > start ? '├'.padEnd(end - start, '─') : ''
  const mark = { completed: body ? '┤' : '│', stopped: '■', failed: '✗' }[outcome]
  return `${before}${body}${mark} ${note(playback)}`.trimEnd()
}

function note({ outcome, reason, code }) {
  return { completed: '', stopped: `stopped (${reason})`, failed: code }[outcome]
}

/** Round numbers of seconds, as close together as can be read. */
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
