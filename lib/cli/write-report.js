'use strict'

const { writeFile } = require('node:fs/promises')

const { SpeakerError } = require('../error')

/** Writes the report of a replay as JSON. */
async function writeReport(path, report) {
  try {
    await writeFile(path, `${JSON.stringify(report, undefined, 2)}\n`)
  } catch ({ message }) {
    throw new SpeakerError('ERR_OUTPUT', `the report can't be written: ${message}`)
  }
}

module.exports = { writeReport }
