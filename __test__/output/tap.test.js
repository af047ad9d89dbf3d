'use strict'

// Taps: the exact samples of the output, and what happens if the reader is slow.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { Writable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { test } = require('node:test')

const { open } = require('../support/session')
const { listen, timeline } = require('../support/tap')
const { level, tone } = require('../support/wav')

/** Sounds of odd lengths with silences between them, shorter and longer than a frame, and one that the limiter reduces. */
async function play(session) {
  const say = (audio, gain = 1) => session.playAudio({ audio, gain, stopOther: false })
  await session.advance(907)
  say(tone(440, 33))
  await session.advance(36)
  say(tone(880, 41.5))
  await session.advance(500)
  say(tone(440, 300, { sampleRate: 44100 }))
  await session.advance(101.25)
  say(tone(660, 700), 12)
  await session.advance(2000)
}

/** Asserts equality; the longer one may only end in silence. */
function assertSame(actual, expected) {
  const [shorter, longer] = [actual, expected].sort((a, b) => a.length - b.length)
  assert.ok(longer.subarray(shorter.length).every((sample) => sample === 0), 'there is more in one of them')
  assert.deepEqual(actual.subarray(0, shorter.length), expected.subarray(0, shorter.length))
}

test('a tap has the exact samples and times', async (t) => {
  for (const channels of [1, 2]) {
    for (const frameMs of [10, 20, 100]) {
      const { session, heard } = open(t, { output: { channels } })
      const tap = session.tap({ format: 'f32', frameMs })
      const frames = listen(tap)
      await play(session)
      assert.ok(frames.every(({ frame }) => frame.length === frameMs * 48 * channels * 4))
      assertSame(timeline(frames, { format: 'f32', channels }), heard())
      assert.equal(frames[0].atMs, 907)
      // 77.5 ms with the short silence, and the rest of the mixer's frame.
      const first = frames.filter(({ atMs }) => atMs < 1443)
      assert.ok(first.length <= Math.ceil(97.5 / frameMs), `${first.length} frames of ${frameMs} ms`)
      assert.equal(tap.dropped, 0)
    }
  }
})

test('a tap can resample', async (t) => {
  const { session, heard } = open(t, { output: { channels: 2 } })
  const frames = listen(session.tap({ sampleRate: 16000, channels: 1, frameMs: 10 }))
  await play(session)
  await session.close()
  assert.ok(frames.every(({ frame }) => frame.length === 320))
  const samples = timeline(frames, { sampleRate: 16000 })
  const both = heard()
  // 880 Hz between its edges, then 660 Hz at full scale.
  for (const [fromMs, toMs] of [[950, 975], [1700, 2000]]) {
    for (let n = fromMs * 16; n < toMs * 16; n++) {
      assert.ok(Math.abs(samples[n] - both[6 * n]) < 0.004, `${samples[n]}, not ${both[6 * n]} at ${n / 16} ms`)
    }
  }
})

test('a stereo tap doubles mono', async (t) => {
  const { session, heard } = open(t)
  const frames = listen(session.tap({ format: 'f32', channels: 2 }))
  session.playAudio({ audio: tone(440, 100) })
  await session.advance(100)
  assert.deepEqual(timeline(frames, { format: 'f32', channels: 2 }), heard().reduce((pairs, sample, n) => {
    pairs.fill(sample, n * 2, n * 2 + 2)
    return pairs
  }, new Float32Array(9600)))
})

test('taps are independent', async (t) => {
  const { session, heard } = open(t)
  session.playAudio({ audio: tone(440, 1000) })
  const first = session.tap({ format: 'f32' })
  const firsts = listen(first)
  await session.advance(310)
  const seconds = listen(session.tap({ format: 'f32', frameMs: 10 }))
  await session.advance(210)
  first.destroy()
  await session.advance(1000)
  assert.equal(firsts.length, 520 / 20)
  assertSame(timeline(firsts, { format: 'f32' }), heard().subarray(0, 520 * 48).slice())
  assert.equal(seconds[0].atMs, 310)
  assertSame(timeline(seconds, { format: 'f32', fromMs: 310 }), heard().slice(310 * 48))
})

test('manual: a slow reader loses no frame', async (t) => {
  const runs = []
  for (let n = 0; n < 2; n++) {
    const { session, heard } = open(t)
    const tap = session.tap({ format: 'f32', frameMs: 10 })
    const frames = []
    const slow = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (frame, _encoding, callback) => setImmediate(() => (frames.push(frame), callback()))
    })
    const read = pipeline(tap, slow)
    session.playAudio({ audio: tone(440, 5000) })
    await session.advance(5000)
    await session.close()
    await read
    assert.equal(tap.dropped, 0)
    assert.equal(frames.length, 500)
    assertSame(timeline(frames, { format: 'f32' }), heard())
    runs.push(frames)
  }
  assert.deepEqual(runs[0], runs[1])
})

test('an unread tap drops frames and counts them', async (t) => {
  const { session, heard } = open(t)
  const tap = session.tap({ format: 'f32' })
  session.playAudio({ audio: tone(440, 10_000) })
  await session.advance(4000)
  assert.deepEqual([tap.readableLength, tap.dropped], [64, 200 - 64])
  const frames = listen(tap)
  await session.advance(1000)
  assert.equal(tap.dropped, 200 - 64)
  assert.deepEqual(frames.map(({ atMs }) => atMs), [
    ...Array.from({ length: 64 }, (_, n) => n * 20),
    ...Array.from({ length: 50 }, (_, n) => 4000 + n * 20)
  ])
  const expected = heard()
  expected.fill(0, 64 * 960, 4000 * 48)
  assertSame(timeline(frames, { format: 'f32' }), expected)
})

test('realtime: a slow reader drops frames', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const [idle, busy] = [session.tap({ frameMs: 10 }), session.tap({ frameMs: 10 })]
  const frames = listen(busy)
  const playing = session.playAudio({ audio: tone(440, 1500) })
  await once(session, 'started')
  const until = performance.now() + 1000
  while (performance.now() < until); // JavaScript is blocked
  assert.equal((await playing).durationMs, 1500)
  await session.close()
  assert.equal(idle.readableLength, 64)
  // There are a few more if the machine halts in between: frames are filled with silence there.
  const all = 64 + idle.dropped
  assert.ok(all >= 150, `${all} frames`)
  assert.ok(busy.dropped > 0, 'nothing was dropped')
  assert.equal(frames.length + busy.dropped, all)
})

test('realtime: frame times are right after silence', async (t) => {
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  const frames = listen(session.tap({ sampleRate: 16000, frameMs: 10 }))
  await session.playAudio({ requestId: 'a', audio: tone(440, 100) })
  await new Promise((resolve) => setTimeout(resolve, 60))
  await session.playAudio({ requestId: 'b', audio: tone(440, 100) })
  await session.close()
  assert.equal(frames.length, 20)
  const starts = told.filter(({ type }) => type === 'started').map(({ atMs }) => atMs)
  assert.ok(Math.abs(frames[0].atMs - starts[0]) <= 1 / 16)
  assert.ok(Math.abs(frames[10].atMs - starts[1]) <= 1 / 16)
  const samples = timeline(frames.slice(10), { sampleRate: 16000, fromMs: frames[10].atMs })
  assert.ok(Math.abs(level(samples, 400, 1200, 440, 16000) - 0.3) < 0.003)
})

test('close ends a tap after its last frame', async (t) => {
  const { session } = open(t)
  const tap = session.tap({ sampleRate: 8000, frameMs: 100 })
  const read = (async () => {
    const frames = []
    for await (const frame of tap) frames.push(frame)
    return frames
  })()
  session.playAudio({ audio: tone(440, 130) })
  await session.advance(140)
  await session.close()
  assert.deepEqual((await read).map(({ atMs }) => atMs), [0, 100])
  assert.ok(tap.destroyed)
  assert.throws(() => session.tap(), { name: 'SpeakerError', code: 'ERR_CLOSED' })
  await session.close()
})

test('destroying a tap releases the clock', async (t) => {
  const { session, heard } = open(t)
  const tap = session.tap()
  session.playAudio({ audio: tone(440, 5000) })
  const advanced = session.advance(5000)
  let frames = 0
  for await (const { frame } of tap) {
    assert.equal(frame.length, 960 * 2)
    if (++frames === 100) break // which destroys it
    await new Promise(setImmediate)
  }
  await advanced
  assert.equal(heard().length, 5000 * 48)
  assert.ok(tap.destroyed)
})

test("an error in a tap's reader stays there", async (t) => {
  const { session } = open(t)
  const tap = session.tap()
  session.playAudio({ audio: tone(440, 100) })
  const failed = assert.rejects(pipeline(tap, async () => { throw new Error('mine') }), /mine/)
  await session.advance(100)
  await failed
  assert.equal(session.stats().completed, 1)
})

test('tap options are validated', (t) => {
  const { session } = open(t)
  const cases = [
    [{ format: 'mp3' }, /Expected one of 's16', 'f32', 'mulaw', 'alaw' for format/],
    [{ sampleRate: 4000 }, /from 8000 to 192000 for sampleRate/],
    [{ channels: 3 }, /for channels/],
    [{ frameMs: 5 }, /for frameMs/],
    [{ sampleRate: 11025, frameMs: 20 }, /whole number of samples at 11025 Hz for frameMs/],
    [{ rate: 16000 }, /the options of tap/]
  ]
  for (const [options, message] of cases) {
    assert.throws(() => session.tap(options), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test("a track's tap has that track's post-volume mix", async (t) => {
  for (const channels of [1, 2]) {
    const { session, heard } = open(t, { output: { channels } })
    await session.track(2).setVolume({ volume: 0.5 })
    const voice = listen(session.track(2).tap({ format: 'f32' }))
    const all = listen(session.tap({ format: 'f32' }))
    const music = listen(session.tap({ trackId: 0, format: 'f32' }))
    const nothing = listen(session.tap({ trackId: 9, format: 'f32' }))
    const say = (audio, trackId) => session.playAudio({ audio, trackId, stopOther: false })
    say(tone(440, 301), 0)
    await session.advance(52.5)
    say(tone(880, 177), 2)
    await session.advance(60)
    say(tone(660, 55.5), 2)
    await session.advance(500)
    await session.close()
    const [sum, one, other] = [all, music, voice].map((frames) => timeline(frames, { format: 'f32', channels }))
    assertSame(sum, heard())
    for (let n = 0; n < other.length; n++) {
      assert.ok(Math.abs(sum[n] - one[n] - other[n]) < 1e-6, `sample ${n}: ${sum[n]} is not ${one[n]} and ${other[n]}`)
    }
    assert.ok(Math.abs(level(one.filter((_, n) => n % channels === 0), 4800, 9600, 440) - 0.3) < 0.02, 'as loud as its source')
    assert.ok(Math.abs(level(other.filter((_, n) => n % channels === 0), 5280, 6000, 880) - 0.15) < 0.02, 'half as loud')
    assert.deepEqual(nothing, [], 'silence has no frames')
  }
})

test("ending a track's tap affects no other tap", async (t) => {
  const { session, heard } = open(t)
  const [one, other] = [1, 1].map((trackId) => session.tap({ trackId, format: 'f32' }))
  const [gone, stays] = [one, other].map(listen)
  session.playAudio({ audio: tone(440, 200), trackId: 1 })
  await session.advance(100)
  one.destroy()
  await session.advance(200)
  assert.equal(timeline(gone, { format: 'f32' }).length, 100 * 48)
  assertSame(timeline(stays, { format: 'f32' }), heard())
  for (const trackId of [-1, 65536, '1', null]) {
    assert.throws(() => session.tap({ trackId }), { code: 'ERR_INVALID_ARGUMENT', message: /for trackId/ })
  }
})

test("realtime: a track's tap has only that track", async (t) => {
  const frames = []
  const { session } = open(t, { output: { type: 'pcm', clock: 'realtime', onFrame: () => {} } })
  session.tap({ trackId: 1, format: 'f32' }).on('data', ({ frame }) => frames.push(...new Float32Array(frame.buffer, frame.byteOffset, frame.length / 4)))
  await session.playAudio({ audio: tone(880, 60), trackId: 2, stopOther: false })
  await session.setMuted({ trackId: 1, muted: true })
  const { unheardMs, durationMs } = await session.playAudio({ audio: tone(440, 60), trackId: 1, stopOther: false })
  await session.close()
  assert.deepEqual({ unheardMs, durationMs }, { unheardMs: 60, durationMs: 60 })
  assert.ok(frames.length > 0 && frames.every((sample) => sample === 0))
})
