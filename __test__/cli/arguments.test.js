'use strict'

// What the command line accepts, and how it refuses everything else.

const assert = require('node:assert')
const { existsSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { version } = require('../../package.json')
const { run, workspace } = require('../support/cli')
const { tone } = require('../support/wav')

const FILES = { 'low.wav': tone(440, 1000), 'high.wav': tone(880, 500) }

describe('the arguments', () => {
  it('help and version go to stdout', async (t) => {
    const directory = workspace(t)
    for (const args of [['--help'], ['help'], ['play', '-h']]) {
      const { exitCode, stdout, stderr } = await run(directory, args)
      assert.deepStrictEqual([exitCode, stderr], [0, ''])
      assert.match(stdout, /Usage:[^]*--overlap[^]*Exit code:[^]*130/)
    }
    const { exitCode, stdout } = await run(directory, ['--version'])
    assert.deepStrictEqual([exitCode, stdout], [0, `${version}\n`])
  })

  it('build says what it lacks', async (t) => {
    const { exitCode, stdout, stderr } = await run(workspace(t), ['build'])
    assert.deepStrictEqual([exitCode, stdout], [1, ''])
    assert.match(stderr, /^speaker-session: cargo was not found, .* Install Rust/)
  })

  const wrong = {
    'nothing at all': [[], 'Expected play, replay, probe, build or help for the command but received none'],
    'an unknown command': [['sing'], 'received sing'],
    'an operand of build': [['build', 'x'], 'Expected nothing after build but received x'],
    'an unknown option': [['play', 'low.wav', '--loud'], "'--loud'"],
    'no sources': [['play'], 'Expected files or URLs for play but received none'],
    'a source of an unknown scheme': [['play', 'ftp://host/a.mp3'], 'for audioUrl but received'],
    'no file of requests': [['replay'], 'Expected files of requests for replay but received none'],
    'a user of files to play': [['play', 'low.wav', '--user', 'alice'], 'Expected no --user for play'],
    'a missing file of requests': [['replay', 'no.jsonl'], 'received no.jsonl'],
    'an unknown overlap': [['play', 'low.wav', '--overlap', 'shout'], "for overlap but received 'shout'"]
  }
  for (const [which, [args, complaint]] of Object.entries(wrong)) {
    it(`refuses ${which}`, async (t) => {
      const directory = workspace(t, FILES)
      const { exitCode, stdout, stderr } = await run(directory, args)
      assert.deepStrictEqual([exitCode, stdout], [2, ''])
      assert.ok(stderr.includes(complaint), stderr)
      assert.ok(!existsSync(path.join(directory, 'mix.wav')))
    })
  }
})
