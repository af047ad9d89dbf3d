'use strict'

// Calls about a loading playback, made without waiting: they apply in order, and the playback is not held forever.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open } = require('../support/session')
const { tone } = require('../support/wav')

const ROUNDS = 40
const clip = tone(440, 100)
const play = (session, source) => session.playAudio({ requestId: 'a', stopOther: false, ...source })
/** Gives loading a little time, or none. */
const pass = async (turns) => {
  for (let n = 0; n < turns; n++) await new Promise(setImmediate)
}

for (const calls of [['pauseAudio', 'resumeAudio'], ['pauseAudio', 'seekAudio', 'resumeAudio'], ['pauseAudio', 'resumeAudio', 'pauseAudio', 'resumeAudio']]) {
  test(`play, ${calls.join(', ')} without waiting starts`, async (t) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { session, of } = open(t)
      const playing = play(session, { audio: clip })
      for (const call of calls) {
        await pass(round % 4)
        session[call](call === 'seekAudio' ? { positionMs: 40 } : {})
      }
      await session.advance(200)
      assert.deepEqual(session.playbacks(), [], `round ${round}`)
      assert.equal((await playing).outcome, 'completed')
      const told = { pauseAudio: 'paused@0', resumeAudio: 'resumed@0', seekAudio: 'sought@0' }
      const endMs = calls.includes('seekAudio') ? 60 : 100
      assert.deepEqual(of('a'), [...calls.map((call) => told[call]), 'started@0', `completed@${endMs}`])
      await session.close()
    }
  })
}

test('emits nothing after failed', async (t) => {
  const bad = [{ audioUrl: '/nowhere/audio.wav' }, { audio: Buffer.from('this is not audio, however long it is read') }, { audio: Buffer.alloc(0) }]
  for (let round = 0; round < ROUNDS; round++) {
    const { session, told } = open(t)
    const playing = play(session, bad[round % bad.length])
    const answers = []
    for (const [call, request] of [['pauseAudio'], ['seekAudio', { positionMs: 30 }], ['resumeAudio'], ['pauseAudio'], ['stopAudio', { requestId: 'a' }]]) {
      await pass(round % 5)
      if (call === 'stopAudio' && round % 2) continue
      answers.push(session[call](request))
    }
    await session.advance(20)
    await Promise.all(answers)
    await playing.catch(({ code }) => assert.match(code, /ERR_FILE|ERR_UNSUPPORTED_FORMAT|ERR_EMPTY_SOURCE/))
    const about = told.filter(({ requestId }) => requestId === 'a').map(({ type }) => type)
    const end = about.findIndex((type) => type === 'failed' || type === 'stopped')
    assert.equal(end, about.length - 1, `round ${round}: ${about}`)
    assert.deepEqual(session.playbacks(), [])
    await session.close()
  }
})
