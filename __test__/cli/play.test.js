'use strict'

// `speaker-session play`, `--json`, and interruptions by a signal.

const assert = require('node:assert')
const path = require('node:path')
const { describe, it } = require('node:test')

const { jsonl, run, workspace } = require('../support/cli')
const { level, readWav, tone } = require('../support/wav')

const FILES = { 'low.wav': tone(440, 1000), 'high.wav': tone(880, 500) }
const LONG = { 'long.wav': tone(440, 20000) }

describe('play', () => {
  it('mixes its files into mix.wav', async (t) => {
    const directory = workspace(t, FILES)
    const { exitCode, stdout } = await run(directory, ['play', 'low.wav', 'high.wav'])
    assert.strictEqual(exitCode, 0)
    const { samples, channels, sampleRate } = readWav(path.join(directory, 'mix.wav'))
    assert.deepStrictEqual([channels, sampleRate], [1, 48000])
    for (const hz of [440, 880]) assert.ok(Math.abs(level(samples, 0, 24000, hz) - 0.3) < 0.001, `${hz} Hz`)
    assert.match(stdout, /^ {2}0\.500 s {2}completed high\.wav {2}0\.500 s$/m)
    assert.match(stdout, /^low\.wav +├─+┤\nhigh\.wav +├─+┤\n +0 s /m)
    assert.match(stdout, /^mix\.wav: 1\.\d\d s, 2 completed, 0 stopped, 0 failed, in \d+\.\d\d s\n$/m)
  })

  it('plays the same file twice, in stereo', async (t) => {
    const directory = workspace(t, FILES)
    const args = ['play', 'high.wav', 'high.wav', '--stereo', '--overlap', 'queue']
    const { exitCode, stdout } = await run(directory, args)
    assert.strictEqual(exitCode, 0)
    assert.match(stdout, /completed high\.wav {2}/)
    assert.match(stdout, /completed high\.wav \(2\) {2}/)
    const { samples, channels } = readWav(path.join(directory, 'mix.wav'))
    assert.strictEqual(channels, 2)
    assert.ok(samples.every((sample, index) => sample === samples[index - (index % 2)]))
  })

  it('does not overwrite its input', async (t) => {
    const directory = workspace(t, FILES)
    const { exitCode, stderr } = await run(directory, ['play', 'low.wav', '--out', './low.wav'])
    assert.strictEqual(exitCode, 2)
    assert.match(stderr, /for --out but received \.\/low\.wav/)
    assert.strictEqual(readWav(path.join(directory, 'low.wav')).samples.length, 48000)
  })

  it('reports an output that cannot be written', async (t) => {
    const { exitCode, stderr } = await run(workspace(t, FILES), ['play', 'low.wav', '--out', 'nowhere/mix.wav'])
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /^speaker-session: nowhere\/mix\.wav can't be written: /)
  })

  it('follows SPEAKER_SESSION_NETWORK and reports refusals', async (t) => {
    const directory = workspace(t, FILES)
    const playing = (network) => run(directory, ['play', 'low.wav', 'http://127.0.0.1:9/a.wav'], undefined, { env: { SPEAKER_SESSION_NETWORK: network } })
    const { exitCode, stdout, stderr } = await playing('public')
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /^ {2}0\.000 s {2}failed {4}low\.wav {2}ERR_URL_BLOCKED: .* but received a file$/m)
    assert.match(stderr, /^ {2}0\.000 s {2}failed {4}a\.wav {2}ERR_URL_BLOCKED: .* but received 127\.0\.0\.1:9: it is a loopback address$/m)
    assert.match(stdout, /^low\.wav +✗ ERR_URL_BLOCKED\na\.wav +✗ ERR_URL_BLOCKED\n/m)
    const wrong = await playing('privat')
    assert.strictEqual(wrong.exitCode, 2)
    assert.match(wrong.stderr, /for SPEAKER_SESSION_NETWORK but received 'privat'/)
  })

  it('finishes the file when stdout is closed early', async (t) => {
    const directory = workspace(t, LONG)
    const args = ['play', 'long.wav', '--json']
    const { stderr } = await run(directory, args, (_stdout, child) => child.stdout.destroy())
    assert.doesNotMatch(stderr, /EPIPE| at /)
    assert.ok(readWav(path.join(directory, 'mix.wav')).samples.length >= 20 * 48000)
  })
})

describe('--json', () => {
  it('prints one event per line, in order', async (t) => {
    const directory = workspace(t, {
      ...FILES,
      'requests.jsonl': jsonl(
        { type: 'play', requestId: 'low', audioUrl: 'low.wav', stopOther: false },
        { type: 'play', requestId: 'missing', audioUrl: 'missing.wav', stopOther: false },
        { atMs: 100, type: 'play', requestId: 'high', audioUrl: 'high.wav', stopOther: false },
        { atMs: 200, type: 'play', requestId: 'low', audioUrl: 'high.wav', stopOther: false },
        { atMs: 300, type: 'stop', requestId: 'low', reason: 'user' }
      )
    })
    const { exitCode, stdout, stderr } = await run(directory, ['replay', 'requests.jsonl', '--json'])
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /^mix\.wav: .* 1 completed, 1 stopped, 2 failed/m)
    const events = stdout.trimEnd().split('\n').map((line) => JSON.parse(line))
    const refused = events.filter(({ type }) => type === 'refused')
    const told = events.filter(({ type }) => type !== 'refused')
    assert.deepStrictEqual(told.map(({ seq }) => seq), told.map((_, index) => index + 1))
    const ends = told.filter(({ type }) => ['completed', 'stopped', 'failed'].includes(type))
    assert.deepStrictEqual(
      ends.map(({ type, requestId, atMs }) => `${requestId} ${type} at ${atMs}`).sort(),
      ['high completed at 600', 'low stopped at 305', 'missing failed at 0']
    )
    assert.deepStrictEqual(refused.map(({ requestId, atMs, code }) => [requestId, atMs, code]), [
      ['low', 200, 'ERR_DUPLICATE_REQUEST']
    ])
  })
})

describe('an interruption', { skip: process.platform === 'win32' && 'Windows has no signals' }, () => {
  for (const [signal, expected] of [['SIGINT', 130], ['SIGTERM', 143]]) {
    it(`by ${signal} leaves a complete WAV file and timeline`, async (t) => {
      const directory = workspace(t, LONG)
      let sent = false
      const { exitCode, stdout } = await run(directory, ['play', 'long.wav', '--realtime'], (output, child) => {
        if (sent || !output.includes('started')) return
        sent = true
        setTimeout(() => child.kill(signal), 300)
      })
      assert.strictEqual(exitCode, expected)
      assert.match(stdout, /^long\.wav +·*├─+■ stopped \(closed\)$/m)
      const { samples } = readWav(path.join(directory, 'mix.wav'))
      const begin = samples.findIndex((sample) => sample !== 0)
      assert.ok(begin >= 0 && samples.length >= begin + 4800 && samples.length < 10 * 48000, `${samples.length} samples`)
      assert.ok(level(samples, begin, begin + 2400, 440) > 0.25)
    })
  }
})
