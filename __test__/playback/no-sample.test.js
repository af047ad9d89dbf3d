'use strict'

// A playback without a sample ends without having started.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { RAW } = require('../support/stream')
const { tone, wavFile } = require('../support/wav')

const clip = tone(440, 100)
const empty = wavFile(new Float64Array(0), 48000)
const EMPTY = {
  'an empty clip': { audio: empty },
  'startMs beyond the end': { audio: clip, startMs: 5000 },
  'durationMs 0': { audio: clip, durationMs: 0 }
}

for (const [what, source] of Object.entries(EMPTY)) {
  for (const overlap of ['mix', 'queue', 'replace']) {
    test(`${what}: no started, overlap ${overlap}`, async (t) => {
      const { session, of } = open(t, { overlap, progressIntervalMs: 5, crossfadeMs: overlap === 'mix' ? 0 : 20 })
      session.playAudio({ requestId: 'a', stopOther: false, ...source })
      session.playAudio({ requestId: 'b', stopOther: false, audio: clip })
      await finish(session)
      const told = of('a').filter((event) => !event.startsWith('queued'))
      assert.ok(['completed@0', 'stopped@0'].includes(told.join()), told.join())
      assert.equal(of('b').filter((event) => event.startsWith('started')).join(), 'started@0')
    })
  }
}

test('an early seek beyond the end emits no started', async (t) => {
  const { session, of } = open(t)
  session.playAudio({ requestId: 'a', stopOther: false, audio: clip })
  await session.seekAudio({ positionMs: 100 })
  await finish(session)
  assert.deepEqual(of('a'), ['sought@0', 'completed@0'])
})

test('an empty stream emits no started', async (t) => {
  const { session, of } = open(t)
  const stream = session.createStream({ requestId: 's', ...RAW }).on('error', () => {})
  stream.end()
  await stream.finished.catch(() => {})
  await session.advance(20)
  assert.equal(of('s').length, 1)
  assert.match(of('s')[0], /^(completed|failed)@0$/)
})
