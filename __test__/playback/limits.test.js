'use strict'

// `maxConcurrent` and `maxDurationMs`.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

const clips = { a: tone(440, 500), b: tone(880, 500), c: tone(1320, 500), long: tone(300, 3000) }
const play = (session, requestId, options) =>
  session.playAudio({ requestId, audio: clips[requestId] ?? clips.a, stopOther: false, ...options })

test('the eleventh playback fails with ERR_TOO_MANY_PLAYBACKS', async (t) => {
  const { session, terminal } = open(t)
  for (let n = 0; n < 10; n++) play(session, `p${n}`)
  await assert.rejects(play(session, 'eleventh'), {
    code: 'ERR_TOO_MANY_PLAYBACKS', message: 'Expected at most 10 playbacks at once (maxConcurrent) but received one more'
  })
  await finish(session)
  assert.equal(terminal('eleventh').length, 1)
  for (let n = 0; n < 10; n++) assert.equal(terminal(`p${n}`)[0].type, 'completed')
})

test('maxDurationMs ends a playback', async (t) => {
  const { session } = open(t, { maxDurationMs: 250 })
  const long = play(session, 'long')
  await finish(session)
  await assert.rejects(long, { code: 'ERR_MAX_DURATION', positionMs: 250 })
})

test('a source of exactly maxDurationMs completes', async (t) => {
  for (const name of ['tone.flac', 'tone-cbr.mp3', 'tone-s16.wav', 'tone-opus.ogg']) {
    const audioUrl = path.join(__dirname, '../fixtures', name)
    const heard = []
    for (const maxDurationMs of [1000, 2000, 1000, 1000, 1000]) {
      const { session, ...opened } = open(t, { maxDurationMs })
      const played = session.playAudio({ audioUrl })
      await finish(session)
      assert.equal((await played).durationMs, 1000, name)
      heard.push(opened.heard())
    }
    for (const samples of heard) assert.deepEqual(samples, heard[0], name)
  }
})
