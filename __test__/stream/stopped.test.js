'use strict'

// Every way in which a stream's playback ends early, with every way of waiting for the stream: nothing waits forever, with or
// without a listener for `error`, and the producer of the audio is told to stop.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { PassThrough, Readable, finished: finishedCallback } = require('node:stream')
const { finished, pipeline } = require('node:stream/promises')
const { test } = require('node:test')
const { setImmediate: turn } = require('node:timers/promises')

const { abortable, open } = require('../support/session')
const { RAW, steady, write } = require('../support/stream')

const sound = steady(100)
const QUEUED = { options: { overlap: 'queue' }, holds: true }

/**
 * `options` are the session's, `request` the stream's, `piece` is written repeatedly; `holds` puts a playback in front.
 * `end` ends the playback. `code` is the error that a waiting caller gets, `outcome` and `reason` those of `finished`.
 */
const WAYS = {
  'interrupt': { end: ({ session }) => session.interrupt(), reason: 'interrupted' },
  'stopAudio of all': { end: ({ session }) => session.stopAudio(), reason: 'stopped' },
  'stopAudio, with a fade': {
    end: ({ session }) => session.stopAudio({ requestId: 's', fadeOutMs: 300, reason: 'mine' }), reason: 'mine'
  },
  'stopAudio while it waits its turn': { ...QUEUED, end: ({ session }) => session.stopAudio(), reason: 'stopped' },
  'stopAudio while it is paused': {
    end: async ({ session }) => {
      await session.pauseAudio()
      await session.stopAudio()
    },
    reason: 'stopped'
  },
  'stopOther of another': { end: ({ session }) => void session.playAudio({ audio: sound, stopOther: true }), reason: 'replaced' },
  'replace by another': {
    options: { overlap: 'replace' },
    end: ({ session }) => void session.playAudio({ audio: sound, stopOther: false }),
    reason: 'replaced'
  },
  'replace by the same requestId': {
    options: { onDuplicate: 'replace' },
    end: ({ session }) => void session.playAudio({ requestId: 's', audio: sound, stopOther: false }),
    reason: 'replaced'
  },
  'a stop ahead': { ahead: true, end() {}, reason: 'stopped' },
  'close': { end: ({ session }) => session.close(), reason: 'closed' },
  'abort of its signal': { signal: true, end: ({ abort }) => abort(), reason: 'aborted' },
  'destroy': { end: ({ stream }) => void stream.destroy(), reason: 'destroyed' },
  'destroy with an AbortError': {
    end: ({ stream }) => void stream.destroy(new DOMException('', 'AbortError')), code: 20, reason: 'aborted'
  },
  'destroy with an error': {
    end: ({ stream }) => void stream.destroy(Object.assign(new Error('mine'), { code: 'MINE' })),
    code: 'MINE',
    outcome: 'ERR_STREAM'
  },
  'durationMs': { request: { durationMs: 300 }, end() {}, outcome: 'completed' },
  'maxDurationMs': { options: { maxDurationMs: 300 }, end() {}, code: 'ERR_MAX_DURATION' },
  'queueTimeoutMs': { ...QUEUED, request: { queueTimeoutMs: 300 }, end() {}, code: 'ERR_QUEUE_TIMEOUT' },
  'maxConcurrent': { options: { maxConcurrent: 1 }, holds: true, end() {}, code: 'ERR_TOO_MANY_PLAYBACKS' },
  'maxQueued': { options: { ...QUEUED.options, maxQueued: 0 }, holds: true, end() {}, code: 'ERR_QUEUE_FULL' },
  'bytes that are not audio': {
    request: { format: 'flac', sampleRate: undefined },
    piece: Buffer.alloc(250_000, 'no music'),
    end() {},
    code: 'ERR_UNSUPPORTED_FORMAT'
  },
  'an output that fails': { options: { output: { type: 'wav', path: '/nowhere/mix.wav' } }, end() {}, code: 'ERR_OUTPUT' }
}

/** Produces audio endlessly and remembers whether it was closed. */
function endless(piece) {
  const made = { isOver: true }
  made.pieces = (async function* () {
    made.isOver = false
    try {
      for (;;) yield piece
    } finally {
      made.isOver = true
    }
  })()
  return made
}

/** Resolves to the code of the rejection, or to undefined. */
const told = (promise) => promise.then(() => undefined, ({ code }) => code)

/**
 * Each one starts to wait for a stream and returns `settled`, a promise of the error's code, and `isOver()`, true once the
 * producer of the audio was closed. `isLate`: it waits again when the stream is closed; `isIdle`: it writes less than there is
 * room for; `hasEnded`: `end` was called.
 */
const WAITS = {
  'once drain': (stream, piece) => {
    const made = endless(piece)
    const speak = async () => {
      for await (const piece of made.pieces) if (!stream.write(piece)) await once(stream, 'drain')
    }
    return { settled: told(speak()), isOver: () => made.isOver }
  },
  'once drain, too late': (stream, piece) => {
    const made = endless(piece)
    const speak = async () => {
      for await (const piece of made.pieces) {
        if (stream.write(piece)) continue
        while (!stream.closed && stream.writableNeedDrain) await turn()
        if (!stream.closed) continue
        await turn()
        await once(stream, 'drain')
      }
    }
    return { settled: told(speak()), isOver: () => made.isOver, isLate: true }
  },
  'a write when it is over, then once drain': (stream, piece) => {
    const late = async () => {
      for (const written = []; !stream.closed; ) {
        if (written.length < 200) written.push(stream.write(piece))
        await turn()
      }
      assert.equal(stream.write(piece), false)
      await once(stream, 'drain')
    }
    return { settled: told(late()), isOver: () => true, isLate: true }
  },
  'the callback of each write': (stream, piece) => {
    const writing = async () => {
      for (;;) {
        const error = await write(stream, piece)
        if (error) throw error
      }
    }
    return { settled: told(writing()), isOver: () => true }
  },
  'callbacks of writes in line': (stream, piece) => {
    const all = Promise.all(Array.from({ length: 200 }, () => write(stream, piece)))
    return { settled: all.then((errors) => errors.at(-1)?.code), isOver: () => true }
  },
  'pipeline from a generator': (stream, piece) => {
    const made = endless(piece)
    return { settled: told(pipeline(made.pieces, stream)), isOver: () => made.isOver }
  },
  'pipeline from a Readable': (stream, piece) => {
    const audio = new Readable({ read() { this.push(piece) } })
    return { settled: told(pipeline(audio, stream)), isOver: () => audio.destroyed }
  },
  'pipeline through a generator': (stream, piece) => {
    const made = endless(piece)
    const through = async function* (pieces) {
      for await (const piece of pieces) yield piece
    }
    return { settled: told(pipeline(made.pieces, through, stream)), isOver: () => made.isOver }
  },
  'pipeline through a PassThrough': (stream, piece) => {
    const made = endless(piece)
    return { settled: told(pipeline(Readable.from(made.pieces), new PassThrough(), stream)), isOver: () => made.isOver }
  },
  'pipeline from a generator that waits for its signal': (stream, piece) => {
    let isOver = true
    const silent = async function* ({ signal }) {
      isOver = false
      try {
        for (let n = 0; n < 5; n++) yield piece
        if (!signal.aborted) await once(signal, 'abort')
      } finally {
        isOver = true
      }
    }
    return { settled: told(pipeline(silent, stream)), isOver: () => isOver, isIdle: true }
  },
  'pipe': (stream, piece) => {
    const audio = new Readable({ read() { this.push(piece) } })
    audio.pipe(stream)
    return { settled: told(finished(stream)), isOver: () => audio.isPaused() || !audio.readableFlowing }
  },
  'finished': (stream, piece) => {
    for (let n = 0; n < 50; n++) stream.write(piece)
    return { settled: told(finished(stream)), isOver: () => true }
  },
  'finished with a callback': (stream, piece) => {
    for (let n = 0; n < 50; n++) stream.write(piece)
    const settled = new Promise((resolve) => finishedCallback(stream, (error) => resolve(error?.code)))
    return { settled, isOver: () => true }
  },
  'once finish, after end': (stream, piece) => {
    for (let n = 0; n < 50; n++) stream.write(piece)
    stream.end()
    return { settled: told(once(stream, 'finish')), isOver: () => true, hasEnded: true }
  },
  'the callback of end': (stream, piece) => {
    for (let n = 0; n < 50; n++) stream.write(piece)
    return { settled: new Promise((resolve) => stream.end((error) => resolve(error?.code))), isOver: () => true, hasEnded: true }
  }
}

for (const [how, way] of Object.entries(WAYS)) {
  test(`nothing waits forever: ${how}`, async (t) => {
    for (const [what, wait] of Object.entries(WAITS).filter(([what]) => !isNodes(how, what))) {
      await check(t, way, wait, false, what)
      await check(t, way, wait, true, `${what}, and error is listened to`)
    }
  })
}

/** Node's pipeline takes an AbortError for that of its own signal, and does not abort what waits for it. */
const isNodes = (how, what) => how.includes('AbortError') && what.includes('its signal')

async function check(t, way, wait, listens, what) {
  const { options, request, piece = sound, holds, ahead, signal, end, code = 'ERR_ENDED', outcome, reason } = way
  const { session, terminal } = open(t, options)
  const aborting = abortable()
  if (ahead) await session.stopAudio({ requestId: 's', ahead: true })
  if (holds) session.createStream({ ...RAW, stopOther: false }).write(steady(900))
  const stream = session.createStream({
    requestId: 's', ...RAW, stopOther: false, ...request, signal: signal ? aborting.signal : undefined
  })
  const errors = []
  if (listens) stream.on('error', (error) => errors.push(error.code))
  const { settled, isOver, hasEnded = false, isIdle = false, isLate = false } = wait(stream, piece)
  // A writer who is ahead waits for room, or the playback has already ended.
  while (!isIdle && stream.writableLength === 0 && !stream.destroyed) await turn()
  await session.advance(100).catch(() => {})
  await end({ session, stream, ...aborting })
  /** Advances time until `promise` is settled; a closed session has no time. */
  const moveUntil = async (promise, isTrue = () => true) => {
    let isSettled = false
    promise.finally(() => (isSettled = true)).catch(() => {})
    for (let turns = 0; !isSettled || !isTrue(); turns++) {
      assert.ok(turns < 2000, `it waits for ever: ${what}`)
      await session.advance(10).catch(() => {})
      await turn()
    }
  }
  await moveUntil(settled, isOver)
  await moveUntil(stream.finished)
  const completes = outcome === 'completed' && hasEnded
  assert.equal(await settled, completes ? undefined : code, what)
  const result = await stream.finished.catch((error) => error)
  if (outcome === 'completed') assert.deepEqual([result.outcome, result.durationMs], ['completed', 300], what)
  else if (reason) assert.deepEqual([result.outcome, result.reason], ['stopped', reason], what)
  else assert.equal(result.code, outcome ?? code, what)
  assert.equal(terminal('s').filter((event) => event.reason === reason).length, 1, what)
  assert.ok(stream.destroyed && stream.closed, what)
  assert.equal(stream.listenerCount('drain'), 0, what)
  if (code === 'ERR_ENDED' && !completes && reason !== 'destroyed') {
    const { requestId, durationMs, positionMs } = stream.errored
    const { durationMs: heardMs, positionMs: placeMs } = result
    assert.deepEqual([requestId, durationMs, positionMs], ['s', heardMs, placeMs], what)
  }
  if (listens) assert.deepEqual(errors, completes ? [] : isLate ? [code, code] : [code], what)
  await session.close()
}
