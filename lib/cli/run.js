'use strict'

const path = require('node:path')

const { SpeakerSession } = require('../session')
const { seconds } = require('./format')
const { HeardStatistics, totals } = require('../replay/heard-statistics')
const { History, OUTCOMES } = require('../replay/history')
const { makeRequests } = require('../replay/requests')
const { STANDARD } = require('./arguments')
const { exitCode, interruption } = require('./interruption')
const { Picture } = require('./picture')
const { JsonReport, TextReport } = require('./report')
const { SoundCard } = require('./sound-card')
const { WavFile } = require('./wav-file')
const { WavStdout } = require('./wav-stdout')
const { writeReport } = require('./write-report')

/** Plays a user's requests (see Log) into a WAV file, a room or the sound card; returns a promise of the exit code. */
async function run(user, options) {
  const begun = performance.now()
  const signal = interruption()
  const { channels, ...recorded } = user.options
  // Options of the command line override recorded ones.
  const target = await open({ stereo: channels === 2, ...options }, user)
  try {
    return await play(user, target, recorded, options, signal, begun)
  } finally {
    await target.close()
  }
}

async function open(options, user) {
  // Loaded here, because a room needs packages that may not be installed.
  if (options.livekit) return require('./room').Room.open(options, user)
  if (options.device) return new SoundCard(options)
  return options.out === STANDARD ? new WavStdout(options) : new WavFile(options)
}

async function play(user, target, recorded, { overlap = recorded.overlap, json, report: reportPath, timeline }, signal, begun) {
  const session = new SpeakerSession({ ...recorded, output: target.output, overlap })
  const problems = new Problems()
  session.on('error', (error) => problems.add(error))
  closeOn(signal, session)

  const zeroMs = await target.prepare(session).catch((error) => signal.aborted || problems.add(error))
  const heard = new HeardStatistics(session, { isLive: target.clock === 'realtime' })
  const history = new History(session, { heard })
  const report = new (json ? JsonReport : TextReport)(session, target.takesStdout ? { stdout: process.stderr, stderr: process.stderr } : process)
  const picture = timeline === undefined ? undefined : new Picture(timeline, path.basename(user.name), 1)
  const trace = picture?.begin(session, { name: '', options: recorded, channels: target.output.channels })
  if (problems.all.length === 0 && !signal.aborted) {
    const callbacks = { onRefused: (playback) => report.refused(playback), onAsked: (...asked) => report.asked(...asked), onMade: (...made) => trace?.made(...made) }
    const options = { clock: target.clock, zeroMs, signal, ...callbacks }
    await makeRequests(session, user, history, options).catch((error) => problems.add(error))
  }
  const { sounds, missed } = await target.heard(history.playbacks)
  await session.close().catch((error) => problems.add(error))
  await target.finish?.().catch((error) => problems.add(error))
  if (reportPath !== undefined) {
    const statistics = heard.report(user.name, user.firstMs ?? 0)
    await writeReport(reportPath, { totals: totals([statistics], heard.firstSounds), users: [statistics] }).catch((error) => problems.add(error))
  }
  await picture?.write().catch((error) => problems.add(error))

  const counts = OUTCOMES.map((outcome) => `${history.count(outcome)} ${outcome}`).join(', ')
  const [length, took] = [session.stats().timeMs, performance.now() - begun].map((ms) => seconds(ms, 2))
  const began = history.playbacks.some(({ startedAtMs }) => startedAtMs !== undefined)
  if (!began && problems.all.length === 0 && !signal.aborted) target.unplayedProblems().forEach((problem) => problems.add(problem))
  if (problems.all.length === 0 || history.playbacks.length > 0) {
    report.end(history.playbacks, sounds, `${target.name}: ${length}, ${counts}, in ${took}`)
  }
  for (const { code, message, stack } of problems.all) console.error(`speaker-session: ${code ? message : stack}`)
  for (const { requestId } of missed) console.error(`speaker-session: nothing was heard of ${requestId}`)
  return exitCode(signal, problems.all.length + history.count('failed') + missed.length)
}

/** The errors of a run, each of them once: a full disk is reported by an event, and by every call that fails with it. */
class Problems {
  all = []

  add(problem) {
    const isKnown = ({ code, message }) => code !== undefined && code === problem.code && message === problem.message
    if (!this.all.some(isKnown)) this.all.push(problem)
  }
}

function closeOn(signal, session) {
  const close = () => session.close().catch(() => {}) // play() closes too, and reports errors
  if (signal.aborted) close()
  else signal.addEventListener('abort', close)
}

module.exports = { run }
