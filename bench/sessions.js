'use strict'

// The cost of a speaking session in a LiveKit room: this addon against @livekit/rtc-node, N sessions in one process, each in a room of its
// own without listeners, sending the same sound as one Opus track of 64 kbit/s, each from another position on, and against libopus alone,
// which encodes as much, all in one phase (bench/encode.rs). Each packet is sent once, except in the row with RED, which is the addon's
// default. The addon plays a WAV file; then a clip that all sessions share; for one N also with RED, and an MP3 file; and once beside ten
// endless decoders. Then the cost of a thousand sessions that have spoken and are silent. The median of several rounds is shown.
//
// A session of the addon publishes three tracks (0 to 2) as it joins, of which one is spoken on; rtc-node publishes that one. Speaking
// sessions connect ten at a time; "ready" is the time at which the first frame was sent (addon) or the track was published (rtc-node).
// Late frames were mixed more than 20 ms after they were due. The server is its own process and not counted. It only
// reports: no time makes it fail.

const os = require('node:os')

const { WINDOW_MS, bareEncode, buildEncoder, load, mp3, writeSounds } = require('./loads')
const { operands, save } = require('./results')
const { startServer } = require('../scripts/livekit-server')

// `node bench/sessions.js [COUNTS [SILENT [ROUNDS]]]`
const [COUNTS = '1,10,40,100,300', SILENT = '1000', ROUNDS = '1'] = operands()
const EXTRAS_AT = 40
const BUSY_AT = 150
const DECODERS = 10
const OFFICIAL_MAX = 30 // with 100 on two cores it sent next to nothing, and did not finish in time
const MB = 1e6
const FRAMES = 50 // a second

/** Returns the round with the median cost; undefined if none finished. */
function median(results) {
  const sorted = results.filter(Boolean).sort((a, b) => a.cores - b.cores)
  return sorted[Math.floor(sorted.length / 2)]
}

const COLUMNS = [8, 8, 8, 14, 12, 8, 8, 12, 8, 10]
const HEADS = ['sessions', 'ready s', 'CPU %', 'CPU %/session', 'us/frame', 'late', 'RSS MB', 'MB/session', 'threads', 'real time']

const number = (value, digits) => (value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits))

function line(name, cells) {
  console.log(name.padEnd(18) + cells.map((cell, n) => String(cell).padStart(COLUMNS[n] + 1)).join(''))
}

/** The results, for the line of JSON. */
const found = []

/** Prints a load. `MB/session` is the memory that each session adds to a process with only the first. */
function row(name, result, one = result) {
  if (!result) return line(name, ['none'])
  const { sessions, readyMs, cores, sound, late, rss, threads, errors, odd } = result
  const percent = (100 * cores) / sessions
  const added = sessions > one.sessions ? (rss - one.rss) / (sessions - one.sessions) / MB : NaN
  const speaking = sound > 0
  const us = speaking ? (1e6 * cores) / sound / FRAMES : NaN
  line(name, [
    sessions, number(readyMs / 1000, 2), number(100 * cores, 1), number(percent, speaking ? 2 : 4), number(us, 1),
    late === undefined ? '' : `${number(100 * late, 2)} %`, number(rss / MB, 0), number(added, 2), threads,
    speaking ? `${number((100 * sound) / sessions, 1)} %` : ''
  ])
  if (errors.length > 0) console.log(`  ${errors.length} did not join: ${errors[0]}`)
  if (odd.length > 0) console.log(`  ${odd.join(', ')}`)
  found.push({ name, sessions, readyMs, percentOfCoreEach: percent, usPerFrame: us, lateShare: late, rssMB: rss / MB, addedMB: added, threads })
  return { percent, added, late: sound / sessions < 0.95 }
}

function ratio(name, one, other, digits = 2) {
  const value = one.percent / other.percent
  line(name, ['', '', '', number(value, digits), '', '', '', number(one.added / other.added, 3)])
  found.push({ name, ratio: value })
}

async function main() {
  writeSounds()
  buildEncoder()
  const server = await startServer()
  try {
    console.log(`${os.cpus().length} cores; CPU over ${WINDOW_MS / 1000} s, in % of one core`)
    line('', HEADS)
    const one = {}
    for (const count of COUNTS.split(',').map(Number)) {
      const loads = { ours: [], bare: [], clip: [], official: [] }
      for (let round = 0; round < Number(ROUNDS); round++) {
        loads.ours.push(await load(server, 'ours', count))
        loads.bare.push({ cores: bareEncode(count) })
        loads.clip.push(await load(server, 'ours', count, { play: 'clip' }))
        if (count <= OFFICIAL_MAX) loads.official.push(await load(server, 'official', count))
      }
      const ours = median(loads.ours)
      one.ours ??= ours
      const a = row('A speaker-session', ours, one.ours)
      const bare = { percent: 100 * median(loads.bare).cores }
      line('C libopus alone', ['', '', '', number(bare.percent, 2), number((bare.percent * 1e4) / FRAMES, 1)])
      if (a) ratio('A/C', a, bare)
      const clip = row('A, one clip', median(loads.clip), one.ours)
      if (clip) ratio('A, one clip/C', clip, bare)
      if (count === EXTRAS_AT) row('A, RED', await load(server, 'ours', count, { red: true }), one.ours)
      if (count === EXTRAS_AT) row('A, an MP3', await load(server, 'ours', count, { play: 'file', file: mp3 }), one.ours)
      if (count > OFFICIAL_MAX) {
        console.log(`${'B rtc-node'.padEnd(18)} not done with more than ${OFFICIAL_MAX}`)
        continue
      }
      const official = median(loads.official)
      one.official ??= official
      const b = row('B rtc-node', official, one.official)
      if (!a || !b) continue
      ratio('A/B', a, b, 3)
      if (clip) ratio('A, one clip/B', clip, b, 3)
      if (b.late) console.log('  B fell behind: what it did not send cost it nothing, so the ratio is too kind to it')
    }
    row(`A, ${DECODERS} decoders`, await load(server, 'ours', BUSY_AT, { decoders: DECODERS, decoded: mp3 }), one.ours)
    // All at once, to measure how long it takes until each is ready.
    row('A silent', await load(server, 'ours', Number(SILENT), { play: 'nothing', atOnce: 100 }), one.ours)
    save('sessions', found)
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
