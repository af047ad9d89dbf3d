'use strict'

const { version } = require('../../package.json')
const { SpeakerError } = require('../error')
const { readArguments } = require('./arguments')
const { requestsOf } = require('./requests')
const { USAGE } = require('./usage')

/** The command line; says the exit code. */
async function main(args) {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', outliveReader)
  try {
    const { command, operands, options } = readArguments(args)
    if (command === 'help') process.stdout.write(USAGE)
    else if (command === 'version') process.stdout.write(`${version}\n`)
    else return await play(requestsOf(command, operands, options), options)
    return 0
  } catch (error) {
    console.error(error instanceof SpeakerError ? error.message : error)
    return error.code === 'ERR_INVALID_ARGUMENT' ? 2 : 1
  }
}

/** What the command line says wins over what a recording says. */
function play({ options: { channels, ...recorded }, requests, masked }, options) {
  if (masked > 0) console.error(`speaker-session: ${without(masked)} (record: { path, secrets: true } keeps them)`)
  // Not before it is needed: help must not depend on the addon.
  const { run } = require('./run')
  return run(requests, { stereo: channels === 2, ...options }, recorded)
}

/** Says that so many requests are not played as they were. */
function without(count) {
  const were = count === 1 ? 'was recorded without its secrets, and is' : 'were recorded without their secrets, and are'
  return `${count} of the requests ${were} played without them`
}

/** Whoever read our output may go (`| head`); the WAV file is still wanted. */
function outliveReader(error) {
  if (error.code === 'EPIPE') return
  console.error(`speaker-session: ${error.message}`)
  process.exit(1)
}

module.exports = { main }
