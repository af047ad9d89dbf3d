'use strict'

const { once } = require('node:events')
const path = require('node:path')

const { sessionOptionsOf } = require('../replay/session-options')
const { replayUsers } = require('../replay/users')
const { printable, seconds } = require('./format')
const { exitCode, interruption } = require('./interruption')
const { Picture } = require('./picture')
const { ProgressLine } = require('./progress')
const { JsonReport } = require('./report')
const { table } = require('./table')
const { writeReport } = require('./write-report')

/**
 * Plays many users' requests (see Log), each in a session of their own whose sound is not kept, and prints what they heard; returns a promise
 * of the exit code.
 */
async function runUsers(users, { json, realtime, stereo, overlap, report: reportPath, timeline }) {
  const begun = performance.now()
  const signal = interruption()
  // Ends the run when nobody reads its output any more.
  const unread = new AbortController()
  if (reportPath === undefined && timeline === undefined) process.stdout.once('error', () => unread.abort())
  const clock = realtime ? 'realtime' : 'manual'
  const given = { ...(overlap && { overlap }), ...(json && { progressIntervalMs: undefined }) }
  const printed = new Map()
  const order = new Map(users.map(({ name }, index) => [name, index]))
  const picture = timeline === undefined ? undefined : new Picture(timeline, users.length === 1 ? path.basename(users[0].name) : `${users.length} users`, users.length)
  const traces = new Map()
  let done = 0
  const progress = new ProgressLine(process.stdout, () => `${done} of ${users.length} users, ${seconds(performance.now() - begun, 1)}`)
  const report = await replayUsers(users, {
    options: (user) => sessionOptionsOf(user, given, { type: 'none', ...(stereo && { channels: 2 }) }, clock),
    isLive: realtime,
    signal: AbortSignal.any([signal, unread.signal]),
    onSession(session, user, offsetMs) {
      if (json) printed.set(user, new JsonReport(session, process, { user, offsetMs }))
      const { options } = users[order.get(user)]
      const drawn = { name: users.length === 1 ? '' : user, options, channels: stereo ? 2 : options.channels, offsetMs, order: order.get(user) }
      traces.set(user, picture?.begin(session, drawn))
    },
    onMade: (user, ...made) => traces.get(user)?.made(...made),
    onRefused: (playback, user) => printed.get(user)?.refused(playback),
    async onUser({ user }) {
      done++
      printed.delete(user)
      traces.delete(user)
      // Waits for the reader of stdout, which may be slower than the replay.
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain').catch(() => {})
    }
  }).finally(() => progress.end())

  const problems = []
  for (const { user, error } of report.users) if (error) problems.push(`${user}: ${error.message}`)
  if (reportPath !== undefined) await writeReport(reportPath, report).catch(({ message }) => problems.push(message))
  await picture?.write().catch(({ message }) => problems.push(message))
  const { users: count, plays, heardMs, failed, refused } = report.totals
  const summary = `${count} users, ${plays} plays, ${seconds(heardMs, 2)} heard, in ${seconds(performance.now() - begun, 2)}`
  if (!json) process.stdout.write(`${[...table(report), summary].join('\n')}\n`)
  else console.error(summary)
  for (const problem of problems) console.error(`speaker-session: ${printable(problem)}`)
  return exitCode(signal, problems.length + failed + refused)
}

module.exports = { runUsers }
