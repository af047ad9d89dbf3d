'use strict'

// SpeakerManager in place of the cloud's player: its messages, its error words, and whom it answers.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { setImmediate: turn } = require('node:timers/promises')
const { Registry } = require('prom-client')

const { collectDifferences } = require('speaker-session/metrics')

const { environment, manager, userSession } = require('../support/cloud')
const { root, run } = require('../support/process')
const { serve } = require('../support/server')
const { sounds } = require('../support/tones')
const { level, tone } = require('../support/wav')

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name)
const APP = 'org.example.app'

/** What the server of `sounding` serves, by path: `/a.wav` is 440 Hz for half a second. */
const SOUNDS = { '/a.wav': tone(440, 500), '/b.wav': tone(880, 500), '/c.wav': tone(1320, 500), '/long.wav': tone(300, 3000) }

/** Opens a manager whose apps' sounds are on a server of this test. */
async function sounding(t, options = {}) {
  const url = await serve(t, (request, response) => {
    const body = SOUNDS[new URL(request.url, 'http://localhost').pathname]
    if (body) return response.end(body)
    response.writeHead(request.url.startsWith('/noise') ? 200 : 404)
    response.end('this is no audio')
  })
  const cloud = manager(t, { network: { allow: [new URL(url).host] }, ...options })
  const request = (requestId, more) => ({
    type: 'audio_play_request', packageName: APP, requestId, audioUrl: `${url}/${requestId}.wav`, stopOtherAudio: false, ...more
  })
  return { ...cloud, url, request, start: (requestId, more) => void cloud.speaker.start(request(requestId, more)) }
}

/** Returns the reported ends: "a true 500". */
function ends(told) {
  return told.filter(({ type }) => type === 'play_complete').map(({ requestId, success, durationMs }) => `${requestId} ${success} ${durationMs}`)
}

test('a request completes and is answered once', async (t) => {
  const { speaker, start, job, told, relayed, advance, url } = await sounding(t)
  start('a', { audioUrl: `${url}/a.wav?text=secret` })
  const { startedAt, ...pending } = job('a')
  assert.deepEqual(pending, { requestId: 'a', audioUrl: `${url}/a.wav?text=secret`, packageName: APP, state: 'pending' })
  assert.equal(typeof startedAt, 'number')
  await advance(100)
  assert.equal(job('a').state, 'streaming')
  assert.deepEqual(relayed, [])
  await advance(500)
  assert.deepEqual([job('a').state, job('a').durationMs], ['completed', 500])
  assert.deepEqual(told, [
    { type: 'play_started', requestId: 'a', url: `${url}/a.wav?<masked>` },
    { type: 'play_complete', requestId: 'a', url: `${url}/a.wav?<masked>`, success: true, durationMs: 500 }
  ])
  assert.deepEqual(relayed, [{ requestId: 'a', success: true, duration: 500 }])
  assert.deepEqual(speaker.speakerSession.playbacks(), [])
})

test('stopOther defaults to true, a stop may name tracks', async (t) => {
  const { speaker, start, told, advance, relayed, job } = await sounding(t)
  start('a')
  start('b', { trackId: 2 })
  await advance(100)
  start('long', { stopOtherAudio: undefined, trackId: 1 })
  await advance(100)
  assert.deepEqual(ends(told), ['a false 105', 'b false 105'])
  assert.deepEqual(relayed[0], { requestId: 'a', success: false, error: 'cancelled', duration: 105 })
  assert.equal(told.find(({ type }) => type === 'play_complete').reason, 'replaced')
  start('a', { trackId: 2 })
  await advance(100)
  await speaker.stop({ packageName: APP, trackId: 2 })
  await advance(100)
  assert.deepEqual([job('a').state, job('long').state], ['cancelled', 'streaming'])
  await speaker.stop({ packageName: APP, trackId: null })
  await advance(100)
  assert.equal(job('long').state, 'cancelled')
  assert.equal(relayed.length, 4)
})

test('volume above 1 boosts and volume 0 is silent', async (t) => {
  const { start, advance, heard, told } = await sounding(t)
  const at = (ms, hz) => level(heard(), ms * 48, (ms + 200) * 48, hz)
  start('a', { volume: 2 })
  await advance(500)
  start('b', { volume: 0 })
  await advance(500)
  start('c', { volume: 0.5 })
  await advance(500)
  assert.deepEqual(ends(told), ['a true 500', 'b true 500', 'c true 500'])
  assert.ok(Math.abs(at(100, 440) - 0.6) < 0.01, `${at(100, 440)}`)
  assert.ok(heard().slice(500 * 48, 1000 * 48).every((sample) => sample === 0))
  assert.ok(Math.abs(at(1100, 1320) - 0.15) < 0.01, `${at(1100, 1320)}`)
})

test("failures carry the cloud's error words", async (t) => {
  const { start, advance, relayed, job, url, request, speaker } = await sounding(t)
  start('long')
  start('missing')
  start('noise')
  start('elsewhere', { audioUrl: 'http://169.254.169.254/latest/meta-data' })
  start('file', { audioUrl: fixture('second.mp3') })
  start('loud', { volume: 'very' })
  start('none', { audioUrl: undefined })
  speaker.start(undefined)
  speaker.start({ ...request('cut'), audioUrl: `${url}/long.wav`, trackId: -1 })
  await advance(3000)
  const words = Object.fromEntries(relayed.map(({ requestId, success, error }) => [requestId, success || error]))
  assert.deepEqual(words, {
    missing: 'fetch_failed', noise: 'unsupported_format', elsewhere: 'fetch_failed', file: 'fetch_failed', loud: 'invalid_argument',
    none: 'invalid_argument', undefined: 'invalid_argument', cut: 'invalid_argument', long: true
  })
  assert.deepEqual([job('noise').state, job('noise').error], ['error', 'unsupported_format'])
})

test('refuses an eleventh sound and answers it once', async (t) => {
  const { start, advance, relayed } = await sounding(t)
  for (let n = 0; n < 11; n++) start('a', { requestId: `a${n}` })
  await advance(600)
  assert.deepEqual(relayed.find(({ success }) => !success), { requestId: 'a10', success: false, error: 'too_many_playbacks', duration: 0 })
  assert.equal(relayed.length, 11)
})

test('warns once for each URL without audio', async (t) => {
  const { speaker, request, url, advance, lines, relayed } = await sounding(t)
  for (const n of [1, 2, 3]) {
    speaker.start({ ...request(`noise ${n}`), audioUrl: `${url}/noise?n=${n}` })
    await advance(20)
  }
  speaker.start({ ...request('noise 4'), audioUrl: `${url}/noise/of/another/kind` })
  await advance(20)
  assert.equal(relayed.filter(({ error }) => error === 'unsupported_format').length, 4)
  const complaints = lines.filter(({ level }) => level === 'warn')
  assert.deepEqual(complaints.map((line) => line.url), [`${url}/noise?<masked>`, `${url}/noise/of/another/kind`])
})

test('a repeated request is ignored and answered once', async (t) => {
  const { start, advance, relayed, told } = await sounding(t)
  start('a')
  await advance(100)
  start('a', { stopOtherAudio: true })
  await advance(600)
  assert.deepEqual(relayed, [{ requestId: 'a', success: true, duration: 500 }])
  assert.deepEqual(told.map(({ type, error }) => error ?? type), ['play_started', 'duplicate_request', 'play_complete'])
})

test('a failing app callback or listener affects nobody else', async (t) => {
  const throws = () => {
    throw new Error('the app is gone')
  }
  const { speaker, start, advance, lines, told } = await sounding(t, { session: { relayAudioPlayResponseToApp: async () => throws() } })
  speaker.on('event', throws)
  start('a')
  start('b')
  await advance(600)
  assert.deepEqual(ends(told), ['a true 500', 'b true 500'])
  assert.ok(lines.filter(({ level, error }) => level === 'error' && error === 'the app is gone').length >= 2)
  for (const junk of [undefined, null, 1, 'play_started', {}, { type: 'play_started' }]) speaker.handleBridgeEvent(junk)
  for (const junk of [undefined, null, 0, '', '{', '[]', 'null', '{}', Buffer.from([0xff]), [], { type: 'audio_chunk' }]) {
    assert.equal(speaker.handleMessage(junk), false)
  }
})

test('environment variables set maximum duration, gain and enablement', async (t) => {
  environment(t, { SPEAKER_MAX_DURATION_MS: '200', PUBLISH_GAIN: '0.5' })
  const { start, advance, heard, relayed } = await sounding(t)
  start('a')
  await advance(600)
  assert.deepEqual(relayed, [{ requestId: 'a', success: false, error: 'max_duration', duration: 200 }])
  assert.ok(Math.abs(level(heard(), 0, 150 * 48, 440) - 0.15) < 0.01)

  environment(t, { SPEAKER_MAX_DURATION_MS: 'long' })
  const wrong = await sounding(t)
  wrong.start('a')
  wrong.start('b')
  await turn()
  assert.deepEqual(wrong.relayed.map(({ error }) => error), ['invalid_argument', 'invalid_argument'])
  assert.match(wrong.told[0].message, /maxDurationMs/)

  environment(t, { SPEAKER_MAX_DURATION_MS: undefined, SERVER_PLAYBACK_ENABLED: 'false' })
  const off = await sounding(t)
  off.start('a')
  await off.speaker.stop()
  assert.equal(await off.speaker.ensureReady(), false)
  assert.equal(off.speaker.handleMessage(off.request('b')), false)
  assert.deepEqual([off.speaker.speakerSession, off.speaker.jobs(), off.relayed], [null, [], []])
})

test('without LiveKit settings it plays nothing and logs once', async (t) => {
  environment(t, { LIVEKIT_URL: undefined, LIVEKIT_API_KEY: undefined, LIVEKIT_API_SECRET: undefined, SERVER_PLAYBACK_ENABLED: undefined })
  const { start, speaker, relayed, lines } = await sounding(t, { output: undefined })
  start('a')
  start('b')
  assert.equal(await speaker.ensureReady(), false)
  assert.deepEqual([speaker.jobs(), relayed], [[], []])
  assert.deepEqual(lines.map(({ text }) => text), ['SpeakerManager disabled: no LiveKit for this session, or told to be'])
})

test('an unreachable room fails requests until the cooldown ends', async (t) => {
  let joins = 0
  const room = await serve(t, (request, response) => {
    joins++
    response.writeHead(401).end()
  })
  environment(t, { LIVEKIT_URL: room.replace('http', 'ws'), LIVEKIT_API_KEY: 'key', LIVEKIT_API_SECRET: 'a-secret-of-32-characters-at-least' })
  const { start, speaker, relayed, lines, told, job } = await sounding(t, { output: undefined })
  const answers = (count) => new Promise((resolve) => {
    speaker.on('event', () => setImmediate(() => relayed.length === count && resolve()))
  })
  const first = answers(2)
  start('a')
  start('b')
  await first
  const before = joins
  assert.ok(before > 0)
  const second = answers(4)
  start('c')
  start('d', { stopOtherAudio: true })
  assert.equal(await speaker.ensureReady(), false)
  await second
  assert.equal(joins, before)
  assert.deepEqual(relayed.map(({ requestId, error }) => `${requestId} ${error}`), ['a', 'b', 'c', 'd'].map((id) => `${id} join_failed`))
  assert.equal(job('d').state, 'error')
  assert.deepEqual(lines.filter(({ level }) => level !== 'debug').map(({ text }) => text), ['SpeakerManager bridge error'])
  assert.equal(told.filter(({ type }) => type === 'error').length, 1)
})

test('tries the room again after the cooldown', async (t) => {
  let joins = 0
  const room = await serve(t, (request, response) => {
    joins++
    response.writeHead(401).end()
  })
  environment(t, { LIVEKIT_URL: room.replace('http', 'ws'), LIVEKIT_API_KEY: 'key', LIVEKIT_API_SECRET: 'a-secret-of-32-characters-at-least' })
  const { speaker } = manager(t, { output: undefined, cooldownMs: 0 })
  assert.equal(await speaker.ensureReady(), false)
  const before = joins
  assert.equal(await speaker.ensureReady(), false)
  assert.ok(joins > before)
})

test('answers WebSocket messages', async (t) => {
  const { speaker, request, advance, relayed } = await sounding(t, { session: { sessionId: 'session' } })
  const sent = []
  const send = (json) => sent.push(JSON.parse(json))
  assert.equal(speaker.handleMessage(JSON.stringify(request('a')), send), true)
  assert.equal(speaker.handleMessage(Buffer.from(JSON.stringify(request('long'))), send), true)
  await advance(600)
  assert.equal(speaker.handleMessage(JSON.stringify({ type: 'audio_stop_request', packageName: APP, trackId: 0 }), send), true)
  await advance(20)
  const [whole, stopped] = sent.map(({ timestamp, ...answer }) => (assert.ok(!Number.isNaN(Date.parse(timestamp))), answer))
  const from = { type: 'audio_play_response', sessionId: `session-${APP}` }
  assert.deepEqual(whole, { ...from, requestId: 'a', success: true, duration: 500 })
  assert.deepEqual(stopped, { ...from, requestId: 'long', success: false, error: 'cancelled', duration: 605 })
  assert.deepEqual([sent.length, relayed], [2, []])
})

test("answers the bridge's commands with its events", async (t) => {
  const { speaker, url, advance, relayed, heard } = await sounding(t)
  const sent = []
  const send = (json) => sent.push(JSON.parse(json))
  const command = (message) => assert.equal(speaker.handleMessage(JSON.stringify(message), send), true)
  command({ action: 'stop_playback', requestId: 'early' }) // overtook its request
  command({ action: 'play_url', requestId: 'early', url: `${url}/a.wav` })
  command({ action: 'play_url', requestId: 'one', url: `${url}/a.wav`, stopOther: false, gain: 1.5, sampleRate: 16000 })
  command({ action: 'play_url', requestId: 'two', url: `${url}/long.wav`, stopOther: false, trackId: 2 })
  command({ action: 'play_url', requestId: 'three', url: `${url}/nothing.wav`, stopOther: false })
  await advance(600)
  command({ action: 'stop_playback', requestId: 'two', reason: 'user' })
  await advance(100)
  const events = sent.map(({ type, requestId, success, durationMs, error, reason }) => ({ type, requestId, success, durationMs, error, reason }))
  const about = (id) => events.filter(({ requestId }) => requestId === id).map(({ requestId, ...event }) => JSON.parse(JSON.stringify(event)))
  assert.deepEqual(about('early'), [{ type: 'play_complete', success: false, durationMs: 0, error: 'cancelled', reason: 'stopped' }])
  assert.deepEqual(about('one'), [{ type: 'play_started' }, { type: 'play_complete', success: true, durationMs: 500 }])
  assert.deepEqual(about('two'), [
    { type: 'play_started' }, { type: 'play_complete', success: false, durationMs: 605, error: 'cancelled', reason: 'user' }
  ])
  assert.deepEqual(about('three'), [{ type: 'play_complete', success: false, durationMs: 0, error: 'fetch_failed' }])
  assert.ok(Math.abs(level(heard(), 100 * 48, 400 * 48, 440) - 0.45) < 0.01)
  command({ action: 'play_url', requestId: 'four', url: `${url}/long.wav` })
  await advance(100)
  command({ action: 'stop_playback' })
  await advance(100)
  assert.equal(sent.at(-1).reason, 'stopped')
  assert.deepEqual(relayed, [])
})

for (const shadow of [false, true]) {
  test(`compares the phone's answer with ours, shadow: ${shadow}`, async (t) => {
    const { speaker, start, advance, relayed, differences, lines } = await sounding(t, { shadow })
    const register = new Registry()
    speaker.on('difference', collectDifferences({ register, prefix: 'cloud_' }))
    const phone = (requestId, more) => speaker.handleMessage({ type: 'audio_play_response', requestId, success: true, ...more })
    start('a')
    await advance(600)
    phone('a', { duration: 540 }) // ours came first
    phone('a', { duration: 9999 }) // repeated
    start('b')
    await advance(100)
    phone('b', { duration: 1100 }) // the phone's came first
    await advance(600)
    start('c')
    await advance(600)
    phone('c', { success: false, error: 'busy' })
    phone('d', { duration: 700 }) // not one of ours
    assert.deepEqual(differences, [
      { requestId: 'a', deviceMs: 540, shadowMs: 500, differenceMs: 40 },
      { requestId: 'b', deviceMs: 1100, shadowMs: 500, differenceMs: 600 }
    ])
    const levels = lines.filter(({ differenceMs }) => differenceMs !== undefined).map(({ level, requestId }) => `${requestId} ${level}`)
    assert.deepEqual(levels, ['a info', 'b warn'])
    const counted = (await register.metrics()).match(/(?<=cloud_server_playback_device_difference_ms_)(sum|count|bucket{le="(0|50|500)"}) \d+/g)
    assert.deepEqual(counted, ['bucket{le="0"} 0', 'bucket{le="50"} 1', 'bucket{le="500"} 1', 'sum 640', 'count 2'])
    const answers = relayed.map(({ requestId, success, duration }) => `${requestId} ${success} ${duration}`)
    assert.deepEqual(answers, shadow
      ? ['a true 540', 'b true 1100', 'c false undefined', 'd true 700']
      : ['a true 500', 'b true 500', 'c true 500', 'd true 700'])
  })
}

test('keeps a limited number of ended jobs', async (t) => {
  const { speaker, start, advance } = await sounding(t)
  for (let n = 0; n < 120; n++) {
    start('a', { requestId: `a${n}`, stopOtherAudio: true })
    await advance(20)
  }
  const jobs = speaker.jobs()
  assert.equal(jobs.length, 101)
  assert.deepEqual([jobs.at(-1).requestId, jobs.at(-1).state, jobs[0].state], ['a119', 'streaming', 'cancelled'])
})

test('an open room lets the process exit', async (t) => {
  const { code, out } = await run(t, `
    const { SpeakerManager } = require(${JSON.stringify(path.join(root, 'adapters', 'mentra'))})
    const relayAudioPlayResponseToApp = ({ success }) => console.log(success, speaker.speakerSession.connection)
    const speaker = new SpeakerManager({ userId: 'user', relayAudioPlayResponseToApp }, { output: { type: 'memory' }, network: 'any' })
    speaker.start({ requestId: 'a', audioUrl: 'clip.wav' })
  `)
  assert.deepEqual([code, out], [0, 'true connected\n'])
})

test('a disposed manager stops and accepts nothing more', async (t) => {
  const { speaker, start, advance, job, relayed, request } = await sounding(t)
  start('long')
  await advance(100)
  speaker.dispose()
  speaker.dispose()
  start('a')
  assert.equal(speaker.handleMessage(request('b')), false)
  while (relayed.length === 0) await turn()
  assert.deepEqual([job('long').state, relayed.length, speaker.speakerSession], ['cancelled', 1, null])
})

test('leaves an idle room and rejoins on request', async (t) => {
  const { speaker, start, advance, relayed } = await sounding(t, { leaveAfterMs: 1 })
  const play = async () => {
    start('a')
    const session = speaker.speakerSession
    await advance(600).catch(({ code }) => assert.equal(code, 'ERR_CLOSED')) // the room is left meanwhile
    while (session.connection !== 'closed') await turn()
    return session
  }
  const first = await play()
  assert.equal(speaker.speakerSession, null)
  assert.notEqual(await play(), first)
  assert.deepEqual(relayed.map(({ success }) => success), [true, true])
})

test('replaces a session that was closed elsewhere', async (t) => {
  const { speaker, start, advance, relayed } = await sounding(t)
  start('a')
  await speaker.speakerSession.close()
  start('b')
  await turn()
  start('c')
  await advance(600)
  assert.deepEqual(relayed.map(({ requestId, error }) => `${requestId} ${error}`), ['a cancelled', 'b closed', 'c undefined'])
})

test('ENABLE_AUDIO_OVERLAP=false queues on each track', async (t) => {
  environment(t, { ENABLE_AUDIO_OVERLAP: 'false' })
  const { start, advance, heard } = await sounding(t)
  start('a')
  start('b')
  start('c', { trackId: 1 })
  await advance(1000)
  assert.deepEqual([sounds(heard(), 100, 400, 440), sounds(heard(), 100, 400, 880), sounds(heard(), 100, 400, 1320)], [true, false, true])
  assert.deepEqual([sounds(heard(), 600, 900, 440), sounds(heard(), 600, 900, 880)], [false, true])
})

test('refuses invalid times, other invalid options fail requests', async (t) => {
  const { session } = userSession()
  const { SpeakerManager } = require('speaker-session/mentra')
  for (const ms of [-1, NaN, '1', null]) {
    assert.throws(() => new SpeakerManager(session, { leaveAfterMs: ms }), { code: 'ERR_INVALID_ARGUMENT', message: /for leaveAfterMs but/ })
    assert.throws(() => new SpeakerManager(session, { cooldownMs: ms }), { code: 'ERR_INVALID_ARGUMENT', message: /for cooldownMs but/ })
  }
  const { start, relayed } = await sounding(t, { network: 'private' })
  start('a')
  await turn()
  assert.deepEqual(relayed, [{ requestId: 'a', success: false, error: 'invalid_argument', duration: 0 }])
})

test('a session needs only an id', async (t) => {
  const { session } = userSession()
  const { SpeakerManager } = require('speaker-session/mentra')
  const speaker = new SpeakerManager({ userId: session.userId }, { output: { type: 'memory', clock: 'manual' } })
  t.after(() => speaker.dispose())
  speaker.start({ requestId: 'a', audioUrl: 'http://127.0.0.1/a.mp3' })
  while (speaker.jobs()[0].state === 'pending') await turn()
  assert.equal(speaker.jobs()[0].error, 'fetch_failed')
})
