'use strict'

const { once } = require('node:events')

const { sessionOptionsOf } = require('../replay/session-options')
const { replayUsers } = require('../replay/users')
const { seconds } = require('./format')
const { exitCode, interruption } = require('./interruption')
const { ProgressLine } = require('./progress')
const { JsonReport } = require('./report')
const { table } = require('./table')
const { writeReport } = require('./write-report')

/** Plays many users' requests (see Log), each in a session of their own that keeps nothing, and says what they heard; returns a promise of the exit code. */
async function runUsers(users, { json, realtime, stereo, overlap, report: reportPath }) {
  const begun = performance.now()
  const signal = interruption()
  const clock = realtime ? 'realtime' : 'manual'
  const given = { ...(overlap && { overlap }), ...(json && { progressIntervalMs: undefined }) }
  let [done, errors] = [0, 0]
  const progress = new ProgressLine(process.stdout, () => `${done} of ${users.length} users, ${seconds(performance.now() - begun, 1)}`)
  const report = await replayUsers(users, {
    options: (user) => sessionOptionsOf(user, given, { type: 'none', ...(stereo && { channels: 2 }) }, clock),
    isLive: realtime,
    signal,
    onSession: (session, user, offsetMs) => json && new JsonReport(session, process, { user, offsetMs }),
    async onUser() {
      done++
      // Who reads our output may be slower than we are, or go.
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain').catch(() => {})
    }
  }).finally(() => progress.end())

  if (!json) for (const line of table(report)) process.stdout.write(`${line}\n`)
  for (const { user, error } of report.users) {
    if (!error) continue
    errors++
    console.error(`speaker-session: ${user}: ${error.message}`)
  }
  const took = `${report.users.length} users, ${report.totals.plays} plays, ${seconds(report.totals.heardMs, 2)} heard, in ${seconds(performance.now() - begun, 2)}`
  if (json) console.error(took)
  else process.stdout.write(`${took}\n`)
  if (reportPath !== undefined) {
    await writeReport(reportPath, report).catch(({ message }) => {
      errors++
      console.error(`speaker-session: ${message}`)
    })
  }
  return exitCode(signal, errors + report.totals.failed + report.totals.refused)
}

module.exports = { runUsers }
