'use strict'

// Taps of a room: the sum of its tracks, as far as they were sent.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')
const { RoomServiceClient } = require('livekit-server-sdk')

const { flat } = require('../support/mix')
const { openRoom, publish, speak, speakOverWire, until } = require('../support/room')
const { ramp } = require('../support/samples')
const { listen, timeline } = require('../support/tap')
const { tone } = require('../support/wav')

const TRACKS = { speaker: 0, app_audio: 1 }

after(dispose) // otherwise the ear keeps the process alive

/** Returns the sample of the session's time at which each playback started. */
function starts(told) {
  const started = told.filter(({ type }) => type === 'started')
  return Object.fromEntries(started.map(({ requestId, atMs }) => [requestId, Math.round(atMs * 48)]))
}

test('a tap sums the tracks of a room', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  await publish(session, room, TRACKS)
  const { timeMs: fromMs } = session.stats()
  const [whole, cut] = [listen(session.tap({ format: 'f32' })), listen(session.tap())]
  const { audio, samples } = ramp(48_000)
  const long = session.playAudio({ requestId: 'long', audio })
  await once(session, 'started')
  await sleep(200)
  await Promise.all([long, session.playAudio({ requestId: 'late', audio: flat(1000, 0.6), trackId: 1, stopOther: false })])
  await session.close()

  const { long: first, late: second } = starts(told)
  const expected = new Float32Array(second + 48_000)
  samples.forEach((sample, n) => (expected[first + n] += sample))
  for (let n = second; n < expected.length; n++) expected[n] += Math.round(0.6 * 32767) / 32768
  const here = expected.subarray(Math.round(fromMs * 48))
  assert.ok(here.some((sample) => sample > 1), 'the sum reaches over full scale')
  assert.deepEqual(timeline(whole, { format: 'f32', fromMs }).subarray(0, here.length), here)
  const clipped = here.map((sample) => Math.min(Math.round(sample * 32768), 32767) / 32768)
  assert.deepEqual(timeline(cut, { fromMs }).subarray(0, here.length), clipped)
})

test('a tap omits a muted track', async (t) => {
  const room = await openRoom(t)
  const { session, told } = speak(t, room)
  await publish(session, room, TRACKS)
  const { timeMs: fromMs } = session.stats()
  const service = new RoomServiceClient(room.server.url.replace('ws', 'http'), room.server.key, room.server.secret)
  const [{ identity }] = (await service.listParticipants(room.name)).filter(({ tracks }) => tracks.length > 0)
  const { tracks } = await service.getParticipant(room.name, identity)
  const { sid } = tracks.find(({ name }) => name === 'speaker')
  const muted = once(session, 'muted')
  await service.mutePublishedTrack(room.name, identity, sid, true)
  await muted

  const frames = listen(session.tap({ format: 'f32' }))
  const { audio, samples } = ramp(24_000)
  await Promise.all([
    session.playAudio({ requestId: 'muted', audio: tone(440, 700) }),
    session.playAudio({ requestId: 'heard', audio, trackId: 1, stopOther: false })
  ])
  await session.close()
  const from = starts(told).heard - Math.round(fromMs * 48)
  const heard = timeline(frames, { format: 'f32', fromMs })
  assert.deepEqual(heard.subarray(from, from + 24_000), samples)
  assert.ok(heard.every((sample, n) => sample === 0 || (n >= from && n < from + 24_000)), 'the muted one is in it')
})

test('a tap omits lost frames', async (t) => {
  const { wire, session } = await speakOverWire(t, { onReconnect: 'continue' })
  const tap = session.tap()
  const frames = listen(tap)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await once(session, 'started')
  await sleep(300)
  wire.media.cut()
  wire.cut() // otherwise ICE takes some seconds to notice
  await until(() => session.stats().droppedFrames > 0, 'what nobody hears is counted')
  const before = frames.length
  const back = once(session, 'reconnected')
  wire.media.mend()
  wire.mend()
  await back
  await until(() => frames.length > before + 25, 'it goes on')
  await session.stopAudio()
  const { durationMs } = await playing
  await session.close()
  assert.equal(tap.dropped, 0)
  const { droppedFrames, underruns } = session.stats()
  // On a busy machine a source may be late, and a frame contain silence in its place.
  const late = frames.length + droppedFrames - Math.ceil(durationMs / 20)
  assert.ok(late === 0 || (underruns > 0 && late > 0 && late < droppedFrames), `${late} frames more than sounded`)
})
