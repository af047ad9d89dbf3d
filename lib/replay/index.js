'use strict'

// `speaker-session/replay`: the command line's replay of a log, for programs. Documented in index.d.ts.

const { throwIfAborted } = require('../abort')
const { SESSION_OPTIONS, sessionOptions } = require('../check')
const { REQUIRED, check, object } = require('../check/values')
const { SpeakerError, invalidArgument } = require('../error')
const { Log } = require('../recording/log')
const { logFiles } = require('./files')
const { sessionOptionsOf } = require('./session-options')
const { replayUsers } = require('./users')

const OPTIONS = ['log', 'requests', 'users', 'options', 'output', 'clock', 'atOnce', 'signal', 'onSession', 'onUser']

/** Options of a session that are each user's own. */
const OWN = ['output', 'record']

async function replay(options) {
  const { output, clock, atOnce, signal, onSession, onUser, ...checked } = replayOptions(options)
  throwIfAborted(signal)
  const log = checked.files ? await Log.open(logFiles(checked.files)) : await Log.of(checked.requests)
  const users = chosen(log, checked.users)
  if (output.type === 'wav' && users.length > 1) throw invalidArgument('a function that gives each user a file of their own', 'output', output)
  const report = await replayUsers(users, {
    options: (user) => sessionOptionsOf(user, checked.options, typeof output === 'function' ? output(user.name) : output, clock),
    isLive: clock === 'realtime',
    atOnce, signal, onSession, onUser
  })
  if (signal?.aborted) throw new SpeakerError('ERR_ABORTED', 'Expected the signal not to be aborted during the replay but it was')
  return report
}

function replayOptions(options) {
  const { log, requests, users, output = { type: 'none' }, signal, onSession, onUser } = object(options, 'replay', OPTIONS)
  if ((log === undefined) === (requests === undefined)) throw invalidArgument('either log or requests', 'replay', options)
  if (requests !== undefined && typeof requests?.[Symbol.iterator] !== 'function') throw invalidArgument('an iterable of objects', 'requests', requests)
  if (users !== undefined && !Array.isArray(users)) throw invalidArgument('an array of names', 'users', users)
  if (typeof output !== 'object' && typeof output !== 'function') throw invalidArgument('an object or a function', 'output', output)
  for (const [name, call] of Object.entries({ onSession, onUser })) {
    if (call !== undefined && typeof call !== 'function') throw invalidArgument('a function', name, call)
  }
  const more = object(options.options ?? {}, 'options', SESSION_OPTIONS.filter((name) => !OWN.includes(name)))
  sessionOptions({ ...more, output: { type: 'none' } })
  return {
    files: log === undefined ? undefined : [log].flat().map((file) => check.text(file, 'log', REQUIRED)),
    requests, users, output, onSession, onUser,
    options: more,
    clock: check.oneOf(options.clock, 'clock', 'manual', ['manual', 'realtime']),
    atOnce: check.integer(options.atOnce, 'atOnce', undefined, 1, 100_000),
    signal: check.signal(signal, 'signal')
  }
}

/** Returns the users of these names, or all. */
function chosen(log, names = [...log.users.keys()]) {
  return names.map((name) => {
    if (!log.users.has(name)) throw invalidArgument('users of the log', 'users', name)
    return log.users.get(name)
  })
}

module.exports = { replay }
