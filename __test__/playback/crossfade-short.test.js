'use strict'

// A playback replaced by a clip shorter than a 5 ms fade still fades out over 5 ms.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { MS, flat } = require('../support/mix')
const { open, finish } = require('../support/session')

const LEVEL = 0.5
/** The slope at the end of an equal-power fade out of 5 ms. */
const STEEPEST = (LEVEL * Math.PI) / 2 / (5 * MS)

for (const crossfadeMs of [5, 100, 3000]) {
  test(`a short clip causes no click, crossfadeMs ${crossfadeMs}`, async (t) => {
    for (const length of [1, 2, 3, 12, 24, 25, 100, 479]) {
      for (const channels of [1, 2]) {
        const { session, heard, of } = open(t, { overlap: 'replace', crossfadeMs, output: { channels } })
        session.playAudio({ requestId: 'old', audio: flat(5000, LEVEL), stopOther: false })
        await session.advance(100)
        // Silent, so that only the old one is heard.
        session.playAudio({ requestId: 'new', audio: flat(length / MS, 0), stopOther: false })
        await finish(session)
        assert.deepEqual(of('new'), ['started@100', `completed@${100 + length / MS}`])
        assert.match(of('old').at(-1), /^stopped@/)
        const samples = heard()
        assert.ok(samples[100 * MS * channels] > 0.9 * LEVEL)
        for (let n = 2 * channels; n < samples.length; n++) {
          const step = Math.abs(samples[n] - samples[n - channels])
          assert.ok(step <= STEEPEST * 1.01, `${length} samples, ${channels} channels: a step of ${step} at ${n / channels / MS} ms`)
        }
      }
    }
  })
}

test('a short clip near the end causes no click', async (t) => {
  for (const leftMs of [1, 3, 5, 8]) {
    const { session, heard } = open(t, { overlap: 'replace', crossfadeMs: 100 })
    session.playAudio({ requestId: 'old', audio: flat(500, LEVEL), stopOther: false })
    await session.advance(500 - leftMs)
    session.playAudio({ requestId: 'new', audio: flat(10 / MS, 0), stopOther: false })
    await finish(session)
    const samples = heard()
    const steepest = (LEVEL * Math.PI) / 2 / (Math.min(leftMs, 5) * MS)
    for (let n = 2; n < samples.length; n++) {
      const step = Math.abs(samples[n] - samples[n - 1])
      assert.ok(step <= steepest * 1.01, `${leftMs} ms left: a step of ${step} at ${n / MS} ms`)
    }
  }
})
