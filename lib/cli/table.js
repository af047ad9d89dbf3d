'use strict'

// A table of what each user heard, with a line for all:
//
//   user    plays  completed  stopped  failed  refused    heard  overlap   waited  unheard
//   alice      12         10        2       0        0  35.200 s  1.200 s  0.000 s        0
//   bob         3          2        0       1        0   4.000 s  0.000 s  0.300 s        1  ERR_FILE 1
//   all        15         12        2       1        0  39.200 s  1.200 s  0.300 s        1  ERR_FILE 1

const { printable, seconds } = require('./format')

const LONGEST_NAME = 32

const COLUMNS = {
  plays: ({ plays }) => String(plays),
  completed: ({ completed }) => String(completed),
  stopped: ({ stopped }) => String(stopped),
  failed: ({ failed }) => String(failed),
  refused: ({ refused }) => String(refused),
  heard: ({ heardMs }) => seconds(heardMs),
  overlap: ({ overlapMs }) => seconds(overlapMs),
  waited: ({ waitedMs }) => seconds(waitedMs),
  unheard: ({ unheard }) => String(unheard)
}

/** The column shown where it was measured. */
const FIRST_SOUND = { 'first sound': ({ firstSoundMs: { median } }) => (median === null ? '' : seconds(median)) }

/** Returns the lines of the table of a report (see replayUsers). */
function table({ totals, users }) {
  const columns = { ...COLUMNS, ...(totals.firstSoundMs && FIRST_SOUND) }
  const rows = [...users, { ...totals, user: 'all' }].map((report) => {
    return [shorten(report.user), ...Object.values(columns).map((cell) => cell(report)), codes(report)]
  })
  const all = [['user', ...Object.keys(columns), ''], ...rows]
  const widths = all[0].map((_, column) => all.reduce((most, row) => Math.max(most, row[column].length), 0))
  return all.map(([user, ...cells]) => {
    const last = cells.pop()
    const padded = cells.map((cell, column) => cell.padStart(widths[column + 1]))
    return [user.padEnd(widths[0]), ...padded, last].join('  ').trimEnd()
  })
}

function codes({ codes, error }) {
  const counts = Object.entries(codes).map(([code, count]) => `${code} ${count}`)
  return [...counts, ...(error ? [error.code] : [])].join(', ')
}

/** Shortens a path to its end, which says more than its beginning. */
function shorten(name) {
  const shown = printable(name)
  return shown.length > LONGEST_NAME ? `…${shown.slice(1 - LONGEST_NAME)}` : shown
}

module.exports = { table }
