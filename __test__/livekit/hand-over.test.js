'use strict'

// A rolling deploy, as an ear in the room hears it: examples/deploy, with two identities and with one.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { AudioStream, Room, RoomEvent, TrackKind, dispose } = require('@livekit/rtc-node')

const { Router } = require('../../examples/deploy/router')
const EAR_OPTIONS = require('../../lib/cli/ear-options')
const { openEmptyRoom, until } = require('../support/room')
const { level, wavFile } = require('../support/wav')

after(dispose) // otherwise the ear keeps the process alive

const RATE = 48000
const STEP_MS = 100
/** The steps of the sound, each with its own pitch: so an ear knows its place in it. */
const STEPS = 40
const pitch = (step) => 400 + 60 * step

const FRAME = RATE / 100
const QUIET = 0.05

/** A sound whose pitch rises every 100 ms. */
function stairs() {
  let phase = 0
  const samples = Float64Array.from({ length: (STEPS * STEP_MS * RATE) / 1000 }, (_, n) => {
    phase += (2 * Math.PI * pitch(Math.floor((n * 1000) / RATE / STEP_MS))) / RATE
    return 0.3 * Math.sin(phase)
  })
  return wavFile(samples, RATE)
}

/** Joins the room, and records each track with the times at which its frames came: `{ of, samples, frames }`. */
async function listen(t, room) {
  const ear = new Room()
  const tracks = []
  ear.on(RoomEvent.TrackSubscribed, async (track, publication, participant) => {
    if (track.kind !== TrackKind.KIND_AUDIO || publication.name !== 'speaker') return
    const recorded = { of: participant.identity, samples: [], frames: [] }
    tracks.push(recorded)
    for await (const frame of new AudioStream(track, RATE, 1)) {
      const loudest = frame.data.reduce((max, sample) => Math.max(max, Math.abs(sample)), 0) / 32768
      recorded.frames.push({ atMs: performance.now(), loudest, length: frame.data.length })
      for (const sample of frame.data) recorded.samples.push(sample / 32768)
    }
  })
  await ear.connect(room.server.url, await room.token('ear', { canPublish: false }), EAR_OPTIONS)
  t.after(() => Promise.race([ear.disconnect(), sleep(1000)]))
  return tracks
}

/** The windows that a step is heard in at least: at a border, an ear's buffer may go back for a moment. */
const HEARD = 3

/** Returns the steps of the sound that are in a track, in the order in which they began. */
function stepsIn({ samples }) {
  const found = new Map()
  for (let from = 0; from + FRAME * 2 <= samples.length; from += FRAME) {
    const levels = Array.from({ length: STEPS }, (_, step) => level(samples, from, from + FRAME * 2, pitch(step)))
    const loudest = Math.max(...levels)
    const step = levels.indexOf(loudest)
    if (loudest > 0.1) found.set(step, (found.get(step) ?? 0) + 1)
  }
  return [...found].filter(([, count]) => count >= HEARD).map(([step]) => step)
}

const firstSound = ({ frames }) => frames.find(({ loudest }) => loudest > QUIET)?.atMs
const lastSound = ({ frames }) => frames.findLast(({ loudest }) => loudest > QUIET)?.atMs

async function deployed(t, options) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const audioUrl = path.join(folder, 'stairs.wav')
  writeFileSync(audioUrl, stairs())
  const room = await openEmptyRoom(t)
  const { url, key, secret } = room.server
  const tracks = await listen(t, room)
  const router = new Router(room.name, { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })
  t.after(() => router.close())
  const events = []
  router.on('event', (event) => events.push({ ...event, told: Date.now() }))
  await router.start()
  router.play({ requestId: 'stairs', audioUrl })
  router.play({ requestId: 'last', audioUrl, durationMs: 300, stopOther: false, overlap: 'queue' })
  await until(() => events.some(({ type }) => type === 'started'), 'it has started')
  await sleep(1000)
  const description = await router.deploy(options)
  const ended = (id) => events.find(({ requestId, type }) => requestId === id && type === 'completed')
  await until(() => ended('stairs') && ended('last'), 'all is heard to its end', 20_000)
  await sleep(300) // for the last packets
  const [old, next] = tracks
  const gapMs = firstSound(next) - lastSound(old)
  const { told } = events.find(({ generation, type }) => generation === 2 && type === 'started')
  const startMs = told - description.handOver?.atMs
  return { description, events, old, next, gapMs, startMs, ended }
}

/** Asserts what holds with one identity and with two. */
function assertHandedOver({ description, events, old, next, ended }) {
  assert.deepEqual(description.playbacks.map(({ requestId, state }) => [requestId, state]), [['stairs', 'playing'], ['last', 'queued']])
  assert.deepEqual(description.unrestorable, [])
  const stopped = events.filter(({ type }) => type === 'stopped')
  assert.deepEqual(stopped.map(({ generation, requestId, reason }) => [generation, requestId, reason]).sort(), [[1, 'last', 'handedOver'], [1, 'stairs', 'handedOver']])
  assert.deepEqual(events.filter(({ type }) => type === 'failed' || type === 'error'), [])
  assert.equal(ended('stairs').generation, 2)
  assert.equal(ended('stairs').durationMs, STEPS * STEP_MS)
  const first = stepsIn(old)
  const all = stepsIn(next)
  // Behind it comes the beginning of the sound, for the queued request.
  const second = all.slice(0, all.indexOf(STEPS - 1) + 1)
  for (const steps of [first, second]) assert.deepEqual(steps, [...steps].sort((a, b) => a - b), 'each after the one before')
  const missing = Array.from({ length: STEPS }, (_, step) => step).filter((step) => !first.includes(step) && !second.includes(step))
  const both = first.filter((step) => second.includes(step))
  return { missing, both }
}

test('nobody hears a deploy with two identities', async (t) => {
  const heard = await deployed(t)
  const { missing, both } = assertHandedOver(heard)
  t.diagnostic(`the new one told of its start ${heard.startMs} ms after its time, and was heard ${Math.round(heard.gapMs)} ms after the old one; steps in both: ${both}`)
  assert.deepEqual(missing, [])
  assert.ok(both.length <= 2, `steps ${both} were heard twice`)
  assert.ok(heard.gapMs < 300, `a gap of ${heard.gapMs} ms`)
})

test('one identity goes on where it was replaced', async (t) => {
  const heard = await deployed(t, { sameIdentity: true })
  const { missing, both } = assertHandedOver(heard)
  t.diagnostic(`a gap of ${Math.round(heard.gapMs)} ms; steps missing: ${missing}, in both: ${both}`)
  // What was on its way when the server ended the old one is lost.
  assert.ok(missing.length <= 2, `steps ${missing} are missing`)
  assert.ok(both.length <= 2, `steps ${both} were heard twice`)
  assert.ok(heard.gapMs < 2000, `a gap of ${heard.gapMs} ms`)
})
