'use strict'

// The two classes for the cloud in a real room: a phone that listens and whose microphone is passed on, and when they leave the room.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')
const { LiveKitGrpcClient, SpeakerManager } = require('speaker-session/mentra')

const { environment, userSession } = require('../support/cloud')
const { gc } = require('../support/gc')
const { fromNow, moderator, openEmptyRoom, openRoom, present, publishings, until } = require('../support/room')
const { serve } = require('../support/server')
const { tone, windows } = require('../support/wav')

after(dispose) // otherwise the phones keep the process alive

const LIMIT = { timeout: 90_000 }

/** Serves sounds of apps by pitch and length: `/440/3000.wav`. */
async function apps(t) {
  const url = await serve(t, (request, response) => {
    const [, hz, ms] = request.url.match(/^\/(\d+)\/(\d+)\.wav/) ?? []
    if (hz) response.end(tone(Number(hz), Number(ms)))
    else response.writeHead(404).end()
  })
  return { url, network: { allow: [new URL(url).host] } }
}

/** Returns the user's session of a room as the cloud has it, with its environment. */
function user(t, room) {
  const { url, key, secret } = room.server
  environment(t, { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })
  return userSession({ liveKitManager: { getUrl: () => url, getRoomName: () => room.name } })
}

/** Returns true if a pitch was heard for so long on a track. */
const hears = (ear, hz, ms, track = 'speaker') => windows(ear.heard.get(track) ?? [], hz).length * 100 >= ms

/** Returns the speakers in a room. */
async function speakers({ server }) {
  return (await present(server)).map(({ identity }) => identity).filter((identity) => !identity.startsWith('ear-'))
}

test('the manager joins once and mixes overlapping sounds', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { url, network } = await apps(t)
  const { session, relayed } = user(t, room)
  const speaker = new SpeakerManager(session, { network })
  t.after(() => speaker.dispose())
  speaker.start({ requestId: 'a', audioUrl: `${url}/440/6000.wav`, stopOtherAudio: false })
  speaker.start({ requestId: 'b', audioUrl: `${url}/880/6000.wav`, stopOtherAudio: false, trackId: 2 })
  assert.equal(await speaker.ensureReady(), true)
  assert.deepEqual(await speakers(room), ['speaker:user@example.com'])
  await until(() => relayed.length === 2, 'both are answered')
  assert.deepEqual(relayed.map(({ success, duration }) => [success, duration]), [[true, 6000], [true, 6000]])
  await until(() => hears(room.ear, 440, 1500) && hears(room.ear, 880, 1500, 'tts'), 'both are heard')
  speaker.start({ requestId: 'c', audioUrl: `${url}/1320/30000.wav` })
  await until(() => hears(room.ear, 1320, 500), 'the next one is heard')
  await speaker.stop({ trackId: 0 })
  await until(() => relayed.length === 3, 'the stop is answered')
  assert.equal(relayed[2].error, 'cancelled')
  assert.equal(publishings(room.ear, 'speaker'), 1)
})

test('leaves an idle room and joins again', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { url, network } = await apps(t)
  const { session, relayed } = user(t, room)
  const speaker = new SpeakerManager(session, { network, leaveAfterMs: 200 })
  t.after(() => speaker.dispose())
  speaker.start({ requestId: 'a', audioUrl: `${url}/440/500.wav` })
  await until(() => relayed.length === 1, 'it is played')
  await until(() => room.ear.events.includes('left speaker:user@example.com'), 'the room is left')
  speaker.start({ requestId: 'b', audioUrl: `${url}/880/6000.wav` })
  await until(() => hears(room.ear, 880, 200), 'the next one is heard')
})

test("joins with a command's token without keys", LIMIT, async (t) => {
  const room = await openRoom(t)
  const { url, network } = await apps(t)
  const { session } = user(t, room)
  environment(t, { LIVEKIT_API_KEY: undefined, LIVEKIT_API_SECRET: undefined })
  const speaker = new SpeakerManager(session, { network })
  t.after(() => speaker.dispose())
  const command = { action: 'play_url', requestId: 'a', url: `${url}/440/6000.wav`, roomName: room.name }
  assert.equal(speaker.handleMessage(command), false)
  assert.equal(speaker.handleMessage({ ...command, token: await room.token('given') }), true)
  await until(() => hears(room.ear, 440, 500), 'it is heard')
  assert.deepEqual(await speakers(room), ['given'])
})

const HOLDERS = {
  'a manager that plays': async (t, room, { url, network }) => {
    const { session } = user(t, room)
    session.speakerManager = new SpeakerManager(session, { network })
    session.speakerManager.start({ requestId: 'a', audioUrl: `${url}/440/60000.wav` })
    await until(() => hears(room.ear, 440, 300), 'it is heard')
    return session
  },
  'a manager that is silent': async (t, room, { network }) => {
    const { session } = user(t, room)
    session.speakerManager = new SpeakerManager(session, { network })
    assert.equal(await session.speakerManager.ensureReady(), true)
    return session
  },
  'a client that plays': async (t, room, { url, network }) => {
    const { session } = user(t, room)
    session.bridgeClient = new LiveKitGrpcClient(session, undefined, { network })
    await session.bridgeClient.connect({ url: room.server.url, roomName: room.name, token: await room.token('cloud-agent:user') })
    session.bridgeClient.playAudio({ requestId: 'a', url: `${url}/440/60000.wav` })
    await until(() => hears(room.ear, 440, 300), 'it is heard')
    return session
  }
}

/** Resolves when a session is in the room, and keeps no reference to it. */
async function held(t, room, make) {
  const session = await make(t, room, await apps(t))
  await until(async () => (await speakers(room)).length === 1, 'somebody is in the room')
  assert.equal(session.userId, 'user@example.com') // referenced until here
}

for (const [what, make] of Object.entries(HOLDERS)) {
  test(`a collected session leaves its room: ${what}`, LIMIT, async (t) => {
    const room = await openRoom(t)
    await held(t, room, make)
    await until(async () => {
      gc()
      return (await speakers(room)).length === 0
    }, 'the room is left')
  })
}

/** Connects a client to a room. */
async function client(t, room, options) {
  const { session, lines } = user(t, room)
  const [microphone, told] = [[], []]
  session.audioManager = { processAudioData: (pcm) => microphone.push(pcm) }
  const bridge = new LiveKitGrpcClient(session, undefined, options)
  t.after(() => bridge.dispose())
  bridge.onEvent((event) => told.push(event))
  const params = async (more) => ({
    url: room.server.url, roomName: room.name, token: await room.token('cloud-agent:user', { canPublishData: true }), ...more
  })
  const play = (request) => {
    const events = []
    bridge.onPlayAudioEvent(request.requestId, (event) => events.push(event))
    bridge.playAudio(request)
    return events
  }
  return { session, lines, bridge, microphone, told, params, play }
}

/** Returns the types of events, with repeated progress once. */
const types = (events) => events.map(({ type }) => type).filter((type) => type !== 'PROGRESS')

test('each request of the client has its own events', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { url, network } = await apps(t)
  const { bridge, params, play, told } = await client(t, room, { network, progressIntervalMs: 100 })
  const early = play({ requestId: 'early', url: `${url}/440/500.wav` })
  await until(() => early.length === 1, 'before it is connected it fails')
  assert.deepEqual(early, [{ type: 'FAILED', requestId: 'early', durationMs: 0, error: 'join_failed' }])
  const given = await params()
  const connecting = bridge.connect(given)
  assert.deepEqual([bridge.isConnecting(), bridge.isConnected()], [true, false])
  await Promise.all([connecting, bridge.connect(given)])
  assert.deepEqual([bridge.isConnecting(), bridge.isConnected()], [false, true])

  const a = play({ requestId: 'a', url: `${url}/440/6000.wav`, stopOther: false })
  const b = play({ requestId: 'b', url: `${url}/880/60000.wav`, stopOther: false })
  const missing = play({ requestId: 'missing', url: `${url}/nothing`, stopOther: false })
  await until(() => a.at(-1)?.type === 'COMPLETED', 'one completes')
  await until(() => hears(room.ear, 440, 1500) && hears(room.ear, 880, 1500), 'both are heard')
  assert.deepEqual(types(a), ['STARTED', 'COMPLETED'])
  assert.equal(a.at(-1).durationMs, 6000)
  assert.deepEqual(a.filter(({ type }) => type === 'PROGRESS').slice(0, 2).map(({ positionMs }) => positionMs), [100, 200])
  assert.deepEqual(types(missing), ['FAILED'])
  assert.equal(missing[0].error, 'fetch_failed')

  const c = play({ requestId: 'c', url: `${url}/1320/60000.wav`, stopOther: false, trackId: 2 })
  await until(() => types(c).includes('STARTED'), 'a third one plays')
  bridge.stopPlayback({ trackId: 2 })
  await until(() => types(c).includes('FAILED'), 'its track is stopped')
  assert.deepEqual([c.at(-1).error, c.at(-1).metadata], ['cancelled', { reason: 'stopped' }])
  assert.deepEqual(types(b), ['STARTED'])
  bridge.stopAudio('b')
  await until(() => types(b).includes('FAILED'), 'the other is stopped by its name')
  bridge.stopAudio('later')
  const later = play({ requestId: 'later', url: `${url}/440/500.wav` })
  await until(() => types(later).includes('FAILED'), 'a stop that came first counts')
  play({ requestId: 'd', url: `${url}/440/60000.wav` })
  await until(() => told.at(-1).type === 'play_started', 'it plays')
  bridge.stopAudio()
  await until(() => told.at(-1).requestId === 'd' && told.at(-1).error === 'cancelled', 'everything stops')
  const words = told.filter(({ requestId }) => requestId === 'a').map(({ type, success }) => [type, success])
  assert.deepEqual(words, [['play_started', undefined], ['play_complete', true]])
})

test("passes on only the phone's microphone", LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const phone = await room.join({ grants: { canPublishData: true } })
  const other = await room.join({ grants: { canPublishData: true } })
  const { bridge, microphone, params } = await client(t, room)
  await bridge.connect(await params({ targetIdentity: phone.identity }))
  const say = (who, ...bytes) => who.room.localParticipant.publishData(Buffer.from(bytes), { reliable: true })
  await say(other, 1, 2)
  await say(phone, 7, 1, 2, 3, 4) // after the number of the packet
  await say(phone, 5, 6)
  await say(phone, 9) // a number without data
  await until(() => microphone.length === 2, 'the phone is heard')
  bridge.disableSubscribe()
  await say(phone, 7, 8)
  await until(() => microphone.length === 3, 'the phone decides when its microphone is off')
  environment(t, { LIVEKIT_PCM_ENDIAN: 'swap' })
  await say(phone, 0, 1, 2)
  await until(() => microphone.length === 4, 'the phone is heard')
  bridge.enableSubscribe(other.identity)
  await say(phone, 1, 1)
  await say(other, 3, 3)
  await until(() => microphone.length === 5, 'the other is heard now')
  assert.deepEqual(microphone.map((pcm) => [...pcm]), [[1, 2, 3, 4], [5, 6], [7, 8], [2, 1], [3, 3]])
})

test('chunks of PCM are heard in order', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { bridge, params } = await client(t, room)
  const chunk = (hz, ms) => tone(hz, ms, { sampleRate: 16000, format: 'pcm16' })
  bridge.sendAudioChunk(chunk(440, 100)) // no client is connected
  await bridge.connect(await params())
  await until(() => room.ear.heard.has('speaker'), 'the ear listens')
  for (const hz of [880, 1320]) {
    const pcm = chunk(hz, 1000)
    for (let at = 0; at < pcm.length; at += 320) bridge.sendAudioChunk(pcm.subarray(at, at + 320))
    bridge.sendAudioChunk(Buffer.from([1]))
    await until(() => hears(room.ear, hz, 400), `${hz} Hz is heard`)
    await until(() => bridge.speakerSession.playbacks().length === 0, 'after a pause the sound is over')
  }
  assert.ok(!hears(room.ear, 440, 100))
})

test('a lost client reports it and rejoins on demand', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { url, network } = await apps(t)
  const { bridge, params, play } = await client(t, room, { network })
  const nobody = { connected: false, participant_id: '', participant_count: 0, last_disconnect_at: 0, last_disconnect_reason: '' }
  const status = async () => {
    const { server_version, ...rest } = await bridge.getStatus()
    assert.equal(server_version, require('speaker-session/package.json').version)
    return rest
  }
  assert.deepEqual(await status(), nobody)
  await assert.rejects(bridge.rejoin(), /no previous room params/)
  await bridge.connect(await params())
  await until(async () => (await status()).participant_count === 2, 'the ear is counted')
  assert.deepEqual(await status(), { ...nobody, connected: true, participant_id: 'cloud-agent:user', participant_count: 2 })
  await moderator(room.server).removeParticipant(room.name, 'cloud-agent:user')
  await until(async () => (await status()).last_disconnect_at > 0, 'it is removed, and told so')
  const { last_disconnect_reason: reason, connected } = await status()
  assert.deepEqual([connected, reason, bridge.isConnected()], [false, 'participantRemoved', false])
  const heard = fromNow(room.ear, 'speaker')
  const a = play({ requestId: 'a', url: `${url}/440/6000.wav` })
  await until(() => types(a).includes('COMPLETED'), 'it plays')
  await until(() => windows(heard(), 440).length >= 5, 'it is heard')
  assert.deepEqual([(await status()).connected, (await status()).last_disconnect_reason], [true, ''])

  const b = play({ requestId: 'b', url: `${url}/440/60000.wav` })
  await until(() => types(b).includes('STARTED'), 'it plays')
  await bridge.rejoin(await params())
  assert.deepEqual(types(b), ['STARTED', 'FAILED'])
  await until(async () => (await speakers(room)).length === 1, 'there is one')
  await bridge.rejoin()
  assert.equal(bridge.isConnected(), true)
})

test('the newer of two clients stays', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { session, bridge, params } = await client(t, room)
  await bridge.connect(await params())
  const newer = new LiveKitGrpcClient(session)
  t.after(() => newer.dispose())
  await newer.connect(await params())
  await until(() => !bridge.isConnected(), 'the older one is gone')
  await until(async () => (await speakers(room)).length === 1, 'there is one')
  assert.equal(newer.isConnected(), true)
})

test('a failed or abandoned join rejects', LIMIT, async (t) => {
  const room = await openRoom(t)
  const { bridge, params, lines } = await client(t, room)
  await assert.rejects(bridge.connect(await params({ token: 'no token' })), { code: 'ERR_JOIN_FAILED' })
  assert.deepEqual([bridge.isConnected(), bridge.isConnecting()], [false, false])
  assert.ok(lines.every((line) => !JSON.stringify(line).includes('no token')))
  const given = await params()
  const connecting = bridge.connect(given)
  const refused = assert.rejects(connecting, { code: 'ERR_CLOSED' })
  await bridge.disconnect()
  await refused
  assert.deepEqual([bridge.isConnected(), bridge.isConnecting()], [false, false])
  await bridge.connect(given)
  bridge.dispose()
  assert.equal((await bridge.getStatus()).last_disconnect_reason, 'client_disposed')
  await assert.rejects(bridge.connect(given), /disposed/)
  await until(async () => (await speakers(room)).length === 0, 'the room is left')
})
