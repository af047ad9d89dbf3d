'use strict'

// Standard input and output, the sound card, and any number of files.

const assert = require('node:assert')
const { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { jsonl, run, workspace } = require('../support/cli')
const { level, tone } = require('../support/wav')

const FILES = { 'low.wav': tone(440, 300), 'high.wav': tone(880, 200) }

/** Returns the samples of a WAV file whose header states no length. */
function samplesOf(bytes, channels = 1) {
  assert.deepStrictEqual([bytes.toString('latin1', 0, 4), bytes.readUInt32LE(4), bytes.readUInt32LE(40)], ['RIFF', 0xffffffff, 0xffffffff])
  assert.deepStrictEqual([bytes.readUInt16LE(22), bytes.readUInt32LE(24)], [channels, 48000])
  return Float32Array.from({ length: (bytes.length - 44) / 2 }, (_, n) => bytes.readInt16LE(44 + n * 2) / 32768)
}

/** Puts a stand-in for a sound card's player on the PATH; it keeps its input and its arguments. */
function player(directory, name, script = `
  const { appendFileSync, readFileSync, writeFileSync } = require('node:fs')
  const file = process.argv.find((name) => name.endsWith('.wav'))
  writeFileSync('arguments.json', JSON.stringify(process.argv.slice(2)))
  if (file) writeFileSync('played.wav', readFileSync(file))
  else process.stdin.on('data', (bytes) => appendFileSync('played.wav', bytes))
`) {
  const folder = path.join(directory, 'bin')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, name), `#!${process.execPath}\n${script}`)
  chmodSync(path.join(folder, name), 0o755)
  return { PATH: folder, PULSE_SERVER: 'somewhere' }
}

describe('standard input and output', () => {
  it('play - reads stdin and --out - writes the mix to stdout', async (t) => {
    const directory = workspace(t, FILES)
    const { exitCode, stdout, stderr } = await run(directory, ['play', '-', 'high.wav', '--overlap', 'queue', '--out', '-'], undefined, { input: FILES['low.wav'], encoding: 'latin1' })
    assert.strictEqual(exitCode, 0, stderr)
    const samples = samplesOf(Buffer.from(stdout, 'latin1'))
    assert.strictEqual(samples.length, 24000)
    assert.ok(Math.abs(level(samples, 0, 14400, 440) - 0.3) < 0.001)
    assert.ok(Math.abs(level(samples, 14400, 24000, 880) - 0.3) < 0.001)
    assert.match(stderr, /completed standard input {2}0\.300 s$/m)
    assert.match(stderr, /^standard output: 0\.50 s, 2 completed/m)
    assert.ok(!existsSync(path.join(directory, 'mix.wav')))
  })

  it('stdout and a file get the same mix', async (t) => {
    const directory = workspace(t, { ...FILES, 'requests.jsonl': jsonl(
      { atMs: 100, type: 'play', requestId: 'low', audioUrl: 'low.wav', stopOther: false }, { atMs: 1000, type: 'play', requestId: 'high', audioUrl: 'high.wav' }
    ) })
    const piped = await run(directory, ['replay', 'requests.jsonl', '--stereo', '--json', '--out', '-'], undefined, { encoding: 'latin1' })
    assert.strictEqual((await run(directory, ['replay', 'requests.jsonl', '--stereo', '--out', 'a.wav'])).exitCode, 0)
    const file = readFileSync(path.join(directory, 'a.wav'))
    const bytes = Buffer.from(piped.stdout, 'latin1')
    samplesOf(bytes, 2)
    assert.ok(bytes.subarray(44).equals(file.subarray(44)), `${bytes.length} bytes and ${file.length}`)
    assert.ok(piped.stderr.split('\n').filter((line) => line.startsWith('{')).some((line) => JSON.parse(line).type === 'completed'), 'events are on standard error')
  })

  it('replay - reads requests and probe - a sound', async (t) => {
    const directory = workspace(t, FILES)
    const input = jsonl({ atMs: 0, type: 'play', requestId: 'low', audioUrl: 'low.wav' })
    const { exitCode, stdout } = await run(directory, ['replay', '-'], undefined, { input })
    assert.strictEqual(exitCode, 0)
    assert.match(stdout, /^mix\.wav: 0\.30 s, 1 completed/m)
    const wrong = await run(directory, ['replay', '-', '--force'], undefined, { input: '{"type":"sing"}' })
    assert.strictEqual(wrong.exitCode, 2)
    assert.match(wrong.stderr, /^-:1: Expected one of /)
    const probed = await run(directory, ['probe', '-', '--json'], undefined, { input: FILES['low.wav'] })
    assert.deepStrictEqual([probed.exitCode, JSON.parse(probed.stdout).durationMs], [0, 300])
  })

  it('fails if standard input is not audio', async (t) => {
    const { exitCode, stderr } = await run(workspace(t), ['play', '-'], undefined, { input: 'no sound' })
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /failed {4}standard input {2}ERR_UNSUPPORTED_FORMAT/)
    assert.strictEqual((await run(workspace(t), ['play', '-', '-'])).exitCode, 2)
  })

  it('a reader that closes early ends the run', async (t) => {
    const directory = workspace(t, { 'loop.jsonl': jsonl({ atMs: 0, type: 'play', audioUrl: 'low.wav', loop: 1_000_000 }), ...FILES })
    const { exitCode } = await run(directory, ['replay', 'loop.jsonl', '--out', '-'], (_, child) => child.stdout.destroy(), { encoding: 'latin1' })
    assert.notStrictEqual(exitCode, null, 'it ended by itself')
  })
})

describe('the sound card', () => {
  for (const [name, args, expected] of [
    ['aplay', [], ['-q', '-t', 'wav', '-']], ['aplay', ['--device', 'hw:1'], ['-q', '-t', 'wav', '-D', 'hw:1', '-']], ['aplay', ['--device', 'default'], ['-q', '-t', 'wav', '-']],
    ['ffplay', [], ['-nodisp', '-autoexit', '-loglevel', 'error', '-i', 'pipe:0']], ['afplay', [], undefined]
  ]) {
    it(`play ${args.join(' ')} plays by ${name}`, async (t) => {
      const directory = workspace(t, FILES)
      const { exitCode, stdout, stderr } = await run(directory, ['play', 'low.wav', ...args], undefined, { env: player(directory, name) })
      assert.deepStrictEqual([exitCode, stderr], [0, ''])
      assert.match(stdout, new RegExp(`^sound card \\(${name}\\): 0\\.\\d\\d s, 1 completed`, 'm'))
      const played = readFileSync(path.join(directory, 'played.wav'))
      const samples = Float32Array.from({ length: 14400 }, (_, n) => played.readInt16LE(44 + n * 2) / 32768)
      if (name === 'afplay') assert.ok(Math.abs(level(samples, 0, 14400, 440) - 0.3) < 0.001)
      // In real time a slow start is silence before the sound.
      else assert.ok(Math.max(...Float32Array.from({ length: (played.length - 44) / 2 }, (_, n) => played.readInt16LE(44 + n * 2) / 32768)) > 0.29)
      if (expected) assert.deepStrictEqual(JSON.parse(readFileSync(path.join(directory, 'arguments.json'))), expected)
      assert.ok(!existsSync(path.join(directory, 'mix.wav')))
    })
  }

  it('without a sound card play writes mix.wav', async (t) => {
    const directory = workspace(t, FILES)
    const { exitCode, stdout } = await run(directory, ['play', 'low.wav'])
    assert.strictEqual(exitCode, 0)
    assert.match(stdout, /^mix\.wav: 0\.30 s, 1 completed/m)
    const refused = await run(directory, ['play', 'low.wav', '--device', 'default'])
    assert.strictEqual(refused.exitCode, 2)
    assert.match(refused.stderr, /^Expected one of these programs on the PATH for --device default but received none: aplay, ffplay, afplay$/m)
  })

  it("a sound card failure shows the program's message", async (t) => {
    const directory = workspace(t, FILES)
    const env = player(directory, 'aplay', `console.error("aplay: main:850: audio open error: No such file or directory\\nmore"); process.exit(1)`)
    const { exitCode, stderr } = await run(directory, ['play', 'low.wav'], undefined, { env })
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /^speaker-session: aplay can't play on the sound card: aplay: main:850: audio open error: No such file or directory; --out FILE writes a WAV file$/m)
  })

  it('accepts one destination only', async (t) => {
    for (const args of [['--out', 'a.wav', '--device', 'default'], ['--livekit', '--device', 'default'], ['--livekit', '--out', 'a.wav']]) {
      const { exitCode, stderr } = await run(workspace(t, FILES), ['play', 'low.wav', ...args])
      assert.deepStrictEqual([exitCode, /^Expected either --\w+ or --\w+ but received both$/m.test(stderr)], [2, true])
    }
  })
})

describe('any number of files', () => {
  it('play at once and one after another', async (t) => {
    const directory = workspace(t, { 'short.wav': tone(440, 20) })
    const many = await run(directory, ['play', ...Array(30).fill('short.wav')])
    assert.match(many.stdout, /^mix\.wav: 0\.02 s, 30 completed, 0 stopped, 0 failed/m)
    const queued = await run(directory, ['play', ...Array(150).fill('short.wav'), '--overlap', 'queue', '--force'])
    assert.match(queued.stdout, /^mix\.wav: 3\.00 s, 150 completed, 0 stopped, 0 failed/m)
    const tooMany = await run(directory, ['play', ...Array(1001).fill('short.wav'), '--force'])
    assert.strictEqual(tooMany.exitCode, 2)
    assert.match(tooMany.stderr, /^Expected at most 1000 files or URLs for play but received 1001$/m)
  })
})

describe('messages', () => {
  it('failures go to standard error', async (t) => {
    const directory = workspace(t, FILES)
    const people = await run(directory, ['play', 'low.wav', 'gone.wav'])
    assert.match(people.stderr, /^ {2}0\.000 s {2}failed {4}gone\.wav {2}ERR_FILE: /m)
    assert.doesNotMatch(people.stdout, /^ {2}0\.000 s {2}failed/m)
    const programs = await run(directory, ['play', 'low.wav', 'gone.wav', '--json', '--force'])
    assert.match(programs.stderr, /^speaker-session: gone\.wav: ERR_FILE: .*$/m)
    assert.ok(programs.stdout.trim().split('\n').map((line) => JSON.parse(line)).some(({ type, code }) => type === 'failed' && code === 'ERR_FILE'))
  })

  it('--json prints every event, including mutes', async (t) => {
    const directory = workspace(t, { ...FILES, 'mute.jsonl': jsonl(
      { atMs: 0, type: 'play', requestId: 'low', audioUrl: 'low.wav' }, { atMs: 100, type: 'mute', trackId: 0, muted: true }, { atMs: 200, type: 'mute', trackId: 0, muted: false }
    ) })
    const { stdout } = await run(directory, ['replay', 'mute.jsonl', '--json'])
    const told = stdout.trim().split('\n').map((line) => JSON.parse(line))
    assert.deepStrictEqual(told.filter(({ type }) => /mute/.test(type)).map(({ type, trackId, atMs }) => [type, trackId, atMs]), [['muted', 0, 100], ['unmuted', 0, 200]])
    const people = await run(directory, ['replay', 'mute.jsonl', '--force'])
    assert.match(people.stdout, /^ {2}0\.100 s {2}muted {5}track 0$/m)
  })

  it('skips a byte-order mark before requests', async (t) => {
    const line = jsonl({ atMs: 0, type: 'play', requestId: 'low', audioUrl: 'low.wav' })
    const directory = workspace(t, { ...FILES, 'bom.jsonl': `\uFEFF${line}\r\n`, 'comment.jsonl': `\uFEFF# a comment\r\n${line}\r\n` })
    for (const file of ['bom.jsonl', 'comment.jsonl']) {
      const { exitCode, stdout } = await run(directory, ['replay', file, '--force'])
      assert.strictEqual(exitCode, 0, file)
      assert.match(stdout, /1 completed/)
    }
  })
})
