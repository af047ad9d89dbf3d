'use strict'

// `speaker-session/replay`: a log of many users, replayed by a program.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { replay } = require('speaker-session/replay')
const { jsonl, workspace } = require('../support/cli')
const { listen, timeline } = require('../support/tap')
const { serve } = require('../support/server')
const { level, readWav, tone } = require('../support/wav')

const clip = (hz, ms) => tone(hz, ms).toString('base64')
const HALF = clip(440, 500)
const play = (user, atMs, fields) => ({ user, atMs, type: 'play', audio: HALF, stopOther: false, ...fields })

describe('what a user heard', () => {
  /** Returns the report of one user's requests. */
  async function reportOf(requests, options) {
    const { users: [report] } = await replay({ requests, ...options })
    return report
  }

  test('is counted without pauses and mutes', async () => {
    const { heardMs, overlapMs, unheard, unheardMs, completed } = await reportOf([
      play('a', 0, { requestId: 'one' }),
      { user: 'a', atMs: 100, type: 'pause', requestId: 'one' }, // silent 5 ms later
      { user: 'a', atMs: 1000, type: 'resume', requestId: 'one' }, // until 1395
      play('a', 1200, { trackId: 1 }), // until 1700
      { user: 'a', atMs: 1300, type: 'mute', trackId: 1, muted: true }
    ])
    assert.equal(completed, 2)
    assert.equal(heardMs, 105 + 395)
    assert.equal(overlapMs, 100)
    assert.ok(Math.abs(unheardMs - 400) <= 5, `${unheardMs}`) // the mute has its own fade
    assert.equal(unheard, 0)
  })

  test('reports what waited and what was never heard', async () => {
    const report = await reportOf([
      { user: 'a', type: 'session', overlap: 'queue' },
      ...[0, 0, 100].map((atMs, n) => play('a', atMs, { requestId: `q${n}` })),
      { user: 'a', atMs: 200, type: 'stop', requestId: 'q2' }
    ])
    assert.deepEqual(
      [report.plays, report.completed, report.stopped, report.waited, report.waitedMs, report.longestWaitMs, report.unheard],
      [3, 2, 1, 2, 600, 500, 1]
    )
  })

  test('distinguishes failures and refusals', async () => {
    const { failed, refused, codes, failures } = await reportOf([
      play('a', 0, { requestId: 'x' }),
      play('a', 100, { requestId: 'x' }),
      play('a', 200, { audio: Buffer.from('no sound').toString('base64') })
    ])
    assert.deepEqual([failed, refused], [1, 1])
    assert.deepEqual(codes, { ERR_DUPLICATE_REQUEST: 1, ERR_UNSUPPORTED_FORMAT: 1 })
    assert.deepEqual(failures.map(({ atMs, code }) => [atMs, code]), [[100, 'ERR_DUPLICATE_REQUEST'], [200, 'ERR_UNSUPPORTED_FORMAT']])
  })

  test('counts joins once, lists ten failures at most', async () => {
    const twice = [0, 100].map((atMs) => play('a', atMs, { requestId: 'x' }))
    assert.equal((await reportOf(twice, { options: { onDuplicate: 'join' } })).plays, 1)
    const { codes, failures } = await reportOf(Array.from({ length: 15 }, (_, n) => play('a', n, { audio: undefined, audioUrl: 'missing.wav' })))
    assert.deepEqual([codes, failures.length], [{ ERR_FILE: 15 }, 10])
  })

  test('includes streams', async () => {
    const stream = { user: 'a', requestId: 's' }
    const report = await reportOf([
      { ...stream, atMs: 0, type: 'stream', format: 'wav' },
      { ...stream, atMs: 0, type: 'write', audio: clip(440, 300) }
    ])
    assert.deepEqual([report.plays, report.completed, report.heardMs], [1, 1, 300])
  })
})

test('a thousand users take little memory, deterministically', async (t) => {
  const lines = Array.from({ length: 1000 }, (_, n) => [play(`u${n}`, n * 1000), play(`u${n}`, n * 1000 + 80_000_000 + n, { durationMs: 100 })]).flat()
  const log = path.join(workspace(t, { 'day.jsonl': jsonl(...lines.toSorted((a, b) => a.atMs - b.atMs)) }), 'day.jsonl')
  const before = SpeakerSession.processStats().sessions
  let most = 0
  const look = () => (most = Math.max(most, SpeakerSession.processStats().sessions - before))
  const first = await replay({ log, atOnce: 8, onSession: look, onUser: look })
  assert.ok(most >= 1 && most <= 8, `${most} sessions`)
  assert.equal(SpeakerSession.processStats().sessions, before)
  assert.deepEqual([first.totals.users, first.totals.completed, first.totals.heardMs], [1000, 2000, 600_000])
  assert.deepEqual(first.users.map(({ user }) => user), lines.filter((_, n) => n % 2 === 0).map(({ user }) => user))
  assert.deepEqual(await replay({ log }), first)
})

test('each user has an output that can be tapped', async (t) => {
  const requests = [play('low', 0), play('high', 100, { audio: clip(880, 500) })]
  const directory = workspace(t)
  const frames = {}
  await replay({
    requests,
    output: (user) => ({ type: 'wav', path: path.join(directory, `${user}.wav`) }),
    onSession: (session, user) => (frames[user] = listen(session.tap({ format: 'f32' })))
  })
  for (const [user, hz, fromMs] of [['low', 440, 0], ['high', 880, 100]]) {
    const { samples } = readWav(path.join(directory, `${user}.wav`))
    assert.ok(level(samples, fromMs * 48, (fromMs + 500) * 48, hz) > 0.29)
    const tapped = timeline(frames[user], { format: 'f32' })
    assert.ok(level(tapped, fromMs * 48, (fromMs + 500) * 48, hz) > 0.29)
  }
})

test('a recorded session is heard as it was', async (t) => {
  const file = path.join(workspace(t), 'session.jsonl')
  const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: 'queue', record: file })
  for (const hz of [440, 880]) session.playAudio({ audio: tone(hz, 500), stopOther: false })
  await session.advance(700)
  await session.stopAudio({ fadeOutMs: 50 })
  await session.advance(100)
  const { samples } = session.recording()
  await session.close()
  let heard
  const { users: [{ user }] } = await replay({
    log: file,
    output: { type: 'memory' },
    onUser: (_, replayed) => (heard = replayed.recording().samples)
  })
  assert.equal(user, file)
  assert.deepEqual(heard.subarray(0, 750 * 48), samples.subarray(0, 750 * 48))
})

test('replays only the selected users, with other options', async () => {
  const requests = ['a', 'b', 'c'].flatMap((user) => [play(user, 0), play(user, 0)])
  const { totals, users } = await replay({ requests, users: ['c', 'a'], options: { overlap: 'queue' } })
  assert.deepEqual(users.map(({ user, heardMs }) => [user, heardMs]), [['c', 1000], ['a', 1000]])
  assert.equal(totals.plays, 4)
})

test('logged options are defaults for every user', async () => {
  const { users } = await replay({
    requests: [
      { type: 'session', overlap: 'queue' },
      { type: 'session', user: 'b' },
      ...['a', 'b'].flatMap((user) => [play(user, 0), play(user, 0)])
    ]
  })
  assert.deepEqual(users.map(({ user, heardMs }) => [user, heardMs]), [['b', 500], ['a', 1000]])
})

test('a file changed meanwhile spoils only its user', async (t) => {
  const directory = workspace(t, { 'day.jsonl': jsonl(play('a', 0), play('b', 0), play('a', 100)) })
  const log = path.join(directory, 'day.jsonl')
  const { users: [a, b] } = await replay({
    log,
    atOnce: 1,
    onSession(session, user) {
      if (user === 'a') require('node:fs').writeFileSync(log, readFileSync(log, 'utf8').replace('"atMs":100', '"atMs":x00'))
    }
  })
  assert.equal(a.error.code, 'ERR_INVALID_ARGUMENT')
  assert.deepEqual([b.completed, b.error], [1, undefined])
})

test('realtime: is measured to the first sound', async (t) => {
  const audio = tone(440, 200)
  const url = await serve(t, (_, response) => setTimeout(() => response.end(audio), 300))
  const requests = ['a', 'b'].map((user) => play(user, 0, { audio: undefined, audioUrl: url }))
  const { totals, users } = await replay({ requests, clock: 'realtime' })
  assert.ok(users.every(({ completed, firstSoundMs }) => completed === 1 && firstSoundMs.median >= 290))
  assert.ok(totals.firstSoundMs.max >= totals.firstSoundMs.median)
})

test('abort ends it with nothing left open', async () => {
  const before = SpeakerSession.processStats().sessions
  const controller = new AbortController()
  const requests = Array.from({ length: 100 }, (_, n) => play(`u${n}`, 0))
  let done = 0
  const replayed = replay({ requests, atOnce: 2, signal: controller.signal, onUser: () => ++done === 5 && controller.abort() })
  await assert.rejects(replayed, { code: 'ERR_ABORTED' })
  assert.ok(done < 100)
  assert.equal(SpeakerSession.processStats().sessions, before)
  await assert.rejects(replay({ requests, signal: controller.signal }), { code: 'ERR_ABORTED' })
})

test('an error thrown by a callback ends it', async () => {
  const requests = Array.from({ length: 50 }, (_, n) => play(`u${n}`, 0))
  for (const [name, call] of [['onSession', () => { throw new Error('no') }], ['onUser', async () => { await sleep(1); throw new Error('no') }], ['output', () => { throw new Error('no') }]]) {
    await assert.rejects(replay({ requests, [name]: call }), { message: 'no' }, name)
  }
  await assert.rejects(replay({ requests, output: { type: 'livekit', url: 'wss://x.example', token: 't' } }), { code: 'ERR_INVALID_ARGUMENT' })
})

describe('invalid options', () => {
  const requests = [play('a', 0)]
  const wrong = {
    'neither log nor requests': [{}, 'Expected either log or requests for replay but received an object'],
    'both log and requests': [{ log: 'x', requests }, 'Expected either log or requests for replay but received an object'],
    'an unknown option': [{ requests, rate: 2 }, /^Expected only log, .* for the options of replay but received 'rate'/],
    'invalid requests': [{ requests: 7 }, 'Expected an iterable of objects for requests but received 7 of type number'],
    'a bad request': [{ requests: [...requests, play('a', 0, { volume: 2 })] }, /^requests\[1\]: Expected a number from 0 to 1 for volume/],
    'a missing file': [{ log: 'no.jsonl' }, /^Expected a readable file for the requests but received no.jsonl: ENOENT/],
    'an unknown user': [{ requests, users: ['b'] }, "Expected users of the log for users but received 'b' of type string"],
    'an output of their own': [{ requests, options: { record: 'x' } }, /^Expected only .* for the options of options but received 'record'/],
    'a session option': [{ requests, options: { maxQueued: -1 } }, /for maxQueued but received -1/],
    'one file for two users': [{ requests: [...requests, play('b', 0)], output: { type: 'wav', path: 'x.wav' } }, /^Expected a function that gives each user a file of their own for output/],
    'a clock': [{ requests, clock: 'fast' }, /^Expected one of 'manual', 'realtime' for clock/],
    'atOnce 0': [{ requests, atOnce: 0 }, /^Expected an integer from 1 to 100000 for atOnce/],
    'a callback': [{ requests, onUser: 'me' }, /^Expected a function for onUser but received 'me'/],
    'a signal': [{ requests, signal: 1 }, /^Expected an AbortSignal for signal/],
    'anything but an object': [null, 'Expected an object for replay but received null']
  }
  for (const [which, [options, message]] of Object.entries(wrong)) {
    test(which, () => assert.rejects(replay(options), { name: 'SpeakerError', code: 'ERR_INVALID_ARGUMENT', message }))
  }
})
