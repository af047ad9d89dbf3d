'use strict'

// `speaker-session replay` of logs of many users.

const assert = require('node:assert/strict')
const { exec } = require('node:child_process')
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')
const { promisify } = require('node:util')

const { jsonl, run, workspace } = require('../support/cli')
const { level, readWav, tone } = require('../support/wav')

const FILES = { 'low.wav': tone(440, 1000), 'high.wav': tone(880, 500) }
const play = (user, atMs, audioUrl, fields) => ({ user, atMs, type: 'play', audioUrl, stopOther: false, ...fields })
const DAY = jsonl(
  play('alice', 0, 'low.wav'),
  play('bob', 100, 'high.wav'),
  play('alice', 500, 'high.wav', { trackId: 1 }),
  { user: 'bob', atMs: 200, type: 'stop', reason: 'user', fadeOutMs: 0 },
  play('bob', 300, 'missing.wav', { requestId: 'gone' }),
  play('alice', 86_000_000, 'high.wav', { requestId: 'late' })
)

/** Replays a log in its own folder and returns the result, the folder and the report. */
async function replay(t, files, ...args) {
  const directory = workspace(t, { ...FILES, ...files })
  const result = await run(directory, ['replay', ...args, '--report', 'report.json'])
  const report = path.join(directory, 'report.json')
  return { ...result, directory, ...(existsSync(report) && { report: JSON.parse(readFileSync(report, 'utf8')) }) }
}

describe('a log of many users', () => {
  it('prints a table and writes a report', async (t) => {
    const { exitCode, stdout, stderr, report, directory } = await replay(t, { 'day.jsonl': DAY }, 'day.jsonl')
    assert.equal(exitCode, 1, 'one is missing')
    assert.equal(stderr, '')
    assert.match(stdout, /^user +plays +completed +stopped +failed +refused +heard +overlap +waited +unheard$/m)
    assert.match(stdout, /^alice +3 +3 +0 +0 +0 +1\.500 s +0\.500 s +0\.000 s +0$/m)
    assert.match(stdout, /^bob +2 +0 +1 +1 +0 +0\.100 s +0\.000 s +0\.000 s +1 +ERR_FILE 1$/m)
    assert.match(stdout, /^all +5 +3 +1 +1 +0 +1\.600 s +0\.500 s +0\.000 s +1 +ERR_FILE 1\n2 users, 5 plays, 1\.60 s heard, in /m)
    assert.deepEqual(report.users.map(({ user, firstAtMs, heardMs }) => [user, firstAtMs, heardMs]), [['alice', 0, 1500], ['bob', 100, 100]])
    assert.deepEqual(report.users[1].failures.map(({ requestId, atMs, code }) => [requestId, atMs, code]), [['gone', 300, 'ERR_FILE']])
    assert.equal(report.totals.users, 2)
    assert.ok(!existsSync(path.join(directory, 'mix.wav')), 'no mix of all')
  })

  it('reports whole samples', async (t) => {
    // The difference of such times in ms is 499.99999999999994.
    const oddMs = 600 + 578 / 48
    const log = jsonl(play('alice', 0, 'high.wav'), play('alice', oddMs, 'high.wav'), play('alice', oddMs, 'high.wav', { overlap: 'queue' }))
    const { report: { totals } } = await replay(t, { 'day.jsonl': log }, 'day.jsonl')
    assert.deepEqual([totals.heardMs, totals.waitedMs, totals.longestWaitMs], [1500, 500, 500])
  })

  it('writes the mix of one user', async (t) => {
    const log = jsonl(play('alice', 0, 'low.wav'), play('bob', 100, 'high.wav'))
    const { exitCode, stdout, directory, report } = await replay(t, { 'day.jsonl': log }, 'day.jsonl', '--user', 'bob', '--out', 'bob.wav')
    assert.equal(exitCode, 0)
    assert.match(stdout, /0\.100 s +started +line-2/)
    const { samples } = readWav(path.join(directory, 'bob.wav'))
    assert.ok(level(samples, 4800, 24000, 880) > 0.29 && level(samples, 4800, 24000, 440) < 0.01)
    assert.deepEqual(report.users.map(({ user, heardMs }) => [user, heardMs]), [['bob', 500]])
  })

  it('can span several files and folders', async (t) => {
    const one = jsonl({ type: 'session', overlap: 'queue' }, { atMs: 0, type: 'play', audioUrl: '../low.wav', stopOther: false },
      { atMs: 200, type: 'play', audioUrl: '../high.wav', stopOther: false })
    const directory = workspace(t, { ...FILES, 'shared.jsonl': DAY })
    mkdirSync(path.join(directory, 'sessions'))
    for (const name of ['b.jsonl', 'a.jsonl', 'notes.txt']) writeFileSync(path.join(directory, 'sessions', name), one)
    const { stdout } = await run(directory, ['replay', 'sessions', 'shared.jsonl', '--user', 'alice', '--user', path.join('sessions', 'a.jsonl')])
    assert.match(stdout, /^alice +3 /m)
    assert.match(stdout, /^sessions.a\.jsonl +2 +2 +0 +0 +0 +1\.500 s +0\.000 s +0\.800 s +0$/m)
    assert.match((await run(directory, ['replay', 'sessions'])).stdout, /^all +4 .*\n2 users/m)
  })

  it('prints the user of each event', async (t) => {
    const { stdout, stderr } = await replay(t, { 'day.jsonl': DAY }, 'day.jsonl', '--json')
    const events = stdout.trimEnd().split('\n').map((line) => JSON.parse(line))
    assert.deepEqual(events.filter(({ type, user }) => type === 'started' && user === 'alice').map(({ atMs }) => atMs), [0, 500, 86_000_000])
    assert.deepEqual(events.filter(({ user }) => user === 'bob').map(({ type }) => type).sort(), ['connected', 'disconnected', 'failed', 'started', 'stopped'])
    assert.ok(events.every(({ context }) => context === undefined))
    const twice = jsonl(...[0, 100].map((atMs) => play('bob', 5000 + atMs, 'high.wav', { requestId: 'x' })), play('alice', 0, 'low.wav'))
    const refused = (await replay(t, { 'day.jsonl': twice }, 'day.jsonl', '--json')).stdout.split('\n').find((line) => line.includes('"refused"'))
    const { user, requestId, atMs, code } = JSON.parse(refused)
    assert.deepEqual([user, requestId, atMs, code], ['bob', 'x', 5100, 'ERR_DUPLICATE_REQUEST'])
    assert.match(stderr, /^2 users, 5 plays/m)
  })

  const cloud = (sessionId, timestamp, fields) =>
    ({ type: 'audio_play_request', packageName: 'com.app', sessionId, timestamp, audioUrl: 'low.wav', stopOtherAudio: false, ...fields })
  it('may hold messages of the cloud', async (t) => {
    const { report } = await replay(t, {
      'day.jsonl': jsonl(
        cloud('u1-com.app', '2025-01-01T10:00:00.500Z'),
        cloud('u2-com.app', '2025-01-01T10:00:00.000Z', { requestId: 'x' }), // written later than it was received
        cloud('u1-com.other', '2025-01-01T10:00:01.000Z', { packageName: 'com.other' }),
        { type: 'audio_stop_request', packageName: 'com.app', sessionId: 'u2-com.app', timestamp: Date.UTC(2025, 0, 1, 10, 0, 0, 250) }
      )
    }, 'day.jsonl')
    assert.deepEqual(report.users.map(({ user, firstAtMs, plays, stopped }) => [user, firstAtMs, plays, stopped]),
      [['u1', 500, 2, 0], ['u2', 0, 1, 1]])
    assert.deepEqual(report.users.map(({ heardMs, overlapMs }) => [heardMs, overlapMs]), [[1500, 500], [255, 0]])
  })

  it('may come through a pipe', { skip: process.platform === 'win32' }, async (t) => {
    const audio = tone(440, 200).toString('base64')
    const directory = workspace(t, { 'day.jsonl': jsonl(...['alice', 'bob', 'alice'].map((user) => play(user, 0, undefined, { audio }))) })
    const program = path.join(__dirname, '..', '..', 'bin', 'speaker-session.js')
    const command = `grep alice day.jsonl | "${process.execPath}" "${program}" replay /dev/stdin --report report.json`
    await promisify(exec)(command, { cwd: directory })
    const { users } = JSON.parse(readFileSync(path.join(directory, 'report.json'), 'utf8'))
    assert.deepEqual(users.map(({ user, completed }) => [user, completed]), [['alice', 2]])
  })

  it('realtime: plays everything at its time', async (t) => {
    const log = jsonl(play('alice', 0, 'high.wav'), play('bob', 300, 'high.wav'))
    const { exitCode, stdout, report } = await replay(t, { 'day.jsonl': log }, 'day.jsonl', '--realtime')
    assert.equal(exitCode, 0)
    assert.match(stdout, /first sound$/m)
    assert.ok(report.totals.firstSoundMs.max >= report.totals.firstSoundMs.median)
    assert.ok(report.users.every(({ completed, heardMs }) => completed === 1 && heardMs >= 500))
  })
})

it('the example prints what the documentation shows', async (t) => {
  const root = path.join(__dirname, '..', '..')
  const { exitCode, stdout } = await run(workspace(t), ['replay', path.join(root, 'examples', 'day.jsonl')])
  assert.equal(exitCode, 1, 'one of its files is missing')
  const [, shown] = /```\n(user [^]*?)```/.exec(readFileSync(path.join(root, 'docs', 'replay.md'), 'utf8'))
  assert.ok(stdout.startsWith(shown), stdout)
})

describe('refused before anything plays', () => {
  const refusals = {
    'a mix of several users': [DAY, ['--out', 'x.wav'], 'Expected one user, as by --user, for --out but received 2\n'],
    'a room of several users': [DAY, ['--livekit'], 'Expected one user, as by --user, for --livekit but received 2\n'],
    'an unknown user': [DAY, ['--user', 'eve'], 'Expected a user of the log for --user but received eve\n'],
    'a line without a user': [jsonl(play('a', 0, 'low.wav'), play('b', 0, 'low.wav'), play(undefined, 0, 'low.wav')), [], /^day.jsonl:3: Expected a user, as the file has several, for the line/],
    'a line without a user above': [jsonl(play(undefined, 0, 'low.wav'), play('a', 0, 'low.wav'), play('b', 0, 'low.wav')), [], /^day.jsonl:1: Expected a user, as the file has several, for the line/],
    'an empty user name': [jsonl(play('', 0, 'low.wav')), [], /^day.jsonl:1: Expected a non-empty string for user/],
    'a line of one user that goes back in time': [jsonl(play('a', 9, 'low.wav'), play('b', 5, 'low.wav'), play('a', 8, 'low.wav')), [], /^day.jsonl:3: Expected a time from 9 ms/],
    'options in the middle': [jsonl(play('a', 9, 'low.wav'), { type: 'session' }), [], /^day.jsonl:2: Expected the options of a session in the first line only/]
  }
  for (const [which, [log, args, complaint]] of Object.entries(refusals)) {
    it(which, async (t) => {
      const { exitCode, stdout, stderr, report } = await replay(t, { 'day.jsonl': log }, 'day.jsonl', ...args)
      assert.deepEqual([exitCode, stdout, report], [2, '', undefined])
      if (typeof complaint === 'string') assert.equal(stderr, complaint)
      else assert.match(stderr, complaint)
    })
  }

  it('a report path that exists or is an input', async (t) => {
    const directory = workspace(t, { ...FILES, 'day.jsonl': DAY, 'old.json': 'mine' })
    for (const [name, complaint] of [['old.json', /does not exist for --report/], ['day.jsonl', /neither played nor replayed/], ['low.wav', /neither played/]]) {
      const { exitCode, stderr } = await run(directory, ['replay', 'day.jsonl', '--report', name])
      assert.equal(exitCode, 2)
      assert.match(stderr, complaint)
    }
    assert.equal(readFileSync(path.join(directory, 'old.json'), 'utf8'), 'mine')
    assert.equal((await run(directory, ['replay', 'day.jsonl', '--report', 'old.json', '--force'])).exitCode, 1)
    assert.equal(JSON.parse(readFileSync(path.join(directory, 'old.json'), 'utf8')).totals.plays, 5)
  })
})
