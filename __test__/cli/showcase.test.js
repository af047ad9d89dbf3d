'use strict'

// examples/showcase.jsonl, played as in docs/command-line.md: into a WAV file and into a room.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { Room } = require('../../lib/cli/room')
const { Log } = require('../../lib/recording/log')
const { History } = require('../../lib/replay/history')
const { makeRequests } = require('../../lib/replay/requests')
const { run, workspace } = require('../support/cli')
const { level, readWav, tone } = require('../support/wav')

const FILE = path.join(__dirname, '..', '..', 'examples', 'showcase.jsonl')

const PER_MS = 48
const FRAME_MS = 20
/** A tone is present if this many consecutive frames are at its pitch, as far as 20 ms can tell, and louder than −50 dBFS. */
const IN_TURN = 3
const NEAR_HZ = 45
const LOUD = 1e-5

/** When each tone begins (in a crossfade: prevails), on which track, and until when it is heard, according to the file. */
const TONES = [
  { hz: 400, track: 'app_audio', atMs: 0, tillMs: 2700 },
  { hz: 500, track: 'tts', atMs: 3500, tillMs: 4000 },
  { hz: 500, track: 'tts', atMs: 4500, tillMs: 4800 }, // resumed
  { hz: 1000, track: 'tts', atMs: 4805, tillMs: 5300 }, // sought
  { hz: 600, track: 'track_3', atMs: 6000, tillMs: 6600 },
  { hz: 900, track: 'track_3', atMs: 6750, tillMs: 7200, isCrossed: true }, // moved
  { hz: 800, track: 'track_3', atMs: 7350, tillMs: 7800, isCrossed: true }, // has priority
  { hz: 700, track: 'track_3', atMs: 7950, tillMs: 8700, isCrossed: true },
  { hz: 400, track: 'app_audio', atMs: 9500, tillMs: 10_200 },
  { hz: 1300, track: 'track_5', atMs: 14_000, tillMs: 14_500 },
  { hz: 1600, track: 'track_5', atMs: 14_505, tillMs: 15_500 }, // after the flush
  { hz: 400, track: 'app_audio', atMs: 16_000, tillMs: 16_500 },
  { hz: 600, track: 'tts', atMs: 16_500, tillMs: 17_200 }, // until the interruption
  { hz: 800, track: 'track_3', atMs: 19_000, tillMs: 20_000 },
  { hz: 700, track: 'tts', atMs: 20_500, tillMs: 21_500 } // until all others are stopped
]

/** Returns the pitch of a frame, 0 for silence. */
function pitch({ power, crossings, lengthMs }) {
  return power > LOUD ? (500 * crossings) / lengthMs : 0
}

/** Returns when a tone is first heard from `fromMs` on. */
function onset(frames, hz, fromMs) {
  const all = frames.filter(({ atMs }) => atMs >= fromMs - 3 * FRAME_MS)
  const isThere = (frame) => Math.abs(pitch(frame) - hz) <= NEAR_HZ
  const index = all.findIndex(({ atMs }, n) => {
    return atMs >= fromMs && n + IN_TURN <= all.length && all.slice(n, n + IN_TURN).every(isThere)
  })
  assert.notEqual(index, -1, `${hz} Hz was never heard from ${fromMs} ms on`)
  // The frame in which it begins holds some of the previous sound and some of the new one, and so do its zero crossings.
  const [before, mixed] = [2, 1].map((back) => pitchAt(all, all[index].atMs - back * FRAME_MS))
  const share = hz === before ? 0 : (mixed - before) / (hz - before)
  return all[index].atMs - FRAME_MS * Math.min(Math.max(share, 0), 1)
}

/** Returns the pitch of the frame at about this time, 0 if there is none, because silent frames are not kept. */
function pitchAt(frames, atMs) {
  const frame = frames.find((each) => Math.abs(each.atMs - atMs) < FRAME_MS / 2)
  return frame ? pitch(frame) : 0
}

/** Returns the pitch data of samples, frame by frame, as the listener in a room measures them. */
function framesOf(samples) {
  const length = FRAME_MS * PER_MS
  return Array.from({ length: Math.floor(samples.length / length) }, (_, n) => {
    const frame = samples.subarray(n * length, (n + 1) * length)
    const crossings = frame.filter((sample, index) => index > 0 && sample < 0 !== frame[index - 1] < 0).length
    return { atMs: n * FRAME_MS, lengthMs: FRAME_MS, crossings, power: frame.reduce((sum, x) => sum + x * x, 0) / length }
  })
}

/** Returns the mix after replaying the showcase. */
async function mix(t) {
  const directory = workspace(t)
  const result = await run(directory, ['replay', FILE])
  const out = path.join(directory, 'mix.wav')
  return { ...result, bytes: readFileSync(out), ...readWav(out) }
}

test('every tone is on time, reproducibly', async (t) => {
  const [first, second] = [await mix(t), await mix(t)]
  assert.equal(first.exitCode, 1, first.stderr) // for one that waits too long
  assert.match(first.stdout, /10 completed, 6 stopped, 1 failed/)
  assert.ok(first.bytes.equals(second.bytes))
  const frames = framesOf(first.samples)
  for (const { hz, atMs, tillMs, isCrossed } of TONES) {
    const lateMs = onset(frames, hz, Math.max(0, atMs - 150)) - atMs
    assert.ok(Math.abs(lateMs) <= (isCrossed ? 50 : 10), `${hz} Hz is ${lateMs} ms later than ${atMs} ms`)
    const heard = level(first.samples, (tillMs - 100) * PER_MS, tillMs * PER_MS, hz)
    assert.ok(heard > 0.1, `${hz} Hz at a level of ${heard} before ${tillMs} ms`)
  }
  const silent = [[3000, 3500], [4010, 4500], [5600, 6000], [8700, 9500], [13_500, 14_000], [18_400, 19_000], [20_000, 20_500]]
  for (const [from, to] of silent) {
    assert.ok(first.samples.subarray(from * PER_MS, to * PER_MS).every((sample) => sample === 0), `silence from ${from} ms`)
  }
})

test('volume, ducking and fades change the level', async (t) => {
  const { samples } = await mix(t)
  const at = (hz, fromMs) => level(samples, fromMs * PER_MS, (fromMs + 100) * PER_MS, hz)
  const full = at(400, 500)
  const close = (actual, expected, what) => assert.ok(Math.abs(actual / full - expected) < 0.03, `${what}: ${actual / full}`)
  close(at(400, 0), 0.25, 'half of a fade in of 200 ms')
  close(at(400, 950), 0.65, 'half of a fall to 0.3')
  close(at(400, 1500), 0.3, 'at 0.3')
  close(at(400, 2200), 1, 'at 1 again')
  close(at(1000, 5400), 0.5, 'half of a stop of 300 ms')
  close(at(400, 16_200), 0.5, 'at half the volume')
  close(at(400, 16_800), 0.5 * 10 ** (-15 / 20), 'ducked below the voice')
  close(at(400, 17_600), 0.5, 'and risen after it')
})

test('the timeline shows waiting, pauses and seeks', async (t) => {
  const { stdout } = await mix(t)
  assert.match(stdout, /^control +├─*┄+─*»─*■ stopped \(user\)$/m)
  assert.match(stdout, /^patient +·+├─+┤$/m)
  assert.match(stdout, /0\.800 s {2}volume +loop {2}to 0\.3 in 400 ms\n/)
  assert.match(stdout, /17\.200 s {2}interrupt all but ambient\n/)
  assert.equal(stdout.match(/^twin/gm).length, 1, 'the second is the first')
})

/** Plays the showcase into a room and returns what was heard there on each track, in ms since its start. */
async function heardInRoom() {
  const [user] = (await Log.open([FILE])).users.values()
  const room = await Room.open({}, user)
  const session = new SpeakerSession({ ...user.options, output: room.output })
  try {
    const joinedMs = await room.prepare(session)
    const zeroMs = joinedMs + (await settle(session))
    const history = new History(session)
    await makeRequests(session, user, history, { clock: room.clock, zeroMs })
    const { sounds, missed } = await room.heard(history.playbacks)
    assert.deepEqual(missed, [])
    return sounds.map(({ track, frames }) => ({ track, frames: frames.map((frame) => ({ ...frame, atMs: frame.atMs - zeroMs })) }))
  } finally {
    await session.close()
    await room.close()
  }
}

/** Plays silence on every track, because a listener's jitter buffer grows gradually at first. Returns how long that took. */
async function settle(session) {
  const begun = performance.now()
  const silence = { audio: tone(440, 1500), volume: 0, stopOther: false }
  await Promise.all([0, 1, 2, 3, 4, 5].map((trackId) => session.playAudio({ ...silence, trackId })))
  await sleep(500)
  return performance.now() - begun
}

test('a room hears every tone on time', async (t) => {
  delete process.env.LIVEKIT_URL // a server of its own
  const inFile = framesOf((await mix(t)).samples)
  // On a busy machine a listener's jitter buffer grows by tens of ms now and then. So a tone is late only if it is late every time.
  let late = TONES
  for (let times = 0; times < 3 && late.length > 0; times++) {
    const sounds = await heardInRoom()
    const lateMs = TONES.map(({ hz, track, atMs }) => {
      const frames = sounds.filter((sound) => sound.track === track).flatMap((sound) => sound.frames)
      const fromMs = Math.max(0, atMs - 150)
      return onset(frames, hz, fromMs) - onset(inFile, hz, fromMs)
    })
    // All are delayed by the way to the listener; each by as much as the others.
    const usual = lateMs.toSorted((a, b) => a - b)[Math.floor(lateMs.length / 2)]
    t.diagnostic(`later by ${lateMs.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    late = late.filter((tone) => Math.abs(lateMs[TONES.indexOf(tone)] - usual) > 40)
  }
  assert.deepEqual(late, [])
})
