'use strict'

const { constants } = require('node:os')

/** Returns a signal that SIGINT or SIGTERM aborts, so that files are finished. A second one ends the process as usual. */
function interruption() {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => controller.abort(name))
  return controller.signal
}

/** Returns the exit code of a run with this many errors. */
function exitCode(signal, problems) {
  if (signal.aborted) return 128 + constants.signals[signal.reason]
  return problems > 0 ? 1 : 0
}

module.exports = { exitCode, interruption }
