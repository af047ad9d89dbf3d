'use strict'

// A lost id must not mean everything: a target that is present but undefined is refused, and nothing changes.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open } = require('../support/session')
const { tone } = require('../support/wav')

const CALLS = {
  stopAudio: (session, target) => session.stopAudio(target),
  pauseAudio: (session, target) => session.pauseAudio(target),
  resumeAudio: (session, target) => session.resumeAudio(target),
  seekAudio: (session, target) => session.seekAudio({ ...target, positionMs: 0 }),
  setVolume: (session, target) => session.setVolume({ ...target, volume: 0 }),
  mark: (session, target) => session.mark('said', target)
}

test('refuses an undefined target', async (t) => {
  const { session, told } = open(t)
  const playing = session.playAudio({ requestId: 'a', group: 'turn', audio: tone(440, 100) })
  await session.advance(20)
  const before = told.length
  class Getter {
    get requestId() {
      return undefined
    }
  }
  for (const [name, call] of Object.entries(CALLS)) {
    for (const [target, message] of [
      [{ requestId: undefined }, /^Expected a non-empty string for requestId but received undefined; without requestId it is for everything$/],
      [{ trackId: undefined }, /^Expected an integer from 0 to 65535 for trackId but received undefined; without trackId it is for everything$/],
      [{ group: undefined }, /^Expected a non-empty string for group but received undefined/],
      [{ requestId: undefined, trackId: 0 }, /for requestId but received undefined/]
    ]) {
      await assert.rejects(call(session, target), { code: 'ERR_INVALID_ARGUMENT', message }, `${name} of ${Object.keys(target)}`)
    }
  }
  await assert.rejects(session.stopAudio(new Getter()), { code: 'ERR_INVALID_ARGUMENT' })
  await session.advance(100)
  assert.deepEqual(told.slice(before).map(({ type }) => type), ['completed'])
  assert.equal((await playing).durationMs, 100)
})

test('refuses a tap of an undefined target', (t) => {
  const { session } = open(t)
  for (const name of ['requestId', 'trackId']) {
    assert.throws(() => session.tap({ [name]: undefined }), {
      code: 'ERR_INVALID_ARGUMENT', message: new RegExp(`for ${name} but received undefined; without ${name} all is tapped$`)
    })
  }
})

test('undefined options count as left out', async (t) => {
  const { session } = open(t, { duck: undefined, overlap: undefined, maxQueued: undefined })
  const options = ['requestId', 'volume', 'gain', 'trackId', 'startMs', 'durationMs', 'loop', 'headers', 'format', 'signal', 'misspelt']
  const playing = session.playAudio({ audio: tone(440, 100), ...Object.fromEntries(options.map((name) => [name, undefined])) })
  await session.advance(200)
  assert.equal((await playing).durationMs, 100)
  assert.deepEqual(await session.stopAudio({ reason: undefined, fadeOutMs: undefined, ahead: undefined }), { stopped: [] })
  assert.deepEqual((await session.interrupt({ keep: undefined })).interrupted, [])
})
