'use strict'

// A session that goes on in another one: described as JSON, restored from it, and handed over without a click.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { finish, open } = require('../support/session')
const { ramp } = require('../support/samples')
const { tone } = require('../support/wav')

const MS = 48
const AT_MS = 310
const END_MS = 1200
const EDGE_MS = 5

const clip = ramp(500 * MS)
const other = ramp(700 * MS)

/** Returns JSON as another process gets it. */
const sent = (description) => JSON.parse(JSON.stringify(description))

/** Restores a session for one test, into memory on the manual clock. */
function restored(t, description, options) {
  const session = SpeakerSession.restore(sent(description), { output: { type: 'memory', clock: 'manual' }, ...options })
  t.after(() => session.close())
  const events = []
  session.on('event', (event) => events.push(event))
  return { session, events, heard: () => session.recording().samples }
}

/** Writes files for one test. Returns the path of each. */
function files(t, contents) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return contents.map((content, n) => {
    const file = path.join(folder, `${n}.wav`)
    writeFileSync(file, content)
    return file
  })
}

/** Asserts that `samples` are those of `whole`, apart from those between two times. */
function same(samples, whole, [fromMs, toMs] = [0, 0], tolerance = 0) {
  assert.equal(samples.length, whole.length)
  for (let n = 0; n < whole.length; n++) {
    if (n >= fromMs * MS && n < toMs * MS) continue
    if (Math.abs(samples[n] - whole[n]) > tolerance) assert.fail(`${samples[n]} rather than ${whole[n]} at ${n / MS} ms`)
  }
}

/** Returns the sum of two recordings, of which the second begins at `atMs`. */
function sum(first, second, atMs, lengthMs) {
  const samples = new Float32Array(lengthMs * MS)
  samples.set(first.subarray(0, samples.length))
  second.subarray(0, samples.length - atMs * MS).forEach((sample, n) => (samples[atMs * MS + n] += sample))
  return samples
}

const quiet = { stopOther: false, volume: 0.3 }
const swallow = (promise) => promise.catch(() => {})

/** What plays in both: `[name, play(session, file), options of the session]`. */
const SCENES = [
  ['a file', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file })],
  ['a file by its URL', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: new URL(`file://${file}`) })],
  ['bytes', (session) => session.playAudio({ requestId: 'a', audio: clip.audio })],
  ['raw samples', (session) => session.playAudio({ requestId: 'a', audio: new Int16Array(24_000).fill(9000), format: 'pcm16', sampleRate: 48000 })],
  ['a file of another rate', (session) => session.playAudio({ requestId: 'a', audio: tone(441, 700, { sampleRate: 44100 }), volume: 0.5 }), {}, 1e-5],
  ['a section', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file, startMs: 50, durationMs: 400, fadeOutMs: 100 }), {}, 0.02],
  ['a loop', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file, startMs: 100, durationMs: 120, loop: 4 })],
  ['a loop without an end', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file, durationMs: 90, loop: true })],
  ['a gain', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file, gain: 0.7 }), { gain: 0.8 }],
  ['several', (session, [file, next]) => {
    session.playAudio({ requestId: 'a', audioUrl: file, ...quiet, trackId: 1 })
    session.playAudio({ requestId: 'b', audioUrl: next, ...quiet, trackId: 2, role: 'voice' })
    session.playAudio({ requestId: 'c', audio: other.audio, ...quiet, trackId: 1 })
  }, { duck: { db: -6, attackMs: 5, releaseMs: 5 } }],
  ['a line', (session, [file, next]) => {
    for (const [requestId, audioUrl] of [['a', file], ['b', next], ['c', file]]) session.playAudio({ requestId, audioUrl, overlap: 'queue', stopOther: false })
    return session.moveAudio({ requestId: 'c', queuePosition: 1 })
  }],
  ['a fade in', (session, [file]) => session.playAudio({ requestId: 'a', audioUrl: file, fadeInMs: 450 }), {}, 1e-6],
  ['a change of volume', async (session, [file]) => {
    session.playAudio({ requestId: 'a', audioUrl: file })
    await session.advance(100)
    await session.setVolume({ requestId: 'a', volume: 0.2, fadeMs: 300 })
  }, {}, 1e-6],
  ['a stop under way', async (session, [file, next]) => {
    session.playAudio({ requestId: 'a', audioUrl: next, ...quiet })
    session.playAudio({ requestId: 'b', audioUrl: file, ...quiet })
    await session.advance(150)
    await session.stopAudio({ requestId: 'a', fadeOutMs: 400, reason: 'enough' })
  }, {}, 1e-6, 0.01],
  ['a crossfade', (session, [file, next]) => {
    for (const [requestId, audioUrl] of [['a', file], ['b', next]]) session.playAudio({ requestId, audioUrl, overlap: 'queue', stopOther: false, volume: 0.3 })
  }, { crossfadeMs: 240 }, 1e-6],
  ['fades of tracks', async (session, [file]) => {
    session.playAudio({ requestId: 'a', audioUrl: file, trackId: 7 })
    session.playAudio({ requestId: 'b', audio: other.audio, trackId: 8, volume: 0.2, stopOther: false })
    await session.advance(100)
    await session.track(7).setVolume({ volume: 0.25, fadeMs: 350 })
    await session.track(8).setMuted(true)
  }, {}, 1e-6],
  ['a pan', async (session, [file]) => {
    session.playAudio({ requestId: 'a', audioUrl: file, trackId: 7 })
    await session.advance(100)
    await session.track(7).setPan({ pan: -0.5, fadeMs: 350 })
  }, { output: { type: 'memory', clock: 'manual', channels: 2 } }, 1e-6]
]

/** Plays a scene up to a time. */
async function played(t, [, play, options], sources, untilMs) {
  const opened = open(t, options)
  const { session } = opened
  const begun = play(session, sources)
  // Not the end of what plays.
  if (!begun?.started) await begun
  await session.advance(untilMs - session.stats().timeMs)
  return opened
}

const rowsOf = (events, type) =>
  events.filter((event) => event.type === type).map(({ requestId, durationMs, positionMs, reason }) => [requestId, durationMs, positionMs, reason])

for (const scene of SCENES) {
  const [name, , { output } = {}, tolerance = 0, seamTolerance = Math.max(tolerance, 2e-6)] = scene
  const channels = output?.channels ?? 1
  const times = (ms) => ms * channels

  test(`${name} goes on where it was described`, async (t) => {
    const sources = files(t, [clip.audio, other.audio])
    const whole = await played(t, scene, sources, END_MS)
    const first = await played(t, scene, sources, AT_MS)
    const description = first.session.describe()
    assert.deepEqual(description.unrestorable, [])
    assert.equal(description.atMs, AT_MS)
    const before = first.heard()
    await first.session.close()
    const second = restored(t, description, { output: { type: 'memory', clock: 'manual' } })
    assert.equal(second.session.adopted.length, description.playbacks.length)
    await second.session.advance(END_MS - AT_MS)
    same(Float32Array.from([...before, ...second.heard()]), whole.heard(), [times(AT_MS), times(AT_MS + EDGE_MS)], tolerance)
    for (const type of ['completed', 'stopped']) {
      const known = rowsOf(first.told, type).filter((row) => row[3] === undefined || !description.playbacks.some(({ requestId }) => requestId === row[0]))
      assert.deepEqual([...known, ...rowsOf(second.events, type)], rowsOf(whole.told, type))
    }
  })

  for (const afterMs of [0, 30]) {
    test(`${name} is handed over without a seam, ${afterMs} ms later`, async (t) => {
      const sources = files(t, [clip.audio, other.audio])
      const whole = await played(t, scene, sources, END_MS)
      const first = await played(t, scene, sources, AT_MS - afterMs)
      const description = await first.session.handOver({ afterMs, fadeMs: 20 })
      assert.deepEqual(description.unrestorable, [])
      await first.session.advance(END_MS - AT_MS)
      assert.deepEqual(first.session.playbacks(), [])
      const second = restored(t, description, { output: { type: 'memory', clock: 'manual' } })
      await second.session.advance(END_MS - AT_MS)
      const heard = sum(first.heard(), second.heard(), times(AT_MS), times(END_MS))
      same(heard, whole.heard(), [0, 0], seamTolerance)
    })
  }
}

test('paused, queued and loading playbacks are restored as such', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  swallow(session.playAudio({ requestId: 'a', audio: clip.audio, stopOther: false }))
  swallow(session.playAudio({ requestId: 'late', audio: clip.audio, stopOther: false, priority: -1, queueTimeoutMs: 600 }))
  swallow(session.playAudio({ requestId: 'b', audio: clip.audio, stopOther: false, group: 'g', context: { user: 7 } }))
  await session.advance(200)
  await session.pauseAudio({ requestId: 'a' })
  await session.pauseAudio({ requestId: 'b' })
  await session.advance(100)
  const description = session.describe()
  assert.deepEqual(
    description.playbacks.map(({ requestId, state, queuePosition, positionMs, heardMs }) => [requestId, state, queuePosition, positionMs, heardMs]),
    [['a', 'paused', undefined, 205, 205], ['b', 'paused', 1, 0, 0], ['late', 'queued', 2, 0, 0]]
  )
  const second = restored(t, description)
  await second.session.advance(100)
  assert.deepEqual(second.session.playbacks().map(({ requestId, state, queuePosition }) => [requestId, state, queuePosition]), [
    ['a', 'paused', undefined], ['b', 'paused', 1], ['late', 'queued', 2]
  ])
  assert.ok(second.heard().every((sample) => sample === 0))
  const { playbacks } = second.session.describe()
  assert.deepEqual(playbacks.map(({ heardMs }) => heardMs), [205, 0, 0], 'it can be described again')
  await second.session.resumeAudio({ requestId: 'a' })
  await second.session.resumeAudio({ requestId: 'b' })
  await finish(second.session)
  const ends = second.events.filter(({ type }) => type === 'completed')
  assert.deepEqual(ends.map(({ requestId, durationMs, atMs }) => [requestId, durationMs, atMs]), [['a', 500, 395], ['b', 500, 895]])
  assert.deepEqual(ends.map(({ group, context }) => [group, context]), [[undefined, undefined], ['g', { user: 7 }]])
  assert.deepEqual((await Promise.allSettled(second.session.adopted)).map(({ value, reason }) => value?.outcome ?? reason.code), ['completed', 'completed', 'ERR_QUEUE_TIMEOUT'])
})

test('the first in line starts where nothing goes on', async (t) => {
  const { session } = open(t, { overlap: 'queue' })
  const stream = session.createStream({ format: 'pcm16', sampleRate: 48000, requestId: 'stream' })
  stream.write(Buffer.alloc(9600, 1))
  swallow(session.playAudio({ requestId: 'next', audio: clip.audio, stopOther: false }))
  await session.advance(50)
  const second = restored(t, session.describe())
  await second.session.advance(500)
  assert.deepEqual(rowsOf(second.events, 'completed'), [['next', 500, 500, undefined]])
  stream.destroy()
})

test('what can not be opened again is named', async (t) => {
  const { session } = open(t)
  const gone = await SpeakerSession.clip({ audio: clip.audio })
  const kept = await SpeakerSession.clip({ audio: clip.audio })
  t.after(() => kept.close())
  const play = (requestId, audio) => swallow(session.playAudio({ requestId, audio, stopOther: false }))
  const stream = session.createStream({ format: 'pcm16', sampleRate: 48000, requestId: 'stream', stopOther: false })
  stream.on('error', () => {})
  stream.write(Buffer.alloc(96_000, 1))
  play('readable', Readable.from([clip.audio]))
  play('large', tone(440, 2000))
  play('closed clip', gone)
  play('clip', kept)
  play('bytes', clip.audio)
  gone.close()
  await session.advance(100)
  const { playbacks, unrestorable } = await session.handOver({ maxBufferBytes: 100_000 })
  assert.deepEqual(playbacks.map(({ requestId }) => requestId), ['clip', 'bytes'])
  assert.deepEqual(unrestorable.map(({ requestId, reason }) => [requestId, reason]), [
    ['stream', 'stream'], ['readable', 'stream'], ['large', 'tooLarge'], ['closed clip', 'clipClosed']
  ])
  assert.ok(unrestorable.every(({ positionMs, heardMs }) => positionMs === 100 && heardMs === 100))
  await session.advance(20)
  const { outcome, reason, durationMs } = await stream.finished
  assert.deepEqual([outcome, reason, durationMs], ['stopped', 'handedOver', 120])
})

test('a context that JSON can not hold is left out', async (t) => {
  const { session } = open(t)
  const cycle = {}
  cycle.self = cycle
  for (const [requestId, context] of Object.entries({ cycle, big: 1n, call: () => {}, text: 'kept' })) {
    swallow(session.playAudio({ requestId, audio: clip.audio, stopOther: false, context }))
  }
  const { playbacks } = session.describe()
  assert.deepEqual(playbacks.map(({ context }) => context), [undefined, undefined, undefined, 'kept'])
})

test('neither the output nor what permits to reach it is described', async (t) => {
  const output = { type: 'livekit', url: 'wss://secret-host.example', token: 'secret-token' }
  const session = new SpeakerSession({ output, network: 'public', gain: 0.5 })
  t.after(() => session.close())
  const { options, ...rest } = session.describe()
  assert.deepEqual([options, rest.playbacks], [{ gain: 0.5 }, []])
  assert.ok(!JSON.stringify(rest).includes('secret'))
})

test('options of restore win over those that are described', async (t) => {
  const { session } = open(t, { maxConcurrent: 3, gain: 0.5, output: { type: 'memory', clock: 'manual', channels: 2 } })
  const second = restored(t, session.describe(), { gain: 1 })
  assert.equal(second.session.recording().channels, 2)
  assert.deepEqual(second.session.describe().options, { channels: 2, maxConcurrent: 3, gain: 1, progressIntervalMs: 0 })
})

test('adopt takes what goes on into a session that plays', async (t) => {
  const { session } = open(t)
  swallow(session.playAudio({ requestId: 'a', audio: clip.audio, volume: 0.3 }))
  await session.advance(100)
  const description = sent(session.describe())
  const second = open(t)
  swallow(second.session.playAudio({ requestId: 'own', audio: other.audio, volume: 0.3 }))
  await second.session.advance(60)
  const [adopted] = second.session.adopt(description)
  assert.equal(adopted.requestId, 'a')
  assert.throws(() => second.session.adopt(description), { code: 'ERR_INVALID_ARGUMENT', message: /not live/ })
  await second.session.advance(700)
  assert.equal(await adopted.started, true)
  assert.deepEqual(await adopted, { requestId: 'a', outcome: 'completed', durationMs: 500, positionMs: 500 })
  assert.equal(second.terminal('own')[0].type, 'completed')
})

test('the limit of a playback counts what was heard before', async (t) => {
  const { session } = open(t, { maxDurationMs: 400 })
  swallow(session.playAudio({ requestId: 'a', audio: clip.audio }))
  await session.advance(300)
  const second = restored(t, session.describe())
  await second.session.advance(300)
  const [{ type, code, durationMs }] = second.events.filter(({ requestId }) => requestId === 'a').slice(-1)
  assert.deepEqual([type, code, durationMs], ['failed', 'ERR_MAX_DURATION', 400])
  const third = restored(t, session.describe(), { maxDurationMs: 200 })
  await third.session.advance(100)
  const [limited] = third.events.filter(({ requestId }) => requestId === 'a').slice(-1)
  assert.deepEqual([limited.code, limited.durationMs], ['ERR_MAX_DURATION', 300])
})

test('hostile descriptions are refused', async (t) => {
  const { session } = open(t)
  swallow(session.playAudio({ requestId: 'a', audio: clip.audio }))
  await session.advance(100)
  await session.stopAudio({ fadeOutMs: 200 })
  swallow(session.playAudio({ requestId: 'b', audio: clip.audio, stopOther: false }))
  await session.track(3).setVolume({ volume: 0.5 })
  const good = sent(await session.describe())
  const change = (make) => {
    const description = sent(good)
    return make(description) ?? description
  }
  const cases = [
    undefined, null, 'text', 7, [], {},
    change((all) => { all.version = 2 }),
    change((all) => { all.extra = 1 }),
    change((all) => { all.playbacks = {} }),
    change((all) => { all.playbacks = { length: 1e9 } }),
    change((all) => { all.playbacks.push(all.playbacks[0]) }),
    change((all) => { all.playbacks[0] = null }),
    change((all) => { all.playbacks[0].requestId = undefined }),
    change((all) => { all.playbacks[0].positionMs = -1 }),
    change((all) => { all.playbacks[0].positionMs = '7' }),
    change((all) => { all.playbacks[0].heardMs = 1e300 }),
    change((all) => { all.playbacks[0].audio = 'no base64!' }),
    change((all) => { all.playbacks[0].audio = [1, 2] }),
    change((all) => { delete all.playbacks[0].audio }),
    change((all) => { all.playbacks[0].audioUrl = 'ftp://a/b' }),
    change((all) => { all.playbacks[0].state = 'done' }),
    change((all) => { all.playbacks[0].stopReason = undefined }),
    change((all) => { all.playbacks[0].ramps.stop.lengthMs = NaN }),
    change((all) => { all.playbacks[0].ramps.stop.from = 1e9 }),
    change((all) => { all.playbacks[1].loop = 0 }),
    change((all) => { all.playbacks[1].queuePosition = 0.5 }),
    change((all) => { all.playbacks[1].signal = {} }),
    change((all) => { all.tracks[0].volume = 9 }),
    change((all) => { all.tracks[0].panFade = { from: [1], restMs: 5 } }),
    change((all) => { all.options = null }),
    change((all) => { all.options.record = 7 }),
    change((all) => { all.options.gain = 'loud' }),
    change((all) => { all.handOver = { atMs: 1, afterMs: 1e9, fadeMs: 20 } })
  ]
  for (const description of cases) {
    const restore = () => SpeakerSession.restore(description, { output: { type: 'memory', clock: 'manual' } })
    assert.throws(restore, { code: 'ERR_INVALID_ARGUMENT', message: /^Expected / }, JSON.stringify(description))
  }
  assert.throws(() => SpeakerSession.restore(good), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => SpeakerSession.restore({ ...good, version: 2 }, {}), { message: 'Expected 1 for description.version but received 2 of type number' })
  // Valid, and of nothing that can be: it ends, and takes the session nowhere.
  const strange = change((all) => {
    Object.assign(all.playbacks[0], { positionMs: 1e11, heardMs: 1e11 })
    Object.assign(all.playbacks[1], { positionMs: 1e10, heardMs: 1e11, loop: 1_000_000, ramps: { cross: { from: 1, to: 0, atMs: 0, lengthMs: 1 } } })
  })
  const second = restored(t, strange)
  await second.session.advance(1000)
  assert.deepEqual(second.session.playbacks(), [])
})

test('handOver refuses what makes no sense', async (t) => {
  const { session } = open(t)
  for (const options of [{ fadeMs: 4 }, { fadeMs: 2000 }, { afterMs: -1 }, { whenReplaced: true, fadeMs: 20 }, { maxBufferBytes: 0.5 }, { fade: 1 }]) {
    await assert.rejects(session.handOver(options), { code: 'ERR_INVALID_ARGUMENT' })
  }
  await assert.rejects(session.handOver({ whenReplaced: true }), { code: 'ERR_UNSUPPORTED_OPERATION' })
  assert.throws(() => session.describe({ maxBufferBytes: -1 }), { code: 'ERR_INVALID_ARGUMENT' })
  const description = await session.handOver()
  await session.close()
  assert.deepEqual(session.describe().playbacks, [])
  assert.throws(() => session.adopt({ ...description, tracks: [{ trackId: 0, volume: 1, gain: 1, pan: 0, muted: false }] }), { code: 'ERR_CLOSED' })
})
