'use strict'

// Playbacks in a room of a real LiveKit server are heard by a listener that shares no code with the speaker.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { openRoom, publish, publishings, speak, types } = require('../support/room')
const { loudest, tone, windows } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

test('a tone is heard whole, also after silence', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  await publish(session, room)
  for (let n = 0; n < 2; n++) {
    assert.equal((await session.playAudio({ audio: tone(440, 1000) })).durationMs, 1000)
    await sleep(400)
  }
  const samples = room.ear.heard.get('speaker')
  assert.equal(publishings(room.ear, 'speaker'), 1, 'the track was published once')
  assert.ok(Math.abs(loudest(samples, 440) - 0.3) < 0.02, `a level of ${loudest(samples, 440)}`)
  const heard = windows(samples, 440).length
  assert.ok(heard >= 16 && heard <= 21, `${heard} windows of 100 ms`)
  assert.deepEqual(types(told), ['connected', ...Array(3).fill(['started', 'completed']).flat()])
})

test('overlap and stopOther on one track', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const first = [440, 880].map((hz) => session.playAudio({ audio: tone(hz, 5000), stopOther: false }))
  await once(session, 'started')
  await sleep(1000)
  await session.playAudio({ audio: tone(1320, 800) })
  for (const { outcome, reason } of await Promise.all(first)) assert.deepEqual([outcome, reason], ['stopped', 'replaced'])
  await sleep(400)
  const samples = room.ear.heard.get('speaker')
  const [low, middle, high] = [440, 880, 1320].map((hz) => windows(samples, hz))
  const both = low.filter((n) => middle.includes(n))
  assert.ok(both.length >= 7, `heard together for ${both.length} windows`)
  assert.ok(high.length >= 6, `the urgent one was heard for ${high.length} windows`)
  assert.ok(low.at(-1) <= high[0] + 1 && middle.at(-1) <= high[0] + 1, 'the interrupted went on')
})

test('three tracks are three publications', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room, { speaker: 0, app_audio: 1, track_7: 7 })
  const tones = { speaker: 440, app_audio: 880, track_7: 1320 }
  const playing = [0, 1, 7].map((trackId, index) =>
    session.playAudio({ audio: tone(Object.values(tones)[index], 1200), trackId, stopOther: false })
  )
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
  await sleep(400)
  for (const [name, hz] of Object.entries(tones)) {
    const samples = room.ear.heard.get(name)
    for (const other of Object.values(tones)) {
      const count = windows(samples, other).length
      assert.ok(other === hz ? count >= 8 : count === 0, `${other} Hz on ${name} for ${count} windows`)
    }
  }
})

test('stop and play again, five times', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const positions = []
  for (let n = 0; n < 5; n++) {
    const playing = session.playAudio({ audio: tone(400 + 200 * n, 5000) })
    await once(session, 'started')
    await sleep(500)
    await session.stopAudio()
    positions.push((await playing).positionMs)
    await sleep(150)
  }
  await sleep(300)
  const samples = room.ear.heard.get('speaker')
  const heard = [0, 1, 2, 3, 4].map((n) => windows(samples, 400 + 200 * n))
  for (const [n, each] of heard.entries()) {
    const told = positions[n] / 100
    assert.ok(each.length >= told - 3 && each.length <= told + 2, `tone ${n} for ${each.length} windows of ${told}`)
    if (n > 0) assert.ok(each[0] > heard[n - 1].at(-1), `tone ${n} came before the one before it had ended`)
  }
})

test('a real MP3 is heard', async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  await session.playAudio({ audioUrl: path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3') })
  await sleep(400)
  const heard = windows(room.ear.heard.get('speaker'), 1000).length
  assert.ok(heard >= 8 && heard <= 11, `${heard} windows`)
})
