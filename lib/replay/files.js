'use strict'

// The files of a log.

const { readdirSync, statSync } = require('node:fs')
const path = require('node:path')

const { SpeakerError } = require('../error')

const EXTENSION = '.jsonl'

/** Returns the named files, and of the named folders those that end in .jsonl, in order of their names. */
function logFiles(names) {
  return names.flatMap((name) => (isFolder(name) ? filesIn(name) : [name]))
}

/** Returns false for a path that does not exist: reading it reports that. */
function isFolder(name) {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function filesIn(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(EXTENSION)).sort()
  if (names.length > 0) return names.map((name) => path.join(folder, name))
  throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected files that end in ${EXTENSION} in the folder ${folder} but received none`)
}

module.exports = { logFiles }
