'use strict'

// `npm run demo`: plays examples/demo.jsonl by the command line, with its options; with --open it serves examples/showcase instead.

const path = require('node:path')

const args = process.argv.slice(2)
const requests = path.relative('', path.join(__dirname, '..', 'examples', 'demo.jsonl'))

if (args.includes('--open')) require('../examples/showcase/server').run(args)
else require('../lib/cli/main').main(['replay', requests, '--force', ...args]).then((exitCode) => (process.exitCode = exitCode))
