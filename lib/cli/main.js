'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { version } = require('../../package.json')
const { SpeakerError } = require('../error')
const { readArguments } = require('./arguments')
const { requestsOf } = require('./requests')
const { USAGE } = require('./usage')

/** Runs the command line; returns the exit code. */
async function main(args) {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', outliveReader)
  try {
    const { command, operands, options } = readArguments(args)
    if (command === 'help') process.stdout.write(USAGE)
    else if (command === 'version') process.stdout.write(`${version}\n`)
    else if (command === 'build') return build()
    else if (command === 'probe') return await require('./probe').probeAll(operands, options)
    else return await play(await requestsOf(command, operands, options), options)
    return 0
  } catch (error) {
    console.error(error instanceof SpeakerError ? error.message : error)
    return error.code === 'ERR_INVALID_ARGUMENT' ? 2 : 1
  }
}

function play({ users, out, device }, options) {
  const masked = users.reduce((sum, user) => sum + user.masked, 0)
  if (masked > 0) console.error(`speaker-session: ${without(masked)} (record: { path, secrets: true } keeps them)`)
  // Loaded only when needed: help must not depend on the addon.
  if (out !== undefined || device || options.livekit) return require('./run').run(users[0], { ...options, out, device })
  return require('./run-users').runUsers(users, options)
}

/** Builds the addon from source; returns the exit code. */
function build() {
  return spawnSync(process.execPath, [path.join(__dirname, '..', '..', 'scripts', 'build.js')], { stdio: 'inherit' }).status ?? 1
}

/** Prints how many requests can't be played as they were. */
function without(count) {
  const were = count === 1 ? 'was recorded without its secrets, and is' : 'were recorded without their secrets, and are'
  return `${count} of the requests ${were} played without them`
}

/** Ignores a closed stdout (`| head`): the WAV file is still wanted. */
function outliveReader(error) {
  if (error.code === 'EPIPE') return
  console.error(`speaker-session: ${error.message}`)
  process.exit(1)
}

module.exports = { main }
