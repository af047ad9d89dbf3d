'use strict'

const path = require('node:path')

const file = path.join(__dirname, '..', 'speaker-session.node')

try {
  module.exports = require(file)
} catch (cause) {
  const remedies = [
    'It is built from source by `npm install`; was that run with --ignore-scripts? Run `npm rebuild speaker-session`.',
    'It must be built on the machine (platform, processor, libc) it runs on: was node_modules copied from elsewhere?'
  ]
  throw new Error(
    `The speaker-session addon could not be loaded: ${cause.message}\n${remedies.map((line) => `  - ${line}`).join('\n')}`,
    { cause }
  )
}

// A thread writes the log: waiting lines are written before the process ends.
process.once('exit', module.exports.flushLog)
