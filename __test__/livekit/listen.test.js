'use strict'

// Voices of others that a session hears and plays. They speak with LiveKit's own client.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { TrackSource, dispose } = require('@livekit/rtc-node')

const { fromNow, openEmptyRoom, openRoom, publish, roomOn, speak, until } = require('../support/room')
const { open } = require('../support/session')
const { Talker, hum, listenTo, soundingMs } = require('../support/talker')
const { tone } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the clients keep the process alive

const LIMIT = { timeout: 90_000 }
const VOICE = { identity: 'talker', format: 'f32' }

/** Waits until a voice was heard for so long at this frequency. */
function hears(heard, hz, ms = 300, fromFrame = 0) {
  return until(() => soundingMs(heard.samples(fromFrame), hz) >= ms, `${hz} Hz is heard for ${ms} ms`)
}

/** Repeats a tone until it is heard, because subscribing takes a while. */
async function saysUntilHeard(talker, heard, hz) {
  const from = heard.frames.length
  for (let n = 0; n < 40 && soundingMs(heard.samples(from), hz) < 200; n++) await talker.say(hum(hz, 300))
  assert.ok(soundingMs(heard.samples(from), hz) >= 200, `${hz} Hz is heard`)
}

test('a voice is heard whole, with its times', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const talker = await Talker.join(t, room)
  const { session } = speak(t, room)
  const voice = session.listen(VOICE)
  const heard = listenTo(voice)
  await session.connect()
  await saysUntilHeard(talker, heard, 440)
  await talker.say(hum(440, 500)) // until the delay has adapted
  const from = heard.frames.length
  await talker.say(hum(880, 2000))
  await talker.say(hum(1320, 300))
  await hears(heard, 1320, 200, from)
  const samples = heard.samples(from)
  const length = soundingMs(samples, 880)
  assert.ok(Math.abs(length - 2000) <= 100, `2 s are heard as ${length} ms`)
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
  assert.ok(peak > 0.4 && peak < 0.65, `an amplitude of a half is heard as ${peak}`)
  const times = heard.frames.map(({ atMs }) => atMs)
  assert.ok(times.every((atMs, n) => n === 0 || atMs - times[n - 1] > 19.99), 'times go on')
  const { receivedPackets, lostPackets, delayMs } = voice.stats()
  assert.ok(receivedPackets >= 100 && lostPackets === 0 && delayMs > 0, JSON.stringify(voice.stats()))
})

test('frames have the requested format', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const talker = await Talker.join(t, room)
  const { session } = speak(t, room)
  const reference = listenTo(session.listen(VOICE))
  const voice = session.listen({ identity: 'talker', sampleRate: 16000, frameMs: 10, channels: 2 })
  const frames = []
  voice.on('data', (frame) => frames.push(frame))
  await session.connect()
  await saysUntilHeard(talker, reference, 440)
  await until(() => frames.length > 20, 'frames come')
  assert.ok(frames.every(({ frame }) => frame.length === 160 * 2 * 2))
  const last = frames.find(({ frame }) => Math.abs(frame.readInt16LE(0)) > 3000).frame
  for (let at = 0; at < last.length; at += 4) assert.equal(last.readInt16LE(at), last.readInt16LE(at + 2), 'a mono voice is on both sides')
})

test('a speaker may leave and return', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room)
  await session.connect()
  const heard = listenTo(session.listen(VOICE))
  const first = await Talker.join(t, room)
  await saysUntilHeard(first, heard, 440)
  await first.leave()
  const second = await Talker.join(t, room)
  await saysUntilHeard(second, heard, 880)
  await second.unpublish()
  await second.publish({ name: 'again' })
  await saysUntilHeard(second, heard, 1320)
  assert.deepEqual(heard.errors, [])
})

test('selects a track by name, or the microphone', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const shared = await Talker.join(t, room, { identity: 'two', name: 'a', source: TrackSource.SOURCE_SCREENSHARE_AUDIO })
  const { session } = speak(t, room)
  await session.connect()
  const any = listenTo(session.listen({ ...VOICE, identity: 'two' }))
  const named = listenTo(session.listen({ ...VOICE, identity: 'two', trackName: 'music' }))
  await saysUntilHeard(shared, any, 440)
  assert.equal(named.frames.length, 0)
  await shared.publish({ name: 'z' })
  await saysUntilHeard(shared, any, 880)
  await shared.publish({ name: 'music', source: TrackSource.SOURCE_SCREENSHARE_AUDIO })
  await saysUntilHeard(shared, named, 1320)
  assert.equal(soundingMs(any.samples(), 1320), 0)
})

test('subscribes only to what is listened to', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const talker = await Talker.join(t, room)
  const { session } = speak(t, room, { url: wire.url })
  await session.connect()
  const subscriptions = []
  wire.onMessage = (text, direction) => direction === 'up' && text.includes('TR_') && !text.includes('v=0') && subscriptions.push(text)
  await talker.say(hum(440, 300))
  assert.deepEqual([talker.subscribed, subscriptions.length], [0, 0])
  const [one, other] = [session.listen(VOICE), session.listen(VOICE)]
  const heard = listenTo(other)
  await saysUntilHeard(talker, heard, 440)
  assert.equal(talker.subscribed, 1)
  one.destroy()
  await saysUntilHeard(talker, heard, 880)
  assert.equal(subscriptions.length, 1, 'somebody still listens')
  other.destroy()
  await until(() => subscriptions.length === 2, 'the room is told that nobody listens any more')
  const again = listenTo(session.listen(VOICE))
  await saysUntilHeard(talker, again, 440)
})

test('listens to many while speaking', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session } = speak(t, room)
  await publish(session, room)
  const hz = [400, 700, 1000, 1300]
  const talkers = await Promise.all(hz.map((_, n) => Talker.join(t, room, { identity: `talker-${n}`, name: `mic-${n}` })))
  const heard = hz.map((_, n) => listenTo(session.listen({ ...VOICE, identity: `talker-${n}` })))
  const said = fromNow(room.ear, 'speaker')
  const playing = session.playAudio({ audio: tone(500, 4000), stopOther: false })
  await Promise.all(hz.map((hz, n) => saysUntilHeard(talkers[n], heard[n], hz)))
  hz.forEach((_, n) => hz.forEach((other, m) => m !== n && assert.equal(soundingMs(heard[n].samples(), other), 0, `${n} hears ${m}`)))
  await playing
  await until(() => soundingMs(said(), 500) >= 3800, 'what it says meanwhile is heard')
})

test('without the grant listening fails alone', LIMIT, async (t) => {
  const room = await openRoom(t)
  const talker = await Talker.join(t, room)
  const { session } = speak(t, room, { token: () => room.token('speaker', { canSubscribe: false }) })
  const early = listenTo(session.listen(VOICE))
  await session.connect()
  await until(() => early.errors.length > 0, 'it is told')
  const late = session.listen(VOICE)
  const [error] = await once(late, 'error')
  for (const { code, message } of [early.errors[0], error]) {
    assert.deepEqual([code, message], ['ERR_REFUSED', 'Expected the grant canSubscribe for the LiveKit room but received none'])
  }
  await talker.say(hum(440, 100))
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
})

test('closing ends all voices, destroying only one', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room)
  const [one, other] = [session.listen(VOICE), session.listen(VOICE)]
  const heard = listenTo(one)
  await session.connect()
  other.destroy()
  await once(other, 'close')
  assert.ok(!heard.hasEnded)
  await session.close()
  await until(() => heard.hasEnded, 'the other one has ended')
  assert.throws(() => session.listen(VOICE), { code: 'ERR_CLOSED' })
})

test('invalid arguments are refused', LIMIT, async (t) => {
  const memory = open(t).session
  assert.throws(() => memory.listen(VOICE), { code: 'ERR_UNSUPPORTED_OPERATION' })
  const { session } = speak(t, await openEmptyRoom(t))
  for (const options of [undefined, {}, { identity: '' }, { identity: 7 }, { ...VOICE, channels: 3 }, { ...VOICE, trackName: '' }, { ...VOICE, what: 1 }]) {
    assert.throws(() => session.listen(options), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
  const audio = session.listen(VOICE)
  for (const beside of [{ loop: true }, { startMs: 10 }, { format: 'f32' }, { contentType: 'audio/wav' }]) {
    await assert.rejects(session.playAudio({ audio, ...beside }), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(beside))
  }
})

test('listening continues after a reconnect', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const talker = await Talker.join(t, room)
  const { session, told } = speak(t, room, { url: wire.url })
  await session.connect()
  const heard = listenTo(session.listen(VOICE))
  await saysUntilHeard(talker, heard, 440)
  const reconnected = () => told.filter(({ type }) => type === 'reconnected').length
  wire.reset()
  await until(() => reconnected() === 1, 'the signalling is resumed', 30_000)
  await saysUntilHeard(talker, heard, 880)
  wire.media.cut()
  wire.cut()
  await until(() => told.some(({ type }) => type === 'reconnecting'), 'it is cut', 30_000)
  wire.media.mend()
  wire.mend()
  await until(() => reconnected() === 2, 'it is back', 30_000)
  await saysUntilHeard(talker, heard, 1320)
  // Its speaker leaves, and it listens to another one while the room is lost.
  wire.cut()
  const other = await Talker.join(t, room, { identity: 'other', name: 'other' })
  const another = listenTo(session.listen({ ...VOICE, identity: 'other' }))
  wire.mend()
  await saysUntilHeard(other, another, 660)
})

test('copies repair loss, and latency only delays', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const wire = await Wire.open(room.server.url, t)
  const talker = await Talker.join(t, room)
  const { session } = speak(t, room, { url: wire.url })
  await session.connect()
  const voice = session.listen(VOICE)
  const heard = listenTo(voice)
  await saysUntilHeard(talker, heard, 440)
  wire.media.loss = 0.1
  wire.media.delayMs = 100
  const from = heard.frames.length
  await talker.say(hum(880, 4000))
  wire.media.loss = 0
  for (let n = 0; n < 40 && soundingMs(heard.samples(from), 1320) < 200; n++) await talker.say(hum(1320, 300))
  const { lostPackets, recoveredPackets, concealedMs } = voice.stats()
  const length = soundingMs(heard.samples(from), 880)
  assert.ok(length >= 3500 && length <= 4200, `4 s are heard as ${length} ms`)
  assert.ok(lostPackets > 0 && recoveredPackets > lostPackets / 2, JSON.stringify(voice.stats()))
  assert.ok(concealedMs < 1000, `${concealedMs} ms are made up`)
})

test('plays a voice into another room', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const hall = await (async () => ({ ...roomOn(t, room.server) }))()
  const ear = await hall.join()
  const talker = await Talker.join(t, room)
  const { session: listener } = speak(t, room)
  const { session: speaker } = speak(t, hall)
  await listener.connect()
  await publish(speaker, { ...hall, ear })
  const voice = listener.listen(VOICE)
  const heard = fromNow(ear, 'speaker')
  const played = speaker.playAudio({ audio: voice, requestId: 'voice' })
  for (let n = 0; n < 40 && soundingMs(heard(), 440) < 400; n++) await talker.say(hum(440, 500))
  assert.ok(soundingMs(heard(), 440) >= 400, 'it is heard')
  assert.equal(speaker.playbacks()[0].state, 'playing')
  await speaker.setVolume({ requestId: 'voice', volume: 0 })
  const muted = fromNow(ear, 'speaker')
  await talker.say(hum(880, 1000))
  assert.equal(soundingMs(muted(), 880), 0)
  await speaker.setVolume({ requestId: 'voice', volume: 1 })
  const again = fromNow(ear, 'speaker')
  await talker.say(hum(1320, 1000))
  await until(() => soundingMs(again(), 1320) >= 800, 'it is heard again')
  voice.destroy()
  const { outcome } = await played
  assert.equal(outcome, 'completed')
  assert.equal(speaker.stats().underruns, 0)
  assert.equal((await speaker.playAudio({ audio: voice })).outcome, 'completed', 'one that has ended completes at once')
})
