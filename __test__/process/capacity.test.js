'use strict'

// `SpeakerSession.capacity()`, and the refusal of outputs beyond `maxLoad`.

const assert = require('node:assert/strict')
const { afterEach, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { tone } = require('../support/wav')

const realtime = { output: { type: 'none' } }

/** Waits until the load is as it should be. */
async function loaded(isSo) {
  for (let n = 0; n < 600 && !isSo(SpeakerSession.capacity()); n++) await sleep(100)
  return SpeakerSession.capacity()
}

afterEach(() => SpeakerSession.configure({ maxLoad: 0.5, refuseOverload: false }))

test('an idle process has its whole capacity', () => {
  const { wheels, load, busiest, maxLoad, sessionsLeft, exceeded, refused } = SpeakerSession.capacity()
  assert.ok(Number.isInteger(wheels) && wheels >= 1)
  assert.deepEqual({ load, busiest, maxLoad, sessionsLeft, exceeded, refused }, { load: 0, busiest: 0, maxLoad: 0.5, sessionsLeft: null, exceeded: 0, refused: 0 })
})

test('load follows what plays, and falls to 0 after it', async () => {
  const sessions = Array.from({ length: 40 }, () => new SpeakerSession(realtime))
  const voices = sessions.flatMap((session) =>
    Array.from({ length: 8 }, () => session.playAudio({ audio: tone(440, 5000), loop: true, stopOther: false }))
  )
  const busy = await loaded(({ load }) => load > 0)
  assert.ok(busy.load > 0 && busy.load <= busy.busiest, JSON.stringify(busy))
  assert.ok(busy.sessionsLeft >= 0, JSON.stringify(busy))
  await Promise.all(sessions.map((session) => session.close()))
  await Promise.all(voices)
  const idle = await loaded(({ load }) => load === 0)
  assert.deepEqual([idle.load, idle.sessionsLeft], [0, null])
})

test('outputs beyond maxLoad are counted, and opened by default', async () => {
  const before = SpeakerSession.capacity()
  SpeakerSession.configure({ maxLoad: 0 })
  const session = new SpeakerSession(realtime)
  await session.connect()
  const { exceeded, refused, maxLoad } = SpeakerSession.capacity()
  assert.deepEqual({ exceeded: exceeded - before.exceeded, refused: refused - before.refused, maxLoad }, { exceeded: 1, refused: 0, maxLoad: 0 })
  await session.close()
})

test('refuseOverload refuses new outputs and leaves open ones alone', async () => {
  const open = new SpeakerSession(realtime)
  await open.connect()
  const before = SpeakerSession.capacity()
  SpeakerSession.configure({ maxLoad: 0, refuseOverload: true })
  assert.equal((await open.playAudio({ audio: tone(440, 100) })).outcome, 'completed')

  const late = new SpeakerSession(realtime)
  const events = []
  for (const type of ['failed', 'error', 'connected', 'disconnected']) late.on(type, ({ code }) => events.push([type, code]))
  await assert.rejects(late.connect(), { code: 'ERR_OVERLOADED', message: /^Expected a load below 0 for one more output but received \d/ })
  await assert.rejects(late.playAudio({ audio: tone(440, 100) }), { code: 'ERR_OVERLOADED' })
  assert.equal(late.connection, 'disconnected')
  assert.deepEqual(events, [['failed', 'ERR_OVERLOADED']])
  assert.equal(SpeakerSession.capacity().refused - before.refused, 2)
  assert.equal(SpeakerSession.metrics().capacity.refused, SpeakerSession.capacity().refused)

  // The manual clock needs no media thread.
  const manual = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
  await manual.connect()

  // What was refused works once there is time for it.
  SpeakerSession.configure({ maxLoad: 1 })
  await late.connect()
  assert.equal((await late.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
  await Promise.all([open, late, manual].map((session) => session.close()))
})

test('closing while refused settles everything', async () => {
  SpeakerSession.configure({ maxLoad: 0, refuseOverload: true })
  const session = new SpeakerSession(realtime)
  const all = [session.connect(), session.playAudio({ audio: tone(440, 100) }), session.connect(), session.close(), session.playAudio({ audio: tone(440, 100) })]
  const settled = await Promise.allSettled(all)
  const codes = settled.map(({ status, value, reason }) => reason?.code ?? value?.outcome ?? status)
  for (const code of codes) assert.ok(['ERR_OVERLOADED', 'ERR_CLOSED', 'stopped', 'fulfilled'].includes(code), codes.join())
  assert.equal(codes.at(-1), 'ERR_CLOSED')
})

test('maxLoad is a share, and refuseOverload a boolean', () => {
  for (const maxLoad of [-0.1, 1.1, Number.NaN, '0.5', null]) assert.throws(() => SpeakerSession.configure({ maxLoad }), { code: 'ERR_INVALID_ARGUMENT' })
  for (const refuseOverload of [0, 'true', null]) assert.throws(() => SpeakerSession.configure({ refuseOverload }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(SpeakerSession.capacity().maxLoad, 0.5)
})
