'use strict'

const { constants } = require('node:os')

const { SpeakerSession } = require('../session')
const { seconds } = require('./format')
const { History, OUTCOMES } = require('./history')
const { replay } = require('./replay')
const { JsonReport, TextReport } = require('./report')

/**
 * Plays requests into a WAV file or a room, with the `recorded` options of the session; returns a promise of the exit
 * code.
 */
async function run(requests, options, recorded) {
  const begun = performance.now()
  const signal = interruption()
  const place = await open(options, requests)
  try {
    return await play(requests, place, recorded, options, signal, begun)
  } finally {
    await place.close()
  }
}

async function open(options, requests) {
  // Loaded here, because a room needs packages that may not be installed.
  if (options.livekit) return require('./room').Room.open(options, requests)
  const { WavFile } = require('./wav-file')
  return new WavFile(options)
}

async function play(requests, place, recorded, { overlap = recorded.overlap, json }, signal, begun) {
  const session = new SpeakerSession({ ...recorded, output: place.output, overlap })
  const problems = new Problems()
  session.on('error', (error) => problems.add(error))
  closeOn(signal, session)

  const zeroMs = await place.prepare(session).catch((error) => signal.aborted || problems.add(error))
  const history = new History(session)
  const report = new (json ? JsonReport : TextReport)(session, process)
  if (problems.all.length === 0 && !signal.aborted) {
    const told = { onRefused: (playback) => report.refused(playback), onAsked: (...asked) => report.asked(...asked) }
    const how = { clock: place.clock, zeroMs, signal, ...told }
    await replay(session, requests, history, how).catch((error) => problems.add(error))
  }
  const { sounds, missed } = await place.heard(history.playbacks)
  await session.close().catch((error) => problems.add(error))

  const counts = OUTCOMES.map((outcome) => `${history.count(outcome)} ${outcome}`).join(', ')
  const [length, took] = [session.stats().timeMs, performance.now() - begun].map((ms) => seconds(ms, 2))
  const began = history.playbacks.some(({ startedAtMs }) => startedAtMs !== undefined)
  if (!began && problems.all.length === 0 && !signal.aborted) place.nothingBegan().forEach((problem) => problems.add(problem))
  if (problems.all.length === 0 || history.playbacks.length > 0) {
    report.end(history.playbacks, sounds, `${place.name}: ${length}, ${counts}, in ${took}`)
  }
  for (const { code, message, stack } of problems.all) console.error(`speaker-session: ${code ? message : stack}`)
  for (const { requestId } of missed) console.error(`speaker-session: nothing was heard of ${requestId}`)
  if (signal.aborted) return 128 + constants.signals[signal.reason]
  return problems.all.length + history.count('failed') + missed.length > 0 ? 1 : 0
}

/** What went wrong, each thing once: a full disk is told by an event, and by every call that fails with it. */
class Problems {
  all = []

  add(problem) {
    const isKnown = ({ code, message }) => code !== undefined && code === problem.code && message === problem.message
    if (!this.all.some(isKnown)) this.all.push(problem)
  }
}

/**
 * Returns a signal that SIGINT or SIGTERM aborts, so that the file is finished. A second one ends the process as usual.
 */
function interruption() {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => controller.abort(name))
  return controller.signal
}

function closeOn(signal, session) {
  const close = () => session.close().catch(() => {}) // play() closes too, and reports errors
  if (signal.aborted) close()
  else signal.addEventListener('abort', close)
}

module.exports = { run }
