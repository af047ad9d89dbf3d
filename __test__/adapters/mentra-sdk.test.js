'use strict'

// The real SDK of the cloud's apps at the other end of a real WebSocket, and the five test cases of the cloud's plan for
// overlap, word for word where they are code. Time advances by the manual clock.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const { after, test } = require('node:test')

const { WebSocketServer } = require('ws')

const { Authority } = require('../support/authority')
const { environment, manager } = require('../support/cloud')
const { until } = require('../support/room')
const { level, tone } = require('../support/wav')

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used
const certificate = authority.issue('localhost')

const LIMIT = { timeout: 60_000 }
const APP = 'org.example.app'
const TLS_HANDSHAKE = 0x16
const PER_MS = 48

/** The pitch and the duration of each spoken text. */
const SPEECH = {
  'This is audio one': [300, 1000], 'This is audio two': [400, 1500],
  'This is a very long message that takes time to play': [500, 5000], URGENT: [600, 500],
  One: [700, 500], Two: [800, 600], Three: [900, 700],
  'First audio': [1000, 2000], 'Second audio': [1100, 2000], 'After stop': [1200, 500],
  'Valid audio': [1300, 1500], 'Another valid audio': [1400, 1500]
}

/** The cloud's text-to-speech. */
function tts(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'https://localhost')
  const speech = pathname === '/api/tts' && SPEECH[searchParams.get('text')]
  if (!speech) return response.writeHead(404).end()
  response.end(tone(...speech, { amplitude: 0.1 }))
}

/** A cloud on one port, as the SDK looks for it: a WebSocket for apps, and https for speech. Calls `onApp` with each app's WebSocket. */
async function cloud(t, onApp) {
  const plain = http.createServer()
  const secure = https.createServer(certificate, tts)
  new WebSocketServer({ server: plain }).on('connection', onApp)
  const sockets = new Set()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('readable', () => {
      const first = socket.read()
      if (!first) return
      socket.unshift(first)
      const behind = first[0] === TLS_HANDSHAKE ? secure : plain
      behind.emit('connection', socket)
    })
  })
  server.listen(0)
  await once(server, 'listening')
  t.after(() => (server.close(), sockets.forEach((socket) => socket.destroy())))
  return server.address().port
}

/** Connects an app of the real SDK to a cloud in which a SpeakerManager plays. */
async function connected(t, options) {
  const { AppSession } = await import('@mentra/sdk')
  const wire = []
  let speaker
  const port = await cloud(t, (socket) => {
    const send = (json) => (wire.push(JSON.parse(json)), socket.send(json))
    socket.on('message', (data) => {
      const message = JSON.parse(data)
      if (message.type === 'tpa_connection_init') send(JSON.stringify({ type: 'tpa_connection_ack', sessionId: message.sessionId, settings: [] }))
      speaker.speaker.handleMessage(data, send)
    })
  })
  speaker = manager(t, { network: { allow: [`localhost:${port}`], deny: ['invalid-url.com'] }, ...options })
  const quiet = { child: () => quiet, debug() {}, info() {}, warn() {}, error() {} }
  const app = new AppSession({
    packageName: APP, apiKey: 'key', userId: 'user@example.com', appServer: { logger: quiet }, autoReconnect: false,
    mentraOSWebsocketUrl: `ws://localhost:${port}/app-ws`
  })
  await app.connect(`user@example.com-${APP}`)
  t.after(() => app.disconnect())
  const requests = (count) => until(() => speaker.speaker.jobs().length === count, `the cloud has ${count} requests`)
  return { ...speaker, session: app, wire, requests }
}

/** Returns true if a text is heard between two times in ms at its own level: neither cut nor doubled. */
function says(samples, text, fromMs, toMs) {
  const amplitude = level(samples, fromMs * PER_MS, toMs * PER_MS, SPEECH[text][0])
  assert.ok(amplitude < 0.001 || Math.abs(amplitude - 0.1) < 0.003, `'${text}' at a strange level: ${amplitude}`)
  return amplitude > 0.001
}

/** Returns each job's state, how long it was heard, and its error word. */
function ends(speaker) {
  return speaker.jobs().map(({ state, durationMs, error }) => [state, durationMs, error].filter((word) => word !== undefined).join(' '))
}

test('Test Case 1: Overlapping Audio (StopOther=false)', LIMIT, async (t) => {
  const { session, requests, advance, heard, speaker, told } = await connected(t)
  session.audio.speak("This is audio one", {stopOtherAudio: false})
  session.audio.speak("This is audio two", {stopOtherAudio: false})
  await requests(2)
  await advance(20)
  assert.deepEqual(told.map(({ type }) => type), ['play_started', 'play_started'])
  await advance(2000)
  assert.deepEqual(ends(speaker), ['completed 1000', 'completed 1500'])
  for (const text of ['This is audio one', 'This is audio two']) assert.ok(says(heard(), text, 100, 900), text)
  assert.deepEqual([says(heard(), 'This is audio one', 1100, 1400), says(heard(), 'This is audio two', 1100, 1400)], [false, true])
})

test('Test Case 2: Interrupt Behavior (StopOther=true)', LIMIT, async (t) => {
  const { session, requests, advance, heard, speaker } = await connected(t)
  session.audio.speak("This is a very long message that takes time to play", {stopOtherAudio: false})
  await requests(1)
  await advance(1000)
  const urgent = session.audio.speak("URGENT", {stopOtherAudio: true})
  await requests(2)
  await advance(1000)
  assert.deepEqual(ends(speaker), ['cancelled 1005 cancelled', 'completed 500'])
  const long = 'This is a very long message that takes time to play'
  assert.deepEqual([says(heard(), long, 100, 1000), says(heard(), long, 1100, 1900)], [true, false])
  assert.deepEqual([says(heard(), 'URGENT', 100, 1000), says(heard(), 'URGENT', 1100, 1400)], [false, true])
  assert.deepEqual(await urgent, { success: true, error: undefined, duration: 500 })
})

test('Test Case 3: Multiple Concurrent Overlaps', LIMIT, async (t) => {
  const { session, requests, advance, heard, speaker } = await connected(t)
  session.audio.speak("One", {stopOtherAudio: false})
  session.audio.speak("Two", {stopOtherAudio: false})
  session.audio.speak("Three", {stopOtherAudio: false})
  await requests(3)
  await advance(100)
  assert.deepEqual(speaker.jobs().map(({ state }) => state), ['streaming', 'streaming', 'streaming'])
  await advance(900)
  assert.deepEqual(ends(speaker), ['completed 500', 'completed 600', 'completed 700'])
  for (const text of ['One', 'Two', 'Three']) assert.ok(says(heard(), text, 50, 450), text)
})

for (const track of [undefined, 0]) {
  test(`Test Case 4: Rapid Stop/Start, ${track === 0 ? 'of what plays on that track' : 'without a track'}`, LIMIT, async (t) => {
    const { session, requests, advance, heard, speaker } = await connected(t)
    // The plan speaks on track 0; today's SDK speaks on track 2 unless told otherwise.
    session.audio.speak("First audio", {stopOtherAudio: false, trackId: track})
    session.audio.speak("Second audio", {stopOtherAudio: false, trackId: track})
    await requests(2)
    await advance(500)
    session.audio.stopAudio(track)
    session.audio.speak("After stop", {stopOtherAudio: false})
    await requests(3)
    await advance(1000)
    assert.deepEqual(ends(speaker), ['cancelled 505 cancelled', 'cancelled 505 cancelled', 'completed 500'])
    for (const text of ['First audio', 'Second audio']) {
      assert.deepEqual([says(heard(), text, 50, 450), says(heard(), text, 600, 900)], [true, false], text)
    }
    assert.deepEqual([says(heard(), 'After stop', 50, 450), says(heard(), 'After stop', 550, 950)], [false, true])
  })
}

test('Test Case 4, at once: stopped before the start is unheard', LIMIT, async (t) => {
  const { session, requests, advance, heard, speaker } = await connected(t)
  session.audio.speak("First audio", {stopOtherAudio: false})
  session.audio.speak("Second audio", {stopOtherAudio: false})

  // Immediately stop
  session.audio.stopAudio()

  // Start new audio
  session.audio.speak("After stop", {stopOtherAudio: false})
  await requests(3)
  await advance(1000)
  assert.deepEqual(ends(speaker), ['cancelled 0 cancelled', 'cancelled 0 cancelled', 'completed 500'])
  assert.deepEqual(['First audio', 'Second audio', 'After stop'].map((text) => says(heard(), text, 50, 450)), [false, false, true])
})

test('Test Case 5: Error Handling During Overlap', LIMIT, async (t) => {
  const { session, requests, advance, heard, speaker } = await connected(t)
  session.audio.speak("Valid audio", {stopOtherAudio: false})
  session.audio.playAudio({
    audioUrl: "https://invalid-url.com/audio.mp3",
    stopOtherAudio: false,
    trackId: 0,
  })
  session.audio.speak("Another valid audio", {stopOtherAudio: false})
  await requests(3)
  await advance(2000)
  assert.deepEqual(ends(speaker).sort(), ['completed 1500', 'completed 1500', 'error 0 fetch_failed'])
  for (const text of ['Valid audio', 'Another valid audio']) assert.ok(says(heard(), text, 50, 1450), text)
  session.audio.speak('One', { stopOtherAudio: false, trackId: 0 }) // the track still exists
  await requests(4)
  await advance(1000)
  assert.equal(ends(speaker).at(-1), 'completed 500')
})

test('roll-back: ENABLE_AUDIO_OVERLAP=false makes everything sequential', LIMIT, async (t) => {
  environment(t, { ENABLE_AUDIO_OVERLAP: 'false' })
  const { session, requests, advance, heard, speaker } = await connected(t)
  session.audio.speak("One", {stopOtherAudio: false})
  session.audio.speak("Two", {stopOtherAudio: false})
  session.audio.speak("Three", {stopOtherAudio: false})
  await requests(3)
  await advance(2000)
  assert.deepEqual(ends(speaker), ['completed 500', 'completed 600', 'completed 700'])
  const turns = { One: [0, 500], Two: [500, 1100], Three: [1100, 1800] }
  for (const [text, [ownMs]] of Object.entries(turns)) {
    for (const [fromMs, toMs] of Object.values(turns)) {
      assert.equal(says(heard(), text, fromMs + 50, toMs - 50), fromMs === ownMs, `${text} from ${fromMs} ms`)
    }
  }
  // An interruption also ends waiting jobs.
  session.audio.speak("First audio", {stopOtherAudio: false})
  session.audio.speak("Second audio", {stopOtherAudio: false})
  const urgent = session.audio.speak("URGENT")
  await requests(6)
  await advance(1000)
  assert.deepEqual(ends(speaker).slice(3), ['cancelled 0 cancelled', 'cancelled 0 cancelled', 'completed 500'])
  await urgent
})

test('an awaiting app gets the outcome of its sound', LIMIT, async (t) => {
  const { session, requests, advance, wire } = await connected(t)
  const played = session.audio.speak('One')
  await requests(1)
  await advance(600)
  assert.deepEqual(await played, { success: true, error: undefined, duration: 500 })
  const failed = session.audio.playAudio({ audioUrl: 'https://invalid-url.com/audio.mp3' })
  await requests(2)
  await advance(20)
  assert.deepEqual(await failed, { success: false, error: 'fetch_failed', duration: 0 })
  const cancelled = session.audio.speak('First audio')
  await requests(3)
  await advance(100)
  session.audio.stopAudio(2)
  const stop = session.audio.speak('Second audio', { stopOtherAudio: false, trackId: 1 })
  await requests(4)
  await advance(100)
  assert.deepEqual(await cancelled, { success: false, error: 'cancelled', duration: 105 })
  assert.deepEqual(await stop, { success: true, duration: undefined }) // it does not wait
  const answers = wire.filter(({ type }) => type === 'audio_play_response')
  assert.ok(answers.every(({ sessionId }) => sessionId === `user@example.com-${APP}`))
  assert.equal(answers.length, 3)
  assert.equal(session.audio.getPendingRequestCount(), 0)
})
