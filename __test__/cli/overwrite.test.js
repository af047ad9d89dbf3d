'use strict'

// What the command line may overwrite: nothing, unless it is told to and something was played.

const assert = require('node:assert')
const { linkSync, readFileSync, readdirSync, symlinkSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { jsonl, run, workspace } = require('../support/cli')
const { level, readWav, tone } = require('../support/wav')

const LOW = tone(440, 1000)
const FILES = {
  'low.wav': LOW,
  'requests.jsonl': jsonl({ atMs: 0, type: 'play', requestId: 'low', audioUrl: 'low.wav' }),
  'nothing.jsonl': jsonl({ atMs: 0, type: 'play', requestId: 'gone', audioUrl: 'gone.wav' })
}

describe('an existing file', () => {
  for (const [which, out, args] of [
    ['mix.wav', 'mix.wav', ['play', 'low.wav']],
    ['the one of --out', 'other.wav', ['replay', 'requests.jsonl', '--out', 'other.wav']]
  ]) {
    it(`is kept: ${which}`, async (t) => {
      const directory = workspace(t, { ...FILES, [out]: 'mine' })
      const { exitCode, stdout, stderr } = await run(directory, args)
      assert.deepStrictEqual([exitCode, stdout], [2, ''])
      assert.strictEqual(stderr, `Expected a file that does not exist for --out but received ${out}; --force replaces it\n`)
      assert.strictEqual(readFileSync(path.join(directory, out), 'utf8'), 'mine')
    })

    it(`is replaced with --force: ${which}`, async (t) => {
      const directory = workspace(t, { ...FILES, [out]: 'mine' })
      const { exitCode, stderr } = await run(directory, [...args, '--force'])
      assert.deepStrictEqual([exitCode, stderr], [0, ''])
      assert.ok(level(readWav(path.join(directory, out)).samples, 0, 48000, 440) > 0.29)
      assert.deepStrictEqual(readdirSync(directory).sort(), [...Object.keys(FILES), out].sort())
    })
  }

  it('is kept behind a symlink too', async (t) => {
    const directory = workspace(t, { ...FILES, 'mine.wav': 'mine' })
    symlinkSync('mine.wav', path.join(directory, 'mix.wav'))
    assert.strictEqual((await run(directory, ['play', 'low.wav'])).exitCode, 2)
    assert.strictEqual(readFileSync(path.join(directory, 'mine.wav'), 'utf8'), 'mine')
  })

  it('is kept with --force if nothing could be played', async (t) => {
    const directory = workspace(t, { ...FILES, 'mix.wav': 'mine' })
    for (const args of [['play', 'gone.wav'], ['replay', 'nothing.jsonl'], ['play', 'requests.jsonl', '--realtime']]) {
      const { exitCode, stderr } = await run(directory, [...args, '--force'])
      assert.deepStrictEqual([exitCode, stderr.split('\n').at(-2)], [1, 'speaker-session: nothing was played, so mix.wav is not written'])
      assert.strictEqual(readFileSync(path.join(directory, 'mix.wav'), 'utf8'), 'mine')
    }
    assert.deepStrictEqual(readdirSync(directory).sort(), [...Object.keys(FILES), 'mix.wav'].sort())
  })
})

it('a failed run leaves no file in the way', async (t) => {
  const directory = workspace(t, FILES)
  const failed = await run(directory, ['play', 'gone.wav'])
  assert.deepStrictEqual([failed.exitCode, readdirSync(directory).sort()], [1, Object.keys(FILES).sort()])
  assert.strictEqual((await run(directory, ['play', 'low.wav'])).exitCode, 0)
})

it('reports that there was nothing to play', async (t) => {
  const directory = workspace(t, { 'empty.jsonl': '# nothing\n' })
  const { exitCode, stderr } = await run(directory, ['replay', 'empty.jsonl'])
  assert.deepStrictEqual([exitCode, stderr], [1, 'speaker-session: nothing was played, so mix.wav is not written\n'])
})

it('a device does not count as an existing file', { skip: process.platform === 'win32' }, async (t) => {
  const { exitCode } = await run(workspace(t, FILES), ['play', 'low.wav', '--out', '/dev/null'])
  assert.strictEqual(exitCode, 0)
})

describe('an input file', () => {
  const names = {
    'by a symlink': (at) => symlinkSync('low.wav', at('link.wav')),
    'by a hard link': (at) => linkSync(at('low.wav'), at('link.wav'))
  }
  for (const [which, make] of Object.entries(names)) {
    it(`is not overwritten ${which}, even with --force`, async (t) => {
      const directory = workspace(t, FILES)
      make((name) => path.join(directory, name))
      for (const args of [['play', 'low.wav', '--out', 'link.wav'], ['play', 'link.wav', '--out', 'low.wav'],
        ['replay', 'requests.jsonl', '--out', 'link.wav']]) {
        const { exitCode, stderr } = await run(directory, [...args, '--force'])
        assert.strictEqual(exitCode, 2)
        assert.match(stderr, /^Expected a file that is neither played nor replayed for --out but received (low|link)\.wav\n$/)
      }
      assert.ok(readFileSync(path.join(directory, 'low.wav')).equals(LOW))
    })
  }
})

it('does not overwrite the file of requests', async (t) => {
  const directory = workspace(t, FILES)
  const { exitCode, stderr } = await run(directory, ['replay', 'requests.jsonl', '--out', './requests.jsonl', '--force'])
  assert.strictEqual(exitCode, 2)
  assert.match(stderr, /^Expected a file that is neither played nor replayed for --out but received \.\/requests\.jsonl\n$/)
  assert.strictEqual(readFileSync(path.join(directory, 'requests.jsonl'), 'utf8'), FILES['requests.jsonl'])
})

it('the demo can be played again and again', async (t) => {
  const root = path.join(__dirname, '..', '..')
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const [node, script, ...args] = scripts.demo.split(' ')
  assert.strictEqual(node, 'node')
  const directory = workspace(t)
  const demo = () => run(directory, args, undefined, { program: path.join(root, script) })
  for (const time of ['first', 'second']) assert.strictEqual((await demo()).exitCode, 0, time)
  writeFileSync(path.join(directory, 'mix.wav'), '')
  assert.strictEqual((await demo()).exitCode, 0)
  assert.ok(readWav(path.join(directory, 'mix.wav')).samples.length > 0)
})
