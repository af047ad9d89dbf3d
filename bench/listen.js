'use strict'

// The cost of listening in a LiveKit room, and its delay: this addon against @livekit/rtc-node.
//
// Load: N sessions in one process, each in a room of its own, in which a participant speaks all the time as LiveKit's clients do (Opus of
// 64 kbit/s with RED); each reads all of it in JavaScript, as frames of 10 ms and 48 kHz, the default of rtc-node. The speakers are
// sessions of the addon, in their own process. Neither that nor the server is counted.
//
// Loss: the missing part of rising tones (chirp.js) that a participant plays, with packet loss between the server and the listener.
//
// Delay: from the call that plays a burst of tone to the first audible frame (10 ms) of a listener's AudioStream; with rtc-node on both
// sides, in one room, and through a voice that the addon plays into another one. It only reports: no time makes it fail.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { AudioStream, Room, RoomEvent, dispose } = require('@livekit/rtc-node')

const { accessToken } = require('../lib/livekit/access-token')
const { openServer, roomOn, speak, until } = require('../__test__/support/room')
const { Talker, hum, listenTo } = require('../__test__/support/talker')
const { Wire } = require('../__test__/support/wire')
const { chirpSamples, missing } = require('./chirp')
const { cells, named } = require('./percentiles')
const { operands, save } = require('./results')

// `node bench/listen.js [COUNTS [WORDS [BURSTS]]]`; with 0 words or bursts that part is left out
const [COUNTS = '1,10,30', WORDS = '60', BURSTS = '60'] = operands()
const WINDOW_MS = 10_000
const HUNG_MS = 120_000
const MB = 1e6
const RATE = 48000
const LOSSES = [0, 0.05, 0.1, 0.15]
const WORD_MS = 300
const HEARD_MS = 600
const BURST_HZ = 1000
const AUDIBLE = 0.05

let rooms = 0

/** Runs one load in its own process. */
function start(message) {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] // rtc-node logs to stdout
  const child = fork(path.join(__dirname, 'listen-load.js'), { stdio, timeout: HUNG_MS, killSignal: 'SIGKILL' })
  child.send(message)
  return child
}

async function load(server, kind, count) {
  const names = Array.from({ length: count }, () => `listen-${++rooms}`)
  const tokens = (identity) => Promise.all(names.map((room) => accessToken(server, room, identity)))
  const speakers = start({ kind: 'speakers', url: server.url, tokens: await tokens('speaker') })
  await once(speakers, 'message')
  const listeners = start({ kind, url: server.url, tokens: await tokens('listener'), windowMs: WINDOW_MS })
  const [result] = await once(listeners, 'message')
  await once(listeners, 'exit')
  speakers.send('end')
  await once(speakers, 'exit')
  return result
}

async function loads(server, found) {
  const one = {}
  for (const count of COUNTS.split(',').map(Number)) {
    const rows = {}
    for (const kind of ['ours', 'official']) {
      const { cores, heard, rss, errors } = await load(server, kind, count)
      one[kind] ??= { rss, count }
      const added = count > one[kind].count ? (rss - one[kind].rss) / (count - one[kind].count) / MB : undefined
      rows[kind] = { percent: (100 * cores) / count, heard, rssMB: rss / MB, addedMB: added }
      const name = kind === 'ours' ? 'A speaker-session' : 'B rtc-node'
      console.log(
        `${name.padEnd(18)}${String(count).padStart(4)} listening  ${rows[kind].percent.toFixed(2).padStart(6)} % of a core each  ` +
        `${(100 * heard).toFixed(1).padStart(6)} % heard  RSS ${(rss / MB).toFixed(0).padStart(4)} MB  ` +
        `${added === undefined ? '' : `${added.toFixed(2)} MB each`}${errors ? `  ${errors} did not join` : ''}`
      )
      found.push({ row: 'load', kind, count, ...rows[kind] })
    }
    const ratio = rows.ours.percent / rows.official.percent
    console.log(`${'A/B'.padEnd(18)}${ratio.toFixed(3).padStart(21)}`)
    found.push({ row: 'load', count, ratio })
  }
}

/** Measures the missing part of words at a listener behind a wire that loses packets. */
async function losses(t, server, found) {
  const ways = LOSSES.flatMap((loss) => [false, true].map((red) => ({ loss, red })))
  const rows = await Promise.all(ways.map(async ({ loss, red }) => {
    const room = roomOn(t, server)
    const wire = await Wire.open(server.url, t)
    const talker = await Talker.join(t, room, { red })
    const { session } = speak(t, room, { url: wire.url })
    const voice = session.listen({ identity: 'talker', format: 'f32' })
    const heard = listenTo(voice)
    await session.connect()
    for (let n = 0; n < 50 && heard.frames.length < 50; n++) await talker.say(hum(440, 200))
    wire.media.loss = loss
    let inside = 0
    for (let n = 0; n < Number(WORDS); n++) {
      const from = heard.frames.length
      await talker.say(chirpSamples(WORD_MS))
      await sleep(HEARD_MS)
      inside += missing(heard.samples(from), WORD_MS).within
    }
    return { row: 'loss', loss, red, missing: inside / (Number(WORDS) * WORD_MS), stats: voice.stats() }
  }))
  for (const { loss, red, missing: share, stats } of rows) {
    console.log(
      `${`${100 * loss} %`.padStart(5)} lost  ${(red ? 'red' : 'once').padEnd(5)}${(100 * share).toFixed(2).padStart(7)} % missing  ` +
      `delay ${stats.delayMs.toFixed(0)} ms`
    )
  }
  found.push(...rows)
}

/** Calls back at the first audible frame of each burst. */
async function ear(t, room) {
  const listener = new Room()
  const heard = { onBurst: () => {}, isThere: false }
  listener.on(RoomEvent.TrackSubscribed, async (track) => {
    for await (const { data } of new AudioStream(track, RATE, 1)) {
      heard.isThere = true
      if (data.some((sample) => Math.abs(sample) > AUDIBLE * 32768)) heard.onBurst(performance.now())
    }
  })
  await listener.connect(room.server.url, await room.token('ear', { canPublish: false }), { autoSubscribe: true, dynacast: false })
  t.after(() => listener.disconnect())
  return heard
}

async function delays(t, server, found) {
  const [room, hall] = [roomOn(t, server), roomOn(t, server)]
  const direct = await ear(t, room)
  const relayed = await ear(t, hall)
  const talker = await Talker.join(t, room)
  const { session: listener } = speak(t, room)
  const { session: speaker } = speak(t, hall)
  await Promise.all([listener.connect(), speaker.connect()])
  const voice = listener.listen({ identity: 'talker' })
  speaker.playAudio({ audio: voice }).catch(() => {})
  await until(async () => (await talker.say(hum(BURST_HZ, 100)), direct.isThere && relayed.isThere), 'both hear', 60_000)
  await sleep(2000)
  const times = { direct: [], relayed: [] }
  for (let n = 0; n < Number(BURSTS); n++) {
    const first = (heard) => new Promise((resolve) => (heard.onBurst = resolve))
    const waiting = [first(direct), first(relayed)]
    const start = performance.now()
    talker.say(hum(BURST_HZ, 60))
    const lost = sleep(3000).then(() => undefined)
    const [a, b] = await Promise.all(waiting.map((one) => Promise.race([one, lost])))
    if (a && b) {
      times.direct.push(a - start)
      times.relayed.push(b - start)
    }
    await sleep(500 + 37 * (n % 7))
  }
  const { delayMs } = voice.stats()
  await listener.close()
  await speaker.close()
  const added = times.relayed.map((time, n) => time - times.direct[n])
  for (const [name, values] of Object.entries({ 'said to heard': times.direct, 'by way of a voice': times.relayed, 'that is, later by': added })) {
    console.log(`${name.padEnd(20)}${cells(values).map((value) => value.toFixed(0).padStart(7)).join('')} ms (p50, p99, max)`)
    found.push({ row: 'delay', name, ms: named(values) })
  }
  console.log(`of which the jitter buffer keeps sound back for ${delayMs.toFixed(0)} ms`)
}

async function main() {
  const ends = []
  const t = { name: 'listen', after: (end) => ends.unshift(end) }
  const found = []
  try {
    const server = await openServer(t)
    console.log(`${os.cpus().length} cores; CPU over ${WINDOW_MS / 1000} s`)
    await loads(server, found)
    if (Number(WORDS) > 0) await losses(t, server, found)
    if (Number(BURSTS) > 0) await delays(t, server, found)
    save('listen', found)
  } finally {
    for (const end of ends) await end()
    await dispose()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
