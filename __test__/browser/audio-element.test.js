'use strict'

// The encoded outputs, as most people hear them: in an audio element of a real browser. Its sound is measured by Web Audio and compared with the events.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { after, before, test } = require('node:test')
const { pipeline } = require('node:stream/promises')
const { setTimeout: sleep } = require('node:timers/promises')

const { Browser, assertHeard, assertLevel, earPage, servePages, skip, tonesHeard } = require('../support/browser')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const WITHIN_MS = 150
const WITHIN_DB = 1
const AMPLITUDE = 0.3
const CODECS = ['wav', 'mp3', 'opus']

let [pages, browser] = []
/** The session whose sound the pages get. */
let radio

before(async () => {
  if (skip) return
  pages = await servePages({ '/': earPage(), '/stream': pipeStream, '/http': passOn })
  browser = await Browser.start()
})

after(async () => {
  await browser?.stop()
  await pages?.close()
})

/** Answers with a stream of the session, as a program's own server does. */
function pipeStream(request, response) {
  const stream = radio.audioStream()
  response.writeHead(200, { 'content-type': stream.contentType })
  pipeline(stream, response).catch(() => {}) // the page was closed
}

/** Passes on what the session itself serves: Web Audio hears only what comes from the page's own server. */
async function passOn(request, response) {
  const asked = http.get(radio.url)
  const [answer] = await once(asked, 'response')
  response.writeHead(answer.statusCode, answer.headers)
  pipeline(answer, response).catch(() => asked.destroy())
}

/** Opens a session with this output, and a page that hears it in an audio element. */
async function listen(t, output) {
  const { session, told } = open(t, { output: { clock: undefined, ...output } })
  await session.connect()
  radio = session
  return { page: await join(t, output.type), session, told }
}

async function join(t, type) {
  const page = await browser.open(pages.url)
  t.after(() => page.close())
  await page.evaluate(async (src) => {
    const { ear } = window
    await ear.open()
    const audio = document.body.appendChild(new Audio(src))
    ear.listen(ear.context.createMediaElementSource(audio), 'audio')
    await audio.play()
  }, `/${type}`)
  await page.until('it plays', () => document.querySelector('audio').currentTime > 0.5)
  return page
}

/** Returns when a playback sounded, by its events. */
function toldOf(told, hz) {
  const own = told.filter(({ requestId }) => requestId === `${hz}`)
  return { hz, fromMs: own.find(({ type }) => type === 'started').atMs, toMs: own.find(({ type }) => type === 'completed' || type === 'stopped').atMs }
}

for (const type of ['stream', 'http']) {
  for (const codec of CODECS) {
    test(`${codec} of a ${type} output is heard as told`, { skip }, async (t) => {
      const { page, session, told } = await listen(t, { type, codec })
      const play = (hz, ms, request) => session.playAudio({ requestId: `${hz}`, audio: tone(hz, ms), stopOther: false, ...request })
      await play(440, 1000)
      await sleep(700)
      const low = play(660, 3000)
      await once(session, 'started')
      await sleep(700)
      await play(880, 800, { trackId: 2 })
      await session.stopAudio({ requestId: '660' })
      await low
      const heard = await tonesHeard(page, [440, 660, 880])
      const largest = assertHeard(heard, [440, 660, 880].map((hz) => toldOf(told, hz)), WITHIN_MS)
      for (const { hz, fromMs, toMs } of heard) assertLevel(heard.samples, { hz, fromMs: fromMs + 200, toMs: toMs - 200 }, AMPLITUDE, WITHIN_DB)
      assert.deepEqual(page.errors, [])
      t.diagnostic(`heard within ${largest.toFixed(0)} ms of the events`)
    })
  }
}

test('a late listener hears what sounds, and its end', { skip }, async (t) => {
  const { session } = await listen(t, { type: 'stream', codec: 'mp3' })
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  await sleep(1500)
  const page = await join(t, 'stream')
  await page.until('the tone is heard', () => window.ear.blocks.some((block) => block.some((sample) => Math.abs(sample) > 0.2)))
  await session.stopAudio()
  await playing
  const [{ fromMs, toMs }] = await tonesHeard(page, [440])
  assert.ok(toMs > fromMs)
  await session.close()
  await page.until('the sound has ended', () => document.querySelector('audio').ended)
  assert.deepEqual(page.errors, [])
})
