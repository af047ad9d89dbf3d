'use strict'

// How the cost of a process grows with its sessions, of which a tenth speaks by default and the others are silent in their rooms: CPU, memory, late frames, and the
// time until all have joined; beside libopus alone, which encodes as much as those that speak (bench/encode.rs). The slope from the smallest to the
// largest number is carried on to 100,000 sessions, on paper. The server is its own process, on the same cores, and not counted. It only reports.
//
// `node bench/scale.js [COUNTS [EVERY]]`: one of so many speaks.

const os = require('node:os')

const { WINDOW_MS, bareEncode, buildEncoder, load, writeSounds } = require('./loads')
const { operands, save } = require('./results')
const { startServer } = require('../scripts/livekit-server')

const [COUNTS = '100,300,1000,3000', EVERY = '10'] = operands()
const AT_ONCE = 50
const ON_PAPER = 100_000
const MB = 1e6
const GB = 1e9

const WIDTHS = [10, 10, 8, 12, 12, 10, 10, 10, 10]
const HEADS = ['sessions', 'speak', 'ready s', 'CPU %', 'CPU/C', 'late', 'RSS MB', 'threads', 'real time']

function line(cells) {
  console.log(cells.map((cell, n) => String(cell).padStart(WIDTHS[n])).join(''))
}

/** Returns the slope from the first row to the last one. */
function slope(rows, key) {
  const [first, last] = [rows[0], rows.at(-1)]
  return (last[key] - first[key]) / (last.sessions - first.sessions)
}

async function main() {
  writeSounds()
  buildEncoder()
  const server = await startServer()
  const rows = []
  try {
    console.log(`${os.availableParallelism()} cores; one of ${EVERY} sessions speaks; CPU over ${WINDOW_MS / 1000} s, in % of one core; C: libopus alone, for those that speak`)
    line(HEADS)
    for (const count of COUNTS.split(',').map(Number)) {
      const speak = Math.ceil(count / Number(EVERY))
      const result = await load(server, 'ours', count, { every: Number(EVERY), atOnce: AT_ONCE })
      if (!result) continue
      const bare = speak * bareEncode(speak)
      const { sessions, readyMs, cores, late, rss, threads, sound, errors, odd } = result
      rows.push({ sessions, speak, readyMs, cores, ratio: cores / bare, late, rss, threads })
      line([
        sessions, speak, (readyMs / 1000).toFixed(2), (100 * cores).toFixed(1), (cores / bare).toFixed(2), `${(100 * late).toFixed(2)} %`,
        (rss / MB).toFixed(0), threads, `${((100 * sound) / speak).toFixed(1)} %`
      ])
      if (errors.length > 0) console.log(`  ${errors.length} did not join: ${errors[0]}`)
      if (odd.length > 0) console.log(`  ${odd.join(', ')}`)
    }
    if (rows.length > 1) {
      const [cores, bytes] = [slope(rows, 'cores'), slope(rows, 'rss')]
      console.log(`each session more: ${(100 * cores).toFixed(4)} % of a core, ${(bytes / MB).toFixed(3)} MB`)
      console.log(`${ON_PAPER} sessions, on paper: ${(cores * ON_PAPER).toFixed(0)} cores, ${((bytes * ON_PAPER) / GB).toFixed(0)} GB`)
    }
    save('scale', rows)
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
