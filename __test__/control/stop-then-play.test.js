'use strict'

// The usual defensive idiom: stop whatever may still play under a requestId, then play under it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { open } = require('../support/session')
const { tone } = require('../support/wav')

const CLIP_MS = 300
const clip = tone(440, CLIP_MS)
const long = tone(440, 30_000)

/** The states of the earlier playback with this requestId: each function brings it about. `stop` is what stopAudio answers then. */
const STATES = {
  async 'nothing of that name'() {},
  async 'it ended a moment ago'({ play, finished }) {
    await finished(play(clip))
  },
  async 'it sounds'({ play, sounds }) {
    await sounds(play(long))
  },
  async 'it loads'({ play }) {
    play(long)
  },
  async 'it is paused'({ session, play, sounds }) {
    await sounds(play(long))
    await session.pauseAudio()
  },
  async 'it waits in line'({ session, play }) {
    session.playAudio({ requestId: 'other', audio: long, stopOther: false, overlap: 'queue' })
    play(long, { overlap: 'queue' })
    await session.setVolume({ volume: 0.5 })
  },
  async 'it fades already'({ session, play, sounds }) {
    await sounds(play(long))
    await session.stopAudio({ requestId: 'music', fadeOutMs: 20_000 })
  },
  async 'it failed'({ session }) {
    await session.playAudio({ requestId: 'music', audioUrl: '/nowhere.wav' }).catch(({ code }) => assert.equal(code, 'ERR_FILE'))
  }
}

for (const clock of ['manual', 'realtime']) {
  for (const [state, prepare] of Object.entries(STATES)) {
    test(`${clock}: stop, then play while ${state}`, async (t) => {
      for (const fadeOutMs of [undefined, 100]) {
        const { session, told } = open(t, { output: { clock } })
        const play = (audio, options) => session.playAudio({ requestId: 'music', audio, stopOther: false, ...options })
        const finished = async (playing) => {
          if (clock === 'manual') await session.advance(CLIP_MS)
          return playing
        }
        const sounds = async () => {
          if (clock === 'manual') await session.advance(20)
          else await once(session, 'started')
        }
        await session.connect()
        await prepare({ session, play, finished, sounds })
        await session.stopAudio({ requestId: 'music', ...(fadeOutMs && { fadeOutMs }) })
        const again = play(clip)
        assert.deepEqual(await finished(again), { requestId: 'music', outcome: 'completed', durationMs: CLIP_MS, positionMs: CLIP_MS })
        const last = told.filter(({ requestId, type }) => requestId === 'music' && type === 'started').at(-1)
        assert.ok(told.some(({ seq, type, requestId }) => seq > last.seq && type === 'completed' && requestId === 'music'))
        await session.close()
      }
    })
  }
}

test('stop long after the end, then play', async (t) => {
  const { session } = open(t)
  for (const ms of [4999, 5001, 60_000]) {
    session.playAudio({ requestId: 'music', audio: clip })
    await session.advance(CLIP_MS + ms)
    await session.stopAudio({ requestId: 'music' })
    const again = session.playAudio({ requestId: 'music', audio: clip })
    await session.advance(CLIP_MS)
    assert.equal((await again).outcome, 'completed', `after ${ms} ms`)
  }
})

test('stop without awaiting it, then play', async (t) => {
  for (const clock of ['manual', 'realtime']) {
    const { session } = open(t, { output: { clock } })
    const ends = []
    for (let n = 0; n < 20; n++) {
      session.stopAudio({ requestId: 'music' })
      ends.push(session.playAudio({ requestId: 'music', audio: clip, stopOther: false }))
      if (clock === 'manual') await session.advance(n)
      else await sleep(n)
    }
    if (clock === 'manual') await session.advance(CLIP_MS)
    const outcomes = (await Promise.all(ends)).map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, [...Array(19).fill('stopped'), 'completed'], clock)
  }
})

test('stopOther refuses the requestId it would stop', async (t) => {
  const { session, of } = open(t)
  const first = session.playAudio({ requestId: 'music', audio: clip })
  await session.advance(100)
  await assert.rejects(session.playAudio({ requestId: 'music', audio: clip, stopOther: true }), { code: 'ERR_DUPLICATE_REQUEST' })
  await session.advance(CLIP_MS)
  assert.equal((await first).outcome, 'completed', 'what is refused stops nobody')
  assert.deepEqual(of('music'), ['started@0', `completed@${CLIP_MS}`])
})

test('onDuplicate replace plays in every state', async (t) => {
  for (const [state, prepare] of Object.entries(STATES)) {
    const { session } = open(t, { onDuplicate: 'replace' })
    const play = (audio, options) => session.playAudio({ requestId: 'music', audio, stopOther: false, ...options })
    const finished = (playing) => session.advance(CLIP_MS).then(() => playing)
    await session.connect()
    await prepare({ session, play, finished, sounds: () => session.advance(20) })
    assert.equal((await finished(play(clip))).outcome, 'completed', state)
    await session.close()
  }
})
