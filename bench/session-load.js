'use strict'

// One load of sessions.js or scale.js, in its own process so that its memory and threads are counted alone. Its parent sends
// `{ kind, url, tokens, noise, windowMs }` and what to play; it joins a room with every token, measures, answers once, leaves and ends.

const { once } = require('node:events')
const { existsSync, readFileSync, readdirSync } = require('node:fs')
const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')

const { serve } = require('./child')
const { openAll } = require('./open-all')

const SETTLE_MS = 3000
/** The silence after the first sound: a clip's packets are shared only after silence. */
const SILENCE_MS = 1000
const RATE = 48000
const FRAME_MS = 20
const FRAME = (RATE * FRAME_MS) / 1000
const WAV_HEADER = 44
const BITRATE = 64_000
/** The distance of start positions: users do not hear the same at the same time, and branch prediction learns repeated work. */
const APART_MS = 7 * FRAME_MS
const LATEST_MS = 15_000
const startMs = (n) => (n * APART_MS) % LATEST_MS

/** Measures CPU time over a steady window, then memory and threads. `soundMs` returns the duration of sound that all have sent so far. */
async function measure(windowMs, soundMs, lateFrames = () => undefined) {
  await sleep(SETTLE_MS)
  const [wall, sound, late, cpu] = [performance.now(), soundMs(), lateFrames(), process.cpuUsage()]
  await sleep(windowMs)
  const { user, system } = process.cpuUsage(cpu)
  const elapsed = performance.now() - wall
  return {
    cores: (user + system) / 1000 / elapsed,
    sound: (soundMs() - sound) / elapsed,
    late: late === undefined ? undefined : (lateFrames() - late) / ((soundMs() - sound) / FRAME_MS),
    rss: process.memoryUsage().rss,
    threads: existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : NaN
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0)

/**
 * Measures this addon. All sessions have spoken once; then each one, or one of so many (`every`), plays a file, a shared clip, or nothing. Meanwhile so many `decoders`
 * decode a file, again and again.
 */
async function ours({ url, tokens, noise, windowMs, play = 'file', every = 1, file = noise, red = false, atOnce, decoders = 0, decoded }) {
  const { SpeakerSession } = require('..')
  const blip = readFileSync(noise).subarray(0, WAV_HEADER + 5 * FRAME * 2)
  blip.writeUInt32LE(blip.length - 8, 4)
  blip.writeUInt32LE(blip.length - WAV_HEADER, 40)
  const { opened, ...joined } = await openAll(tokens, async (token) => {
    const output = { type: 'livekit', url, token, bitrate: BITRATE, red, connectTimeoutMs: 30_000 }
    const session = new SpeakerSession({ output })
    const played = session.playAudio({ audio: blip })
    await Promise.race([once(session, 'started'), played])
    return { session, played }
  }, atOnce)
  await Promise.all(opened.map(({ played }) => played))
  const sessions = opened.map(({ session }) => session)
  const clip = play === 'clip' ? await SpeakerSession.clip({ audioUrl: file }) : undefined
  await sleep(SILENCE_MS)
  const source = (n) => (clip ? { audio: clip } : { audioUrl: file, startMs: startMs(n) })
  const speakers = play === 'nothing' ? [] : sessions.filter((_, n) => n % every === 0)
  speakers.forEach((session, n) => session.playAudio(source(n)).catch(() => {}))
  let leaving = false
  const decode = async () => {
    while (!leaving) (await SpeakerSession.clip({ audioUrl: decoded })).close()
  }
  const decoding = Array.from({ length: decoders }, decode)
  const stats = (name) => sum(sessions.map((session) => session.stats()[name]))
  const measured = await measure(windowMs, () => stats('timeMs'), () => stats('lateFrames'))
  const odd = ['failed', 'underruns', 'lostFrames'].filter(stats).map((name) => `${stats(name)} ${name}`)
  const leave = () => {
    leaving = true
    return Promise.all([...decoding, ...sessions.map((session) => session.close())])
  }
  return { ...joined, ...measured, odd, sessions: sessions.length, leave }
}

/** Measures LiveKit's own package, set to do the same work: it encodes one mono track, without RED and DTX. */
async function official({ url, tokens, noise, windowMs }) {
  const rtc = require('@livekit/rtc-node')
  const options = new rtc.TrackPublishOptions({
    source: rtc.TrackSource.SOURCE_MICROPHONE, audioEncoding: { maxBitrate: BigInt(BITRATE) }, dtx: false, red: false
  })
  const { opened, ...joined } = await openAll(tokens, async (token) => {
    const room = new rtc.Room()
    await room.connect(url, token, { autoSubscribe: false, dynacast: false })
    const source = new rtc.AudioSource(RATE, 1)
    const track = rtc.LocalAudioTrack.createAudioTrack('speaker', source)
    await room.localParticipant.publishTrack(track, options)
    return { room, source }
  })

  const file = readFileSync(noise)
  const samples = new Int16Array(file.buffer, file.byteOffset + WAV_HEADER, (file.length - WAV_HEADER) / 2)
  const frames = Array.from({ length: Math.floor(samples.length / FRAME) }, (_, n) => {
    return new rtc.AudioFrame(samples.slice(n * FRAME, (n + 1) * FRAME), RATE, 1, FRAME)
  })
  let [sent, failed, leaving] = [0, 0, false]
  // Paced here and not by a full queue: with N calls waiting in it, each of its events would be handled N times.
  const feed = async ({ source }, place) => {
    const start = performance.now()
    for (let n = 0; !leaving; n++) {
      await source.captureFrame(frames[(n + startMs(place) / FRAME_MS) % frames.length])
      sent++
      const early = start + (n + 1) * FRAME_MS - performance.now()
      if (early > 0) await sleep(early)
    }
  }
  const feeding = opened.map((one, place) => feed(one, place).catch(() => failed++))
  const measured = await measure(windowMs, () => sent * FRAME_MS)
  const leave = async () => {
    leaving = true
    await Promise.all(feeding)
    await Promise.all(opened.map(({ room }) => room.disconnect()))
    await rtc.dispose()
  }
  return { ...joined, ...measured, odd: failed ? [`${failed} failed`] : [], sessions: opened.length, leave }
}

serve(async (load) => {
  const { leave, ...result } = await (load.kind === 'official' ? official(load) : ours(load))
  process.send(result)
  await leave()
})
