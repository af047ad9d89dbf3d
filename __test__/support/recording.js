'use strict'

// Sessions that record their requests, and replays of these.

const { readFileSync } = require('node:fs')
const path = require('node:path')

const { SpeakerSession } = require('../..')
const { Log } = require('../../lib/recording/log')
const { History } = require('../../lib/replay/history')
const { makeRequests } = require('../../lib/replay/requests')
const { workspace } = require('./cli')
const { open } = require('./session')
const { tone } = require('./wav')

/** Returns the lines of a recording. */
function lines(file) {
  return readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
}

/** Opens a session that records, and returns it with the path. */
function recording(t, options) {
  const directory = workspace(t, { 'low.wav': tone(440, 1000) })
  const file = path.join(directory, 'session.jsonl')
  return { ...open(t, { ...options, record: file }), file, directory }
}

/** Replays a file on the manual clock; returns the samples and the playbacks. */
async function replayed(file) {
  const [user] = (await Log.open([file])).users.values()
  const { channels, ...rest } = user.options
  const session = new SpeakerSession({ ...rest, output: { type: 'memory', clock: 'manual', channels } })
  const history = new History(session)
  await makeRequests(session, user, history)
  const { samples } = session.recording()
  await session.close()
  return { samples, playbacks: history.playbacks }
}

module.exports = { lines, recording, replayed }
