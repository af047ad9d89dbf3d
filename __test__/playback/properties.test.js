'use strict'

// Random sequences of every call, with and without awaiting in between, must keep the promises of index.d.ts. fast-check
// generates the sequences and shrinks a failing one to the shortest; its message names the seed and the path.
//
// SPEAKER_SESSION_RUNS    the number of sequences over all tests; default 200, for a long run 2000
// SPEAKER_SESSION_SEED    the seed of a failure, and SPEAKER_SESSION_PATH its path, to reproduce it (with
//                         --test-name-pattern)

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const fc = require('fast-check')

const { SpeakerError } = require('../..')
const { open } = require('../support/session')
const { RAW, steady } = require('../support/stream')
const { tone, wavFile } = require('../support/wav')

const RUNS = Number(process.env.SPEAKER_SESSION_RUNS ?? 200)
const SEED = process.env.SPEAKER_SESSION_SEED === undefined ? {} : { seed: Number(process.env.SPEAKER_SESSION_SEED) }
const PATH = process.env.SPEAKER_SESSION_PATH === undefined ? {} : { path: process.env.SPEAKER_SESSION_PATH }
/** A reproduced failure is tried more than once, because it may depend on how the threads are scheduled. */
const TRIES = PATH.path === undefined ? 1 : 50

const OVERLAPS = ['mix', 'queue', 'replace']
const ROLES = ['system', 'voice', 'media', 'ambient']
const TERMINAL = ['completed', 'stopped', 'failed']
/** Rejections of requests that were not accepted: they have no events. */
const REFUSED = ['ERR_INVALID_ARGUMENT', 'ERR_DUPLICATE_REQUEST', 'ERR_ABORTED', 'ERR_CLOSED']

const MAX_DURATION_MS = 300
/** Nothing here takes more than a few milliseconds. */
const HUNG_MS = 10_000

const CLIPS = [
  tone(440, 1),
  tone(440, 40),
  tone(440, 90, { sampleRate: 22050 }),
  tone(440, 250, { sampleRate: 44100 }),
  tone(440, 700),
  wavFile(new Float64Array(0), 48000),
  Buffer.from('this is not audio'),
  Buffer.alloc(0)
]

const oddMs = fc.integer({ min: 0, max: 70 * 48 }).map((samples) => samples / 48)
const id = fc.constantFrom('a', 'b', 'c', 'd', undefined)
const trackId = fc.constantFrom(0, 1)
const target = fc.oneof(
  fc.constant(undefined),
  fc.record({ trackId }),
  fc.record({ group: fc.constantFrom('x', 'y') }),
  fc.record({ requestId: fc.constantFrom('a', 'b', 'c', 'd', 'nobody') })
)
const playback = {
  requestId: id,
  group: fc.constantFrom(undefined, 'x', 'y'),
  trackId,
  stopOther: fc.constantFrom(false, false, false, true),
  overlap: fc.constantFrom(undefined, undefined, ...OVERLAPS),
  volume: fc.constantFrom(0, 0.5, 1),
  role: fc.constantFrom(...ROLES),
  priority: fc.constantFrom(0, 0, 1, 5),
  queueTimeoutMs: fc.constantFrom(undefined, undefined, 0, 33),
  startMs: fc.constantFrom(0, 0, 11, 400),
  durationMs: fc.constantFrom(undefined, undefined, 0, 60),
  fadeInMs: fc.constantFrom(0, 0, 20),
  fadeOutMs: fc.constantFrom(0, 0, 40)
}

/** When the next call follows: at once, in a later turn of the event loop, or after this one has settled. */
const then = fc.constantFrom('at once', 'turn', 'settled')
/** The index of one of the streams or signals so far. */
const which = fc.nat({ max: 3 })

const call = (name, fields) => fc.record({ call: fc.constant(name), then, ...fields })

const CALLS = fc.oneof(
  { weight: 8, arbitrary: call('play', {
    request: fc.record({ ...playback, loop: fc.constantFrom(false, false, 3, true) }),
    clip: fc.nat({ max: CLIPS.length - 1 }),
    signal: fc.constantFrom(false, false, true)
  }) },
  { weight: 3, arbitrary: call('stream', { request: fc.record(playback) }) },
  { weight: 4, arbitrary: call('write', { which, ms: fc.constantFrom(1, 20, 100) }) },
  { weight: 1, arbitrary: call('flush', { which }) },
  { weight: 2, arbitrary: call('end', { which }) },
  { weight: 1, arbitrary: call('mark', { target }) },
  { weight: 1, arbitrary: call('streamMark', { which }) },
  { weight: 1, arbitrary: call('destroy', { which, fails: fc.boolean() }) },
  { weight: 1, arbitrary: call('abort', { which }) },
  { weight: 2, arbitrary: call('stop', { target, fadeOutMs: fc.constantFrom(undefined, 0, 30), ahead: fc.constantFrom(false, false, true) }) },
  { weight: 3, arbitrary: call('pause', { target }) },
  { weight: 3, arbitrary: call('resume', { target }) },
  { weight: 2, arbitrary: call('seek', { target, positionMs: fc.constantFrom(0, 30, 120, 1000) }) },
  { weight: 1, arbitrary: call('volume', { target, volume: fc.constantFrom(0, 0.3, 1), fadeMs: fc.constantFrom(0, 25) }) },
  { weight: 1, arbitrary: call('trackVolume', { trackId, change: fc.constantFrom({ volume: 0.3 }, { gain: 4, fadeMs: 0 }, { volume: 1, gain: 1, fadeMs: 90 }) }) },
  { weight: 1, arbitrary: call('mute', { trackId, muted: fc.boolean() }) },
  { weight: 1, arbitrary: call('move', {
    requestId: fc.constantFrom('a', 'b', 'c', 'nobody'),
    queuePosition: fc.integer({ min: 1, max: 4 })
  }) },
  { weight: 1, arbitrary: call('interrupt', { keep: fc.subarray(ROLES) }) },
  { weight: 6, arbitrary: call('advance', { ms: oddMs }) },
  { weight: 1, arbitrary: call('connect', {}) }
)

const OPTIONS = fc.record({
  onDuplicate: fc.constantFrom('fail', 'join'),
  maxConcurrent: fc.constantFrom(1, 2, 10),
  maxQueued: fc.constantFrom(0, 2, 100),
  crossfadeMs: fc.constantFrom(0, 0, 30),
  queueTimeoutMs: fc.constantFrom(0, 0, 55),
  stallTimeoutMs: fc.constantFrom(0, 45),
  progressIntervalMs: fc.constantFrom(0, 10),
  duck: fc.constantFrom(undefined, {})
})

const SCENARIO = fc.record({
  options: OPTIONS,
  calls: fc.array(CALLS, { maxLength: 24, size: 'max' }),
  /** Closes before the call with this index; mostly after the last one, when everything has ended. */
  closeAt: fc.oneof({ weight: 4, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.nat({ max: 24 }) })
})

/** A session and every promise it returned. */
class Run {
  /** `{ what, promise }` for everything that must settle. */
  promises = []
  /** The first rejection that is not a SpeakerError. */
  odd = undefined
  /** The ends of playbacks, one per request; calls that joined share one. */
  ends = new Set()
  streams = []
  /** The marks that were set. */
  marks = []
  renamed = 0
  controllers = []

  constructor(options) {
    const { session, told } = open({ after() {} }, options)
    this.session = session
    this.told = told
  }

  /** Makes one call and returns a promise of its answer. */
  make({ call, then, target, which, request, ...rest }) {
    const { session } = this
    const stream = this.streams[which % this.streams.length]
    switch (call) {
      case 'play': {
        const controller = new AbortController()
        this.controllers.push(controller)
        const signal = rest.signal ? controller.signal : undefined
        return this.#ends(session.playAudio({ ...request, ...this.#fresh(request), audio: CLIPS[rest.clip], signal }))
      }
      case 'stream':
        return this.#create(request)
      case 'write':
        return stream && this.#write(stream, steady(rest.ms))
      case 'flush':
        return stream?.flush()
      case 'end':
        return void stream?.end()
      case 'mark':
        return this.#mark(session, target)
      case 'streamMark':
        return stream && this.#mark(stream)
      case 'destroy':
        return void stream?.destroy(rest.fails ? new Error('destroyed by the test') : undefined)
      case 'abort':
        return void this.controllers[which % this.controllers.length]?.abort()
      case 'stop':
        return session.stopAudio({ ...target, fadeOutMs: rest.fadeOutMs, ahead: rest.ahead })
      case 'pause':
        return session.pauseAudio(target)
      case 'resume':
        return session.resumeAudio(target)
      case 'seek':
        return session.seekAudio({ ...target, positionMs: rest.positionMs })
      case 'volume':
        return session.setVolume({ ...target, volume: rest.volume, fadeMs: rest.fadeMs })
      case 'trackVolume':
        return session.track(rest.trackId).setVolume(rest.change)
      case 'mute':
        return session.track(rest.trackId).setMuted(rest.muted)
      case 'move':
        return session.moveAudio(rest)
      case 'interrupt':
        return session.interrupt(rest)
      case 'advance':
        return session.advance(rest.ms)
      case 'connect':
        return session.connect()
      case 'close':
        return session.close()
    }
  }

  /** Makes one call, then waits as `then` says before the next one. */
  async do(call) {
    const what = JSON.stringify(call)
    const promise = Promise.resolve(this.make(call))
    promise.catch((error) => {
      if (!(error instanceof SpeakerError)) this.odd ??= new Error(`${what}: ${error.stack}`)
    })
    this.promises.push({ what, promise })
    // A playback, and what its stream accepts, may need time that is still to come.
    if (call.then === 'settled' && !['play', 'stream', 'write', 'flush', 'mark', 'streamMark'].includes(call.call)) await settled(promise, what)
    else if (call.then !== 'at once') await new Promise(setImmediate)
  }

  #mark(marked, ...behind) {
    const mark = marked.mark(`mark ${this.marks.length}`, ...behind)
    this.marks.push(mark)
    return mark
  }

  #ends(promise) {
    this.ends.add(promise)
    return promise
  }

  /** Returns another id while the previous playback with it fades out: the events of both could not be told apart here. */
  #fresh({ requestId }) {
    const isFading = this.session.playbacks().some((each) => each.requestId === requestId && each.state === 'stopping')
    return isFading ? { requestId: `${requestId}-${++this.renamed}` } : {}
  }

  /** Writes, and waits for room as documented. */
  #write(stream, bytes) {
    return new Promise((resolve) => {
      if (stream.write(bytes, resolve)) return
      this.promises.push({ what: 'drain', promise: once(stream, 'drain').catch(() => {}) })
    })
  }

  #create(request) {
    try {
      const stream = this.session.createStream({ ...request, ...this.#fresh(request), ...RAW })
      this.streams.push(stream)
      this.promises.push({ what: `close of '${stream.requestId}'`, promise: new Promise((resolve) => stream.once('close', resolve)) })
      return this.#ends(stream.finished)
    } catch (error) {
      if (!REFUSED.includes(error.code)) throw error
    }
  }
}

/** Waits until a promise settles either way; fails if it does not. */
async function settled(promise, what) {
  const controller = new AbortController()
  const hung = sleep(HUNG_MS, true, { signal: controller.signal }).catch(() => false)
  const isHung = await Promise.race([promise.then(() => false, () => false), hung])
  controller.abort()
  assert.ok(!isHung, `it never settled: ${what}`)
}

async function run(overlap, { options, calls, closeAt }) {
  const run = new Run({ ...options, overlap, maxDurationMs: MAX_DURATION_MS })
  try {
    for (const [index, each] of calls.entries()) {
      if (index === closeAt) await run.do({ call: 'close', then: each.then })
      await run.do(each)
    }
    if (closeAt >= calls.length) await playToEnd(run)
  } finally {
    await settled(run.session.close(), 'close')
  }
  for (const { what, promise } of run.promises) await settled(promise, what)
  if (run.odd) throw run.odd
  await assertStarted(run)
  await assertOutcomes(run)
  await assertMarks(run)
  assertEvents(run.told)
  assertStats(run)
}

/** Resumes everything and ends every stream, so that everything ends by itself. */
async function playToEnd({ session, streams, ends }) {
  for (const stream of streams) stream.end()
  await session.resumeAudio()
  await settled(session.advance((ends.size + 1) * (MAX_DURATION_MS + 100)), 'advance to the end')
  assert.deepEqual(session.playbacks(), [], 'something never ends')
}

/** Asserts that the `started` promise of each accepted request agrees with its events. */
async function assertStarted({ ends, told }) {
  const began = told.filter(({ type }) => type === 'started').map(({ requestId }) => requestId)
  const said = []
  for (const end of ends) {
    await settled(end.started, `started of ${end.requestId}`)
    if (await end.started) said.push(end.requestId)
  }
  assert.deepEqual(said.sort(), began.sort())
}

/** Asserts that each accepted request has exactly one terminal event, in order for each id, which agrees with its promise. */
async function assertOutcomes({ ends, told }) {
  const expected = {}
  for (const end of await Promise.allSettled(ends)) {
    const { requestId, outcome = 'failed', reason, code, durationMs, positionMs } = end.value ?? end.reason
    if (requestId === undefined) assert.ok(REFUSED.includes(code), `${code} without a playback`)
    else (expected[requestId] ??= []).push({ outcome, reason, code, durationMs, positionMs })
  }
  const actual = {}
  for (const { type: outcome, requestId, reason, code, durationMs, positionMs } of told.filter(isTerminal)) {
    ;(actual[requestId] ??= []).push({ outcome, reason, code, durationMs, positionMs })
  }
  // An id may be reused while the previous playback with it fades out, and end before that.
  const sorted = (ends) => ends.map((end) => JSON.stringify(end)).sort()
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort())
  for (const [requestId, ends] of Object.entries(expected)) assert.deepEqual(sorted(actual[requestId]), sorted(ends), requestId)
}

/** Asserts that each mark is emitted once and that its promise agrees. */
async function assertMarks({ marks, told }) {
  const reached = (await Promise.allSettled(marks)).filter(({ reason }) => reason?.code !== 'ERR_CLOSED').map(({ value }) => value)
  const events = told.filter(({ type }) => type === 'mark').map(({ name, atMs }) => ({ name, atMs }))
  const sorted = (marks) => marks.map((mark) => JSON.stringify(mark)).sort()
  assert.deepEqual(sorted(events), sorted(reached))
}

function isTerminal({ type }) {
  return TERMINAL.includes(type)
}

function assertEvents(told) {
  assert.deepEqual(told.map(({ seq }) => seq), told.map((_, index) => index + 1), 'seq')
  for (let n = 1; n < told.length; n++) assert.ok(told[n].atMs >= told[n - 1].atMs, `time runs backwards at ${n + 1}`)
  assert.ok(told.every(({ type }, index) => type !== 'disconnected' || index === told.length - 1), 'disconnected is last')
  for (const requestId of new Set(told.map((event) => event.requestId))) {
    if (requestId === undefined) continue
    let life = []
    for (const event of told.filter((event) => event.requestId === requestId)) {
      life.push(event)
      if (!isTerminal(event)) continue
      assertLife(life)
      life = []
    }
    assert.deepEqual(life, [], `events of ${requestId} after its end, or without one`)
  }
}

/** Returns the events of one playback; asserts that only the last one is terminal. */
function assertLife(life) {
  const story = life.map(({ type, atMs, queuePosition }) => `${type}${queuePosition ? ` ${queuePosition}` : ''} @${atMs}`).join(', ')
  let [started, paused] = []
  for (const { type, atMs, queuePosition, durationMs } of life) {
    if (type === 'queued') assert.ok(!started && queuePosition >= 1, `queued only before it started: ${story}`)
    if (type === 'started') assert.ok(!started && !paused, `started once, and not while paused: ${story}`)
    if (type === 'progress' || type === 'stalled') assert.ok(started && !paused, `${type} only while it plays: ${story}`)
    if (type === 'paused') assert.ok(!paused, `paused twice: ${story}`)
    if (type === 'resumed') assert.ok(paused, `resumed and was not paused: ${story}`)
    if (type === 'started') started = { atMs }
    if (type === 'paused') paused = true
    if (type === 'resumed') paused = false
    if (!TERMINAL.includes(type)) continue
    const longest = started ? atMs - started.atMs : 0
    assert.ok(durationMs <= longest + 1e-6, `it sounded for ${durationMs} ms: ${story}`)
  }
}

/** Asserts that the counters match the events and that nothing is left. */
function assertStats({ session, told }) {
  const stats = session.stats()
  const counters = Object.fromEntries(TERMINAL.map((type) => [type, told.filter((event) => event.type === type).length]))
  const { completed, stopped, failed, playing, loading, queued, paused } = stats
  assert.deepEqual({ completed, stopped, failed }, counters)
  assert.deepEqual({ playing, loading, queued, paused }, { playing: 0, loading: 0, queued: 0, paused: 0 })
  assert.deepEqual(session.playbacks(), [])
}

/** Fails with the error, the shortest calls that cause it, and how to reproduce it. */
function report({ failed, seed, counterexamplePath, counterexample, errorInstance }) {
  if (!failed) return
  const [{ options, calls, closeAt }] = counterexample
  const lines = [
    errorInstance.message,
    `options ${JSON.stringify(options)}, close before call ${closeAt}`,
    ...calls.map((each, index) => `${index}. ${JSON.stringify(each)}`),
    `again: SPEAKER_SESSION_SEED=${seed} SPEAKER_SESSION_PATH=${counterexamplePath}`
  ]
  throw new Error(lines.join('\n'), { cause: errorInstance })
}

for (const overlap of OVERLAPS) {
  test(`random calls keep every promise with overlap ${overlap}`, { timeout: 120_000 + 200 * RUNS }, async () => {
    const property = fc.asyncProperty(SCENARIO, async (scenario) => {
      for (let n = 0; n < TRIES; n++) await run(overlap, scenario)
    })
    const limits = { numRuns: Math.ceil(RUNS / OVERLAPS.length), interruptAfterTimeLimit: 100_000 + 200 * RUNS }
    report(await fc.check(property, { ...limits, ...SEED, ...PATH }))
  })
}
