'use strict'

const path = require('node:path')
const { parseArgs } = require('node:util')

const { SpeakerError } = require('../error')
const { FORMATS } = require('./picture')

const OPTIONS = {
  out: { type: 'string' },
  device: { type: 'string' },
  force: { type: 'boolean' },
  livekit: { type: 'boolean' },
  user: { type: 'string', multiple: true },
  report: { type: 'string' },
  timeline: { type: 'string' },
  overlap: { type: 'string' },
  stereo: { type: 'boolean' },
  realtime: { type: 'boolean' },
  json: { type: 'boolean' },
  loudness: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' }
}

/** Standard input among the inputs, standard output as the output. */
const STANDARD = '-'

/** Options of `probe` alone. */
const PROBE = ['loudness']

function usageError(message) {
  return new SpeakerError('ERR_INVALID_ARGUMENT', `${message}\n\`speaker-session --help\` says what there is.`)
}

/** Returns the parsed command line: `{ command, operands, options }`. */
function readArguments(args) {
  const { values, positionals } = parse(args)
  const { help, version, ...options } = values
  const [command, ...operands] = help ? ['help'] : version ? ['version'] : positionals
  if (command === 'play' && operands.length === 0) throw usageError('Expected files or URLs for play but received none')
  if (command === 'replay' && operands.length === 0) throw usageError('Expected files of requests for replay but received none')
  if (command === 'probe' && operands.length === 0) throw usageError('Expected files or URLs for probe but received none')
  if (!['play', 'replay', 'probe', 'build', 'help', 'version'].includes(command)) {
    throw usageError(`Expected play, replay, probe, build or help for the command but received ${command ?? 'none'}`)
  }
  if (command === 'build' && args.length > 1) throw usageError(`Expected nothing after build but received ${args[1]}`)
  const targets = ['livekit', 'out', 'device'].filter((name) => options[name] !== undefined)
  if (targets.length > 1) throw usageError(`Expected either --${targets[0]} or --${targets[1]} but received both`)
  if (options.device === '') throw usageError('Expected the name of a device for --device but received an empty one')
  if (options.out === STANDARD && process.stdout.isTTY) throw usageError('Expected a pipe or a file behind --out - but received a terminal')
  if (operands.filter((operand) => operand === STANDARD).length > 1) throw usageError('Expected one - for standard input but received several')
  const needless = Object.keys(options).find((name) => (command === 'probe') !== PROBE.includes(name) && name !== 'json')
  if (needless) throw usageError(`Expected no --${needless} for ${command} but received one`)
  if (options.timeline !== undefined && !FORMATS.includes(path.extname(options.timeline))) {
    throw usageError(`Expected a name that ends in ${FORMATS.join(' or ')} for --timeline but received ${options.timeline}`)
  }
  if (command === 'play' && options.user) throw usageError('Expected no --user for play but received one')
  return { command, operands, options }
}

function parse(args) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw usageError(error.message)
  }
}

module.exports = { STANDARD, readArguments }
