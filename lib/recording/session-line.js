'use strict'

// The first line of a recording: the options of its session.

const { SESSION_OPTIONS, sessionOptions } = require('../check')
const { object } = require('../check/values')

/**
 * Options that change neither samples nor outcomes are left out, and so are the output, apart from its channels, and the network rules:
 * whoever replays the recording sets those.
 */
const OMITTED = ['output', 'progressIntervalMs', 'network', 'record', 'logger']
const RECORDED = ['channels', ...SESSION_OPTIONS.filter((name) => !OMITTED.includes(name))]

/** Returns the fields of the line for a session with these options. */
function recordedOptions({ output, ...options }) {
  const all = { channels: output.channels, ...options }
  return Object.fromEntries(RECORDED.filter((key) => all[key] !== undefined).map((key) => [key, all[key]]))
}

/** Validates the fields of such a line and returns them. */
function replayedOptions(line) {
  const { channels, ...options } = object(line, 'session', RECORDED)
  sessionOptions({ ...options, output: { type: 'memory', channels } })
  return line
}

module.exports = { recordedOptions, replayedOptions }
