'use strict'

// Which files a log is made of.

const { readdirSync, statSync } = require('node:fs')
const path = require('node:path')

const { SpeakerError } = require('../error')

const EXTENSION = '.jsonl'

/** Returns the files that are named, and those of the folders that are named which end in .jsonl, in order of their names. */
function logFiles(names) {
  return names.flatMap((name) => (isFolder(name) ? filesIn(name) : [name]))
}

/** Returns false for what is not there: reading it says so. */
function isFolder(name) {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function filesIn(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(EXTENSION)).sort()
  if (names.length > 0) return names.map((name) => path.join(folder, name))
  throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected files that end in ${EXTENSION} in the folder ${folder} but received none`)
}

module.exports = { logFiles }
