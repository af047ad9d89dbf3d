'use strict'

// A room is heard by a real browser with LiveKit's own client, as a user hears it: its sound is measured by Web Audio and compared with the events.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, before, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { startServer } = require('../../scripts/livekit-server')
const { Browser, assertHeard, assertLevel, earPage, servePages, skip, tonesHeard } = require('../support/browser')
const { roomOn } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

/** A listener's buffer grows and shrinks by as much on a busy machine. The shortest tone here is four times as long. */
const WITHIN_MS = 250
const WITHIN_DB = 1.5
const AMPLITUDE = 0.3
const TERMINAL = ['completed', 'stopped', 'failed']

let [server, pages, browser] = []

before(async () => {
  if (skip) return
  server = await startServer()
  pages = await servePages({ '/': earPage('/livekit-client.js'), '/livekit-client.js': require.resolve('livekit-client') })
  browser = await Browser.start()
})

after(async () => {
  await browser?.stop()
  await pages?.close()
  await server?.stop()
})

/** Joins with LiveKit's client, and listens to every track. */
async function join(url, token) {
  const { ear, LivekitClient } = window
  await ear.open()
  const room = new LivekitClient.Room()
  room.on('trackSubscribed', (track, { trackName }) => {
    document.body.append(track.attach())
    ear.listen(ear.context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])), trackName)
  })
  await room.connect(url, token)
}

/** Opens a room with a page in it that hears these tracks, and a session that speaks. */
async function listen(t, options, tracks = { speaker: 0 }) {
  const room = roomOn(t, server)
  const page = await browser.open(pages.url)
  t.after(() => page.close())
  await page.evaluate(join, server.url, await room.token('browser', { canPublish: false }))
  const output = { type: 'livekit', clock: undefined, url: server.url, token: () => room.token('speaker'), publish: Object.values(tracks) }
  const { session, told } = open(t, { ...options, output })
  // In silence, so that the page's buffer has found its length.
  await Promise.all(Object.values(tracks).map((trackId) => session.playAudio({ audio: tone(440, 1500), volume: 0, trackId, stopOther: false })))
  await page.until('the page listens to every track', (names) => names.every((name) => window.ear.listensTo.includes(name)), Object.keys(tracks))
  await page.evaluate(() => window.ear.forget())
  told.length = 0
  return { page, session, told }
}

/** Returns when a playback sounded, by its events. */
function toldOf(told, requestId, hz) {
  const own = told.filter((event) => event.requestId === requestId)
  return { hz, fromMs: own.find(({ type }) => type === 'started').atMs, toMs: own.find(({ type }) => TERMINAL.includes(type)).atMs }
}

function assertTimes(t, heard, told) {
  t.diagnostic(`heard within ${assertHeard(heard, told, WITHIN_MS).toFixed(0)} ms of the events`)
}

/** Returns the middle half of a time, which is away from its edges wherever they are heard. */
function middle(fromMs, toMs) {
  const quarter = (toMs - fromMs) / 4
  return { fromMs: fromMs + quarter, toMs: toMs - quarter }
}

test('tones are heard whole, in order and as loud', { skip }, async (t) => {
  const { page, session, told } = await listen(t)
  const playing = [440, 660, 880].map((hz) => session.playAudio({ requestId: `${hz}`, audio: tone(hz, 1000), overlap: 'queue', stopOther: false }))
  await Promise.all(playing)
  await sleep(1000)
  await session.playAudio({ requestId: '1100', audio: tone(1100, 1500), stopOther: false })
  const heard = await tonesHeard(page, [440, 660, 880, 1100])
  assertTimes(t, heard, [440, 660, 880, 1100].map((hz) => toldOf(told, `${hz}`, hz)))
  for (const { hz, fromMs, toMs } of heard) assertLevel(heard.samples, { hz, ...middle(fromMs, toMs) }, AMPLITUDE, WITHIN_DB)
  assert.deepEqual(page.errors, [])
})

test('two overlapping tones are heard together', { skip }, async (t) => {
  const { page, session, told } = await listen(t, {}, { speaker: 0, tts: 2 })
  const low = session.playAudio({ requestId: 'low', audio: tone(440, 3000), stopOther: false })
  await once(session, 'started')
  await sleep(1000)
  await session.playAudio({ requestId: 'high', audio: tone(880, 1000), trackId: 2, stopOther: false })
  await low
  const heard = await tonesHeard(page, [440, 880])
  assertTimes(t, heard, [toldOf(told, 'low', 440), toldOf(told, 'high', 880)])
  for (const { hz } of heard) assertLevel(heard.samples, { hz, ...middle(heard[1].fromMs, heard[1].toMs) }, AMPLITUDE, WITHIN_DB)
})

test('an interruption ends what sounds and what waits', { skip }, async (t) => {
  const { page, session, told } = await listen(t)
  const speech = [440, 660].map((hz) => session.playAudio({ requestId: `${hz}`, audio: tone(hz, 8000), overlap: 'queue', stopOther: false }))
  await once(session, 'started')
  await sleep(1500)
  const { interrupted } = await session.interrupt({ reason: 'barge-in' })
  assert.deepEqual(interrupted.map(({ requestId }) => requestId), ['440', '660'])
  await Promise.all(speech)
  await sleep(500)
  await session.playAudio({ requestId: '880', audio: tone(880, 1000), stopOther: false })
  const heard = await tonesHeard(page, [440, 660, 880])
  assertTimes(t, heard, [toldOf(told, '440', 440), toldOf(told, '880', 880)])
})

test('what stops the others is heard alone', { skip }, async (t) => {
  const { page, session, told } = await listen(t, {}, { speaker: 0, app_audio: 1 })
  const music = [session.playAudio({ requestId: '440', audio: tone(440, 8000), trackId: 1, stopOther: false })]
  await once(session, 'started')
  await sleep(1200)
  await session.playAudio({ requestId: '880', audio: tone(880, 1200) })
  await Promise.all(music)
  assertTimes(t, await tonesHeard(page, [440, 880]), [toldOf(told, '440', 440), toldOf(told, '880', 880)])
})

test('ducking and volume are heard in decibels', { skip }, async (t) => {
  const { page, session, told } = await listen(t, { duck: { db: -12 } }, { app_audio: 1, tts: 2 })
  const music = session.playAudio({ requestId: 'music', audio: tone(440, 6000), trackId: 1, stopOther: false })
  await once(session, 'started')
  await sleep(1500)
  await session.playAudio({ requestId: 'voice', audio: tone(880, 1500), trackId: 2, role: 'voice', stopOther: false })
  await sleep(1000)
  await session.setVolume({ requestId: 'music', volume: 0.5, fadeMs: 50 })
  await music
  const heard = await tonesHeard(page, [440, 880])
  assertTimes(t, heard, [toldOf(told, 'music', 440), toldOf(told, 'voice', 880)])
  const [low, high] = heard
  const ducked = middle(high.fromMs, high.toMs)
  assertLevel(heard.samples, { hz: 440, ...middle(low.fromMs, high.fromMs) }, AMPLITUDE, WITHIN_DB)
  assertLevel(heard.samples, { hz: 440, ...ducked }, AMPLITUDE * 10 ** (-12 / 20), WITHIN_DB)
  assertLevel(heard.samples, { hz: 880, ...ducked }, AMPLITUDE, WITHIN_DB)
  assertLevel(heard.samples, { hz: 440, fromMs: low.toMs - 800, toMs: low.toMs - 300 }, AMPLITUDE / 2, WITHIN_DB)
})
