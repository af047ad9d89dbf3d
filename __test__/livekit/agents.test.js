'use strict'

// An `AgentSession` of `@livekit/agents` speaks through a session, and LiveKit's own client hears it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { voice } = require('@livekit/agents')
const { AudioSource, LocalAudioTrack, TrackPublishOptions, TrackSource, dispose } = require('@livekit/rtc-node')

const { BackgroundAudio, SpeakerAudioOutput } = require('speaker-session/livekit-agents')
const { chirpSamples, missing } = require('../../bench/chirp')
const { openAgent, setEnvironment } = require('../support/agent-session')
const { framesOf, hum, listen } = require('../support/agents')
const { fromNow, isBack, moderator, openRoom, present, publish, speak, until } = require('../support/room')
const { level } = require('../support/wav')

after(dispose) // otherwise the clients keep the process alive

const LIMIT = { timeout: 90_000 }
const MS = 48
const WORD_MS = 1500
/** The accuracy of a position in a word by its pitch, at either end. */
const EXACT_MS = 20
/** Less than a word: gaps and concealment within it come from a busy machine, not from the output. */
const UNNOTICED_MS = 250
const SPOKEN = 'roomio_audio'

/** Opens a room with an ear, and an agent in it that answers everything with one word. */
async function openSpeaker(t, { sounds = () => chirpSamples(WORD_MS), output, ...options } = {}) {
  const behind = []
  const room = await openRoom({ after: (close) => behind.push(close) })
  setEnvironment(t, room.server)
  const agent = await openAgent(room, {
    answers: { hello: 'Hello.' },
    sounds,
    output: output ?? ((agentRoom) => new SpeakerAudioOutput({ room: agentRoom })),
    ...options
  })
  // The agent leaves before its room is closed, or it would wait for that.
  t.after(async () => {
    for (const close of [agent.close, ...behind]) await close()
  })
  return { ...agent, room, agentRoom: agent.room, told: listen(agent.audio) }
}

/** Waits for sound, and then for 300 ms of silence. */
async function untilSilent(heard) {
  const isSilent = (from, to) => {
    for (let n = from; n < to; n++) if (Math.abs(heard()[n]) > 0.01) return false
    return true
  }
  await until(() => heard().some((sample) => Math.abs(sample) > 0.1), 'something is heard')
  await until(() => isSilent(heard().length - 300 * MS, heard().length), 'it is silent again', 20_000)
}

test('an answer is heard whole, and each segment finishes once', LIMIT, async (t) => {
  const { session, room, told } = await openSpeaker(t)
  await session.generateReply({ userInput: 'hello' }).waitForPlayout()
  await untilSilent(() => room.ear.heard.get(SPOKEN))
  const first = fromNow(room.ear, SPOKEN)
  await session.say('One more.').waitForPlayout()
  assert.deepEqual(told, ['started', `finished ${WORD_MS}`, 'started', `finished ${WORD_MS}`])
  await untilSilent(first)
  const lost = missing(first(), WORD_MS)
  assert.ok(lost.start < EXACT_MS && lost.end < EXACT_MS && lost.within < UNNOTICED_MS, JSON.stringify(lost))
  const answers = session.history.items.filter(({ role }) => role === 'assistant')
  assert.deepEqual(answers.map(({ textContent }) => textContent), ['Hello.', 'One more.'])
})

test('the voice joins on behalf of the agent', LIMIT, async (t) => {
  const { session, audio, room } = await openSpeaker(t)
  await session.say('Hello.').waitForPlayout()
  const joined = (await present(room.server)).find(({ identity }) => identity === 'agent-voice')
  assert.deepEqual(joined.attributes, { 'lk.publish_on_behalf': 'agent' })
  assert.equal(joined.permission.canSubscribe, false)
  assert.deepEqual(joined.tracks.map(({ name, source }) => [name, source]), [[SPOKEN, TrackSource.SOURCE_MICROPHONE]])
  assert.equal(session._roomIO.linkedParticipant?.identity, room.ear.identity)
  assert.equal(audio.session.localParticipant.kind, 'agent')
  await audio.close()
  await until(async () => (await present(room.server)).every(({ identity }) => identity !== 'agent-voice'), 'it has left')
})

test('identity and attributes can be chosen', LIMIT, async (t) => {
  const output = (room) => new SpeakerAudioOutput({ room, identity: 'bob', attributes: { 'lk.publish_on_behalf': 'other', mood: 'fine' } })
  const { session, room } = await openSpeaker(t, { output })
  await session.say('Hello.').waitForPlayout()
  const { attributes } = (await present(room.server)).find(({ identity }) => identity === 'bob')
  assert.deepEqual(attributes, { 'lk.publish_on_behalf': 'other', mood: 'fine' })
})

test('an interruption reports what was heard to 20 ms', LIMIT, async (t) => {
  const { session, audio, room, told } = await openSpeaker(t)
  await session.say('Hello.').waitForPlayout()
  await untilSilent(() => room.ear.heard.get(SPOKEN))
  for (const afterMs of [200, 400, 600]) {
    const heard = fromNow(room.ear, SPOKEN)
    const finished = once(audio, 'playbackFinished')
    const handle = session.say('Hello.')
    await once(audio, 'playbackStarted')
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    handle.interrupt()
    await handle.waitForPlayout()
    const [{ playbackPosition, interrupted }] = await finished
    assert.equal(interrupted, true)
    await untilSilent(heard)
    const heardMs = WORD_MS - missing(heard(), WORD_MS).end
    assert.ok(Math.abs(heardMs - playbackPosition * 1000) <= EXACT_MS, `${heardMs} ms were heard, ${playbackPosition} s told`)
    assert.ok(playbackPosition < WORD_MS / 1000 - 0.05, `it was interrupted: ${playbackPosition}`)
  }
  const heard = fromNow(room.ear, SPOKEN)
  await session.say('Hello.').waitForPlayout()
  await untilSilent(heard)
  assert.ok(missing(heard(), WORD_MS).start < EXACT_MS && missing(heard(), WORD_MS).end < EXACT_MS)
  assert.equal(told.length, 10, told.join(', '))
})

test('a false interruption loses no word (agents-js 1884)', LIMIT, async (t) => {
  const { session, user, audio, room, told } = await openSpeaker(t)
  await session.say('Hello.').waitForPlayout()
  await untilSilent(() => room.ear.heard.get(SPOKEN))
  const heard = fromNow(room.ear, SPOKEN)
  const states = []
  audio.session.on('event', ({ type }) => ['paused', 'resumed'].includes(type) && states.push(type))
  const falseAlarm = once(session, voice.AgentSessionEventTypes.AgentFalseInterruption)
  const handle = session.say('Hello.')
  await once(audio, 'playbackStarted')
  await new Promise((resolve) => setTimeout(resolve, 300))
  user.makesNoise()
  await once(audio.session, 'paused')
  await new Promise((resolve) => setTimeout(resolve, 500))
  user.isSilent()
  const [{ resumed }] = await falseAlarm
  assert.equal(resumed, true)
  await handle.waitForPlayout()
  assert.deepEqual(states, ['paused', 'resumed'])
  assert.deepEqual(told.slice(2), ['started', `finished ${WORD_MS}`])
  await untilSilent(heard)
  const lost = missing(heard(), WORD_MS)
  assert.ok(lost.start < EXACT_MS && lost.end < EXACT_MS && lost.within < UNNOTICED_MS, JSON.stringify(lost))
})

test('a TTS may change its rate (agents-js 1984)', LIMIT, async (t) => {
  const sounds = () => [...framesOf(hum(440, 500, 24000), { rate: 24000 }), ...framesOf(hum(880, 500))]
  const { session, room, told } = await openSpeaker(t, { sounds })
  for (let n = 0; n < 2; n++) await session.say('Hello.').waitForPlayout()
  assert.deepEqual(told, ['started', 'finished 1000', 'started', 'finished 1000'])
  const samples = room.ear.heard.get(SPOKEN)
  const hears = (hz) => samples.some((_, n) => n % 2400 === 0 && level(samples, n, n + 2400, hz) > 0.2)
  await until(() => hears(440) && hears(880), 'both are heard')
})

test('a lost room ends the segment, and the next one is heard (agents-js 2065)', LIMIT, async (t) => {
  const { session, audio, room, told } = await openSpeaker(t)
  await session.say('Hello.').waitForPlayout()
  const handle = session.say('Hello.')
  await once(audio, 'playbackStarted')
  await moderator(room.server).removeParticipant(room.name, 'agent-voice')
  await handle.waitForPlayout()
  assert.equal(told.length, 4)
  assert.match(told[3], /^finished \d+(\.\d+)? interrupted$/)
  const heard = fromNow(room.ear, SPOKEN)
  await session.say('Hello.').waitForPlayout()
  assert.deepEqual(told.slice(4), ['started', `finished ${WORD_MS}`])
  await untilSilent(heard)
  assert.ok(missing(heard(), WORD_MS).end < EXACT_MS)
})

test('an output that replaces another is heard (agents-js 2040)', LIMIT, async (t) => {
  const { session, audio, agentRoom, room, told } = await openSpeaker(t)
  await session.say('Hello.').waitForPlayout()
  const other = new SpeakerAudioOutput({ room: agentRoom, identity: 'other', output: { trackNames: { 0: 'other' } } })
  t.after(() => other.close())
  const toldByOther = listen(other)
  session.output.audio = other
  await session.say('Hello.').waitForPlayout()
  assert.deepEqual([told.length, toldByOther], [2, ['started', `finished ${WORD_MS}`]])
  const heard = () => room.ear.heard.get('other') ?? []
  await untilSilent(heard)
  assert.ok(missing(heard(), WORD_MS).end < EXACT_MS)
  session.output.audio = audio
  await session.say('Hello.').waitForPlayout()
  assert.equal(told.length, 4)
})

test('in front of an AudioSource it speaks as the agent itself', LIMIT, async (t) => {
  const source = new AudioSource(48000, 1)
  const { session, agentRoom, room, told } = await openSpeaker(t, { output: () => new SpeakerAudioOutput({ source }) })
  const track = LocalAudioTrack.createAudioTrack('mine', source)
  const publication = await agentRoom.localParticipant.publishTrack(track, new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }))
  await publication.waitForSubscription()
  const heard = fromNow(room.ear, 'mine')
  await session.say('Hello.').waitForPlayout()
  assert.deepEqual(told, ['started', `finished ${WORD_MS}`])
  await untilSilent(heard)
  const lost = missing(heard(), WORD_MS)
  assert.ok(lost.start < EXACT_MS && lost.end < EXACT_MS, JSON.stringify(lost))
  await source.close()
  await session.say('Hello.').waitForPlayout()
  assert.equal(told.length, 4, 'it settles though nobody takes the frames')
})

test('a background is ducked under the voice, and returns after a reconnect', LIMIT, async (t) => {
  const { session, audio, room } = await openSpeaker(t, { sounds: () => hum(440, 2000) })
  async function* steady() {
    for (;;) yield* framesOf(hum(880, 1000))
  }
  const background = new BackgroundAudio({ session: audio.session, ambientSound: voice.BuiltinAudioClip.HOLD_MUSIC })
  t.after(() => background.close())
  await background.start({ room: undefined, agentSession: session })
  const sounding = background.play(steady())
  const loudness = () => {
    const heard = room.ear.heard.get('background_audio') ?? []
    return level(heard, heard.length - 100 * MS, heard.length, 880)
  }
  await until(() => loudness() > 0.25, 'it is heard')
  const handle = session.say('Hello.')
  await until(() => loudness() > 0.03 && loudness() < 0.12, 'it is lower while the agent speaks')
  await handle.waitForPlayout()
  await until(() => loudness() > 0.25, 'it is back')
  const joined = (await present(room.server)).find(({ identity }) => identity === 'agent-voice')
  assert.deepEqual(joined.tracks.map(({ name }) => name).sort(), ['background_audio', SPOKEN])
  await moderator(room.server).removeParticipant(room.name, 'agent-voice')
  await sounding.waitForPlayout()
  assert.equal(sounding.done(), true, 'frames that were read can not be played again')
  await session.say('Hello.').waitForPlayout() // joins again
  const again = fromNow(room.ear, 'background_audio')
  await until(() => again().some((sample) => Math.abs(sample) > 0.01), 'the ambient sound is heard again')
})

test('a dropped loop continues after a reconnect unless it was stopped', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room, { onReconnect: 'drop' })
  await publish(session, room)
  const background = new BackgroundAudio({ session })
  t.after(() => background.close())
  const [kept, stopped] = [1, 2].map(() => background.play(voice.BuiltinAudioClip.HOLD_MUSIC, true))
  await until(() => session.playbacks().every(({ state }) => state === 'playing'), 'both play')
  await room.server.stop()
  await until(() => told.filter(({ code }) => code === 'ERR_DISCONNECTED').length === 2, 'both are dropped')
  stopped.stop()
  await room.server.restart()
  await until(() => isBack(told), 'the room is back', 40_000)
  await until(() => session.playbacks().length === 1, 'one plays again')
  assert.deepEqual([kept.done(), stopped.done()], [false, true])
})
