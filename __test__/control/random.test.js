'use strict'

// Random live control from a fixed seed on the manual clock: the same calls give the same samples and the same events.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { random } = require('../support/random')
const { ramp } = require('../support/samples')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const MS = 48
const CLIPS = [ramp(400 * MS).audio, tone(440, 90), tone(330, 700, { sampleRate: 22050 }), ramp(700).audio]
const TERMINAL = ['completed', 'stopped', 'failed']

/** A hundred calls, with a little time between most of them. */
async function run(t, seed, options) {
  const next = random(seed)
  const { session, heard, told } = open(t, { progressIntervalMs: 70, maxDurationMs: 2000, ...options })
  const target = () => [{}, { trackId: next(2) }, { requestId: `p${next(40)}` }][next(3)]
  let count = 0
  const calls = [
    () => session.playAudio({
      requestId: `p${count++}`, audio: CLIPS[next(4)], stopOther: false, trackId: next(2), loop: [1, 3, true][next(3)],
      startMs: next(2) * 11, durationMs: [undefined, 60][next(2)], fadeOutMs: next(2) * 40, volume: next(3) / 2
    }),
    () => session.pauseAudio(target()),
    () => session.resumeAudio(target()),
    () => session.seekAudio({ ...target(), positionMs: next(450) }),
    () => session.setVolume({ ...target(), volume: next(3) / 2, fadeMs: next(90) }),
    () => session.stopAudio({ ...target(), fadeOutMs: next(60) }),
    () => session.track(next(2)).setVolume({ volume: next(3) / 2, gain: 0.5 + next(3) / 2, fadeMs: next(90) }),
    () => session.track(next(2)).setMuted(next(2) === 0)
  ]
  const playing = []
  for (let n = 0; n < 100; n++) {
    const call = [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7][next(17)]
    const result = calls[call]()
    if (call === 0) playing.push(result)
    else await result
    if (next(3) > 0) await session.advance(next(50) + next(48) / 48)
  }
  await session.resumeAudio()
  await session.advance(3000)
  await session.stopAudio()
  await session.advance(20)
  const results = await Promise.allSettled(playing)
  return { told, samples: heard(), results: results.map(({ value, reason }) => value ?? { ...reason }) }
}

for (const options of [{ maxConcurrent: 100 }, { overlap: 'queue' }, { overlap: 'queue', crossfadeMs: 50 }, { overlap: 'replace', duck: {} }]) {
  test(`a hundred calls are reproducible with ${JSON.stringify(options)}`, async (t) => {
    for (const seed of [1, 2, 3, 4]) {
      const first = await run(t, seed, options)
      for (let n = 0; n < 3; n++) assert.deepEqual(await run(t, seed, options), first)
      const { told, results } = first
      for (const { requestId, durationMs } of results) {
        const events = told.filter((event) => event.requestId === requestId)
        assert.equal(events.filter(({ type }) => TERMINAL.includes(type)).length, 1, requestId)
        assert.ok(TERMINAL.includes(events.at(-1).type), 'nothing follows its end')
        // Pauses, which are silent for the playback, are not counted; what sounds is.
        const started = events.find(({ type }) => type === 'started')
        if (started) assert.ok(durationMs <= events.at(-1).atMs - started.atMs + 1e-9, requestId)
        else assert.equal(durationMs, 0)
      }
    }
  })
}
