'use strict'

const { constants } = require('node:os')

const { SpeakerSession } = require('../session')
const { History, OUTCOMES } = require('../replay/history')
const { replay } = require('../replay/replay')
const { seconds } = require('./format')
const { JsonReport, TextReport } = require('./report')

/** Plays requests into the WAV file `out`; says the exit code. */
async function run(requests, { out, overlap, stereo, realtime, json }) {
  const begun = performance.now()
  const clock = realtime ? 'realtime' : 'manual'
  const output = { type: 'wav', path: out, clock, channels: stereo ? 2 : 1 }
  const session = new SpeakerSession({ output, overlap })
  const history = new History(session)
  const report = new (json ? JsonReport : TextReport)(session, process)
  const interruption = closeOnSignals(session)
  const problems = []
  session.on('error', (error) => problems.push(error))

  const onRefused = (playback) => report.refused(playback)
  await replay(session, requests, history, { clock, signal: interruption, onRefused }).catch((e) => problems.push(e))
  await session.close().catch((error) => problems.push(error))

  const counts = OUTCOMES.map((outcome) => `${history.count(outcome)} ${outcome}`).join(', ')
  const [length, took] = [session.stats().timeMs, performance.now() - begun].map((ms) => seconds(ms, 2))
  if (problems.length === 0 || history.playbacks.length > 0) {
    report.end(history.playbacks, `${out}: ${length}, ${counts}, in ${took}`)
  }
  for (const { code, message, stack } of problems) console.error(`speaker-session: ${code ? message : stack}`)
  if (interruption.aborted) return 128 + constants.signals[interruption.reason]
  return problems.length + history.count('failed') > 0 ? 1 : 0
}

/** Closes the session on the first signal, so that its file is whole; a second one ends the process as usual. */
function closeOnSignals(session) {
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) {
    process.once(name, () => {
      interruption.abort(name)
      session.close().catch(() => {}) // run() closes too, and tells
    })
  }
  return interruption.signal
}

module.exports = { run }
