'use strict'

const { constants } = require('node:os')

const { SpeakerSession } = require('../session')
const { History, OUTCOMES } = require('../replay/history')
const { replay } = require('../replay/replay')
const { seconds } = require('./format')
const { JsonReport, TextReport } = require('./report')

/** Plays requests into a WAV file or a room, by a session with the options that were `recorded`; says the exit code. */
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
  // Each only where it is wanted.
  if (options.livekit) return require('./room').Room.open(options, requests)
  const { WavFile } = require('./wav-file')
  return new WavFile(options)
}

async function play(requests, place, recorded, { overlap = recorded.overlap, json }, signal, begun) {
  const session = new SpeakerSession({ ...recorded, output: place.output, overlap })
  const problems = []
  session.on('error', (error) => problems.push(error))
  closeOn(signal, session)

  const zeroMs = await place.prepare(session).catch((error) => signal.aborted || problems.push(error))
  const history = new History(session)
  const report = new (json ? JsonReport : TextReport)(session, process)
  if (problems.length === 0 && !signal.aborted) {
    const told = { onRefused: (playback) => report.refused(playback), onAsked: (...asked) => report.asked(...asked) }
    const how = { clock: place.clock, zeroMs, signal, ...told }
    await replay(session, requests, history, how).catch((error) => problems.push(error))
  }
  const { sounds, missed } = await place.heard(history.playbacks)
  await session.close().catch((error) => problems.push(error))

  const counts = OUTCOMES.map((outcome) => `${history.count(outcome)} ${outcome}`).join(', ')
  const [length, took] = [session.stats().timeMs, performance.now() - begun].map((ms) => seconds(ms, 2))
  if (problems.length === 0 || history.playbacks.length > 0) {
    report.end(history.playbacks, sounds, `${place.name}: ${length}, ${counts}, in ${took}`)
  }
  for (const { code, message, stack } of problems) console.error(`speaker-session: ${code ? message : stack}`)
  for (const { requestId } of missed) console.error(`speaker-session: nothing was heard of ${requestId}`)
  if (signal.aborted) return 128 + constants.signals[signal.reason]
  return problems.length + history.count('failed') + missed.length > 0 ? 1 : 0
}

/** Aborted by the first signal, so that what was begun is ended well; a second one ends the process as usual. */
function interruption() {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => controller.abort(name))
  return controller.signal
}

function closeOn(signal, session) {
  const close = () => session.close().catch(() => {}) // play() closes too, and tells
  if (signal.aborted) close()
  else signal.addEventListener('abort', close)
}

module.exports = { run }
