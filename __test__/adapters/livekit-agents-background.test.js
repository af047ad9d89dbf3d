'use strict'

// Sounds behind the agent's voice, with the API of `BackgroundAudioPlayer` in `@livekit/agents`.

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { voice } = require('@livekit/agents')

const { BackgroundAudio } = require('speaker-session/livekit-agents')
const { capture, framesOf, hum, openOutput, turn } = require('../support/agents')
const { MS } = require('../support/tones')
const { level, tone } = require('../support/wav')

/** Writes files of tones, by pitch. */
function files(t, ms, ...pitches) {
  const folder = mkdtempSync(path.join(tmpdir(), 'background-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return pitches.map((hz) => {
    const file = path.join(folder, `${hz}.wav`)
    writeFileSync(file, tone(hz, ms))
    return file
  })
}

/** Opens a background in a session that also has an output for the voice. */
function openBackground(t, { duck, ...options }) {
  const opened = openOutput(t, { duck })
  const background = new BackgroundAudio({ session: opened.session, ...options })
  t.after(() => background.close())
  const amplitude = (hz, fromMs, toMs) => Math.round(level(opened.heard(), fromMs * MS, toMs * MS, hz) * 1000) / 1000
  return { ...opened, background, amplitude }
}

/** The part of an AgentSession that a background listens to. */
class States extends EventEmitter {
  agentState = 'listening'
  become(newState) {
    const oldState = this.agentState
    this.agentState = newState
    this.emit(voice.AgentSessionEventTypes.AgentStateChanged, { type: 'agent_state_changed', oldState, newState })
  }
}

/** An AsyncIterable of frames that counts how often it was closed. */
function source(frames, { first = Promise.resolve() } = {}) {
  const told = { closed: 0, read: 0 }
  const left = frames[Symbol.iterator]()
  const iterator = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      await first
      told.read++
      return left.next()
    },
    async return() {
      told.closed++
      return { done: true }
    }
  }
  return { iterator, told }
}

test('ambient sound loops and ducks under the agent', async (t) => {
  const [ambient] = files(t, 500, 880)
  const ambientSound = { source: ambient, volume: 0.5 }
  const { background, output, advance, amplitude } = openBackground(t, { duck: { db: -20 }, ambientSound })
  await background.start({ room: undefined })
  await background.start()
  await advance(1200)
  await capture(output, framesOf(hum(440, 500)))
  output.flush()
  await advance(1000)
  assert.equal(amplitude(880, 100, 400), 0.15)
  assert.equal(amplitude(880, 600, 1200), 0.15, 'the second pass')
  assert.equal(amplitude(880, 1300, 1700), 0.015)
  assert.equal(amplitude(440, 1300, 1700), 0.3)
  assert.equal(amplitude(880, 2050, 2200), 0.15)
  await background.close()
  await advance(200)
  assert.ok(amplitude(880, 2210, 2400) < 0.001)
  await assert.rejects(background.start(), { code: 'ERR_CLOSED' })
})

test('done() and waitForPlayout() report the end of a sound', async (t) => {
  const [file] = files(t, 500, 880)
  const { background, advance, amplitude } = openBackground(t, {})
  const once = background.play(file)
  assert.ok(once instanceof voice.PlayHandle)
  const looped = background.play({ source: file, volume: 2 }, true)
  await advance(400)
  assert.equal(amplitude(880, 100, 400), 0.9, 'one of 0.3 and one twice as loud')
  assert.deepEqual([once.done(), looped.done()], [false, false])
  await advance(400)
  assert.deepEqual([once.done(), looped.done()], [true, false])
  await once.waitForPlayout()
  looped.stop()
  looped.stop()
  assert.equal(looped.done(), true)
  await looped.waitForPlayout()
  await advance(200)
  assert.ok(amplitude(880, 810, 1000) < 0.001)
  await background.close()
  assert.throws(() => background.play(file), { code: 'ERR_CLOSED' })
})

test('has the built-in clips of @livekit/agents', async (t) => {
  for (const clip of Object.values(voice.BuiltinAudioClip)) {
    const { background, advance, heard } = openBackground(t, {})
    background.play(clip)
    await advance(3000)
    assert.ok(heard().some((sample) => Math.abs(sample) > 0.001), `${clip} is heard`)
  }
})

test('plays frames as they come and closes their iterator', async (t) => {
  const { background, advance, amplitude } = openBackground(t, {})
  const all = source(framesOf(hum(440, 500, 24000), { rate: 24000 }))
  const handle = background.play({ source: all.iterator, volume: 0.5 })
  for (let n = 0; n < 50; n++) await turn()
  await advance(600)
  assert.deepEqual([handle.done(), all.told.closed], [true, 0])
  assert.equal(amplitude(440, 0, 500), 0.15)
  const endless = source(framesOf(hum(440, 20_000)))
  const stopped = background.play(endless.iterator)
  for (let n = 0; n < 50; n++) await turn()
  await advance(200)
  stopped.stop()
  await advance(100)
  assert.deepEqual([stopped.done(), endless.told.closed], [true, 1])
  assert.ok(amplitude(440, 810, 900) < 0.001)
})

test('a sound stopped before its first frame never starts', async (t) => {
  const { background, session } = openBackground(t, {})
  let come
  const late = source(framesOf(hum(440, 500)), { first: new Promise((resolve) => (come = resolve)) })
  const handle = background.play(late.iterator)
  handle.stop()
  come()
  for (let n = 0; n < 20; n++) await turn()
  assert.deepEqual([handle.done(), late.told.closed, session.playbacks()], [true, 1, []])
})

test('an empty or unreadable sound is done', async (t) => {
  const { background, advance } = openBackground(t, {})
  const nothing = background.play(source([]).iterator)
  await nothing.waitForPlayout()
  const failing = { async *[Symbol.asyncIterator]() { throw new Error('no network') } }
  await background.play(failing).waitForPlayout()
  const missing = background.play('/nowhere/at.ogg', true)
  await advance(100)
  await missing.waitForPlayout()
  const [one, other] = [framesOf(hum(440, 20))[0], framesOf(hum(440, 20, 24000), { rate: 24000 })[0]]
  const mixed = background.play(source([one, one, one, other, one]).iterator)
  for (let n = 0; n < 50; n++) await turn()
  await advance(200)
  await mixed.waitForPlayout()
})

test('picks from a list by probability', async (t) => {
  const [a, b] = files(t, 100, 440, 880)
  const { background, session } = openBackground(t, {})
  const played = []
  const chosen = async (list) => {
    const handle = background.play(list)
    const name = handle.done() ? 'nothing' : session.playbacks()[0].requestId
    handle.stop()
    return name
  }
  assert.equal(await chosen([]), 'nothing')
  assert.equal(await chosen([{ source: a, probability: 0 }, { source: b, probability: -1 }]), 'nothing')
  // Which of them plays is random; that some play, and none once nothing is left, is not.
  for (let n = 0; n < 300; n++) played.push(await chosen([{ source: a, probability: 0.5 }]))
  const silent = played.filter((name) => name === 'nothing').length
  assert.ok(silent > 75 && silent < 225, `${silent} of 300 were silent`)
  for (let n = 0; n < 50; n++) assert.notEqual(await chosen([{ source: a }, { source: b, probability: 3 }]), 'nothing')
})

test('each sound is picked as often as its probability', async (t) => {
  const { background } = openBackground(t, {})
  const read = { a: 0, b: 0 }
  const sound = (name) => ({
    [Symbol.asyncIterator]() {
      read[name]++
      return { next: async () => ({ done: true }) }
    }
  })
  for (let n = 0; n < 2000; n++) {
    background.play([{ source: sound('a'), probability: 3 }, { source: sound('b') }, { source: sound('never'), probability: 0 }])
  }
  assert.equal(read.a + read.b, 2000)
  // Five standard deviations of a binomial with n = 2000 and p = ¾ are 97.
  assert.ok(Math.abs(read.a - 1500) < 97, `${read.a} of 2000`)
})

test('thinking sounds follow the agent and continue (agents 2261)', async (t) => {
  const [file] = files(t, 400, 880)
  const { background, advance, amplitude, session } = openBackground(t, { thinkingSound: file })
  const agent = new States()
  await background.start({ agentSession: agent })
  await advance(100)
  agent.become('thinking')
  await advance(300)
  agent.become('listening')
  await advance(200)
  agent.become('thinking')
  await advance(300)
  assert.ok(amplitude(880, 10, 90) < 0.001)
  assert.equal(amplitude(880, 150, 400), 0.3)
  assert.ok(amplitude(880, 410, 590) < 0.001)
  assert.equal(amplitude(880, 650, 900), 0.3)
  assert.equal(session.playbacks()[0].positionMs, 205, 'of the second pass: not from its start')
  agent.become('thinking')
  assert.equal(session.playbacks().length, 1)
  await session.interrupt()
  agent.become('speaking')
  await advance(20)
  agent.become('thinking')
  await advance(100)
  assert.equal(session.playbacks().length, 1, 'one that was stopped begins anew')
  await background.close()
  agent.become('thinking')
  await advance(100)
  assert.deepEqual([session.playbacks(), agent.listenerCount('agent_state_changed')], [[], 0])
})

test('an agent that is already thinking is heard', async (t) => {
  const [file] = files(t, 400, 880)
  const { background, session } = openBackground(t, { thinkingSound: [{ source: file, probability: 1 }] })
  const agent = new States()
  agent.agentState = 'thinking'
  await background.start({ agentSession: agent })
  assert.equal(session.playbacks().length, 1)
})

test('a loop may exceed maxDurationMs', async (t) => {
  const [file] = files(t, 300, 880)
  const { session, advance, heard } = openOutput(t, { maxDurationMs: 1000 })
  const background = new BackgroundAudio({ session, ambientSound: file })
  await background.start()
  await advance(1100)
  await advance(1400)
  assert.ok(Math.abs(level(heard(), 1200 * MS, 1900 * MS, 880) - 0.3) < 0.01)
  await background.close()
})

test('refuses invalid sounds before anything plays', (t) => {
  const { session } = openOutput(t)
  for (const sound of [1, null, {}, { source: 1 }, [1], '', { source: [] }]) {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: /^Expected a path, a builtin clip/ }
    assert.throws(() => new BackgroundAudio({ session, ambientSound: sound }), refused)
    assert.throws(() => new BackgroundAudio({ session, thinkingSound: sound }), refused)
    assert.throws(() => new BackgroundAudio({ session }).play(sound), refused)
  }
  for (const options of [{ fadeOutMs: '1' }, { trackId: -1 }, { streamTimeoutMs: 1 }]) {
    assert.throws(() => new BackgroundAudio({ session, ...options }), { code: 'ERR_INVALID_ARGUMENT' })
  }
  assert.throws(() => new BackgroundAudio(), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => new BackgroundAudio({ session }).play(), { code: 'ERR_INVALID_ARGUMENT' })
})
