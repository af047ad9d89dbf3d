'use strict'

// The process of run.js for each trick: healthy sessions that play, and beside them copies of the trick, which run until they end, or are
// stopped, or closed. Its parent sends what to do; it answers once, and exits by itself.

const { readFileSync, readdirSync, readlinkSync, writeFileSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { frames, healthy } = require('../support/healthy')

// Four copies may take 256 MiB each, and the last quarter is not for them.
SpeakerSession.configure({ maxSpoolBytes: 2 ** 31 })

const HEALTHY = 50
const SETTLE_MS = 400
const MIDDLE_MS = 100
/** The time limit of a promise that should settle at once. */
const PATIENCE_MS = 10_000

/** Returns the memory of this process, or its peak since `forgetPeak`, in MiB. */
function memory(field) {
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'latin1'))[1]) / 1024
}

const forgetPeak = () => writeFileSync('/proc/self/clear_refs', '5')

/** Counts open files without sockets: a client keeps some for its next request. */
function files() {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return !readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false // that of the listing itself
    }
  }).length
}

const within = (promise, ms, other) => Promise.race([promise, sleep(ms, other, { ref: false })])

/** Plays the trick in a session of its own. */
function attack({ audioUrl, more, options }) {
  const session = new SpeakerSession({ output: frames(), ...options })
  let message
  const ended = session.playAudio({ audioUrl, ...more }).then(({ outcome }) => outcome, (error) => {
    message = error.message
    return error.code
  })
  return { session, ended, message: () => message }
}

/** Returns the time until `act` has settled and the playback has ended, in ms; `undefined` if that is too long. */
async function timed({ ended, session }, act) {
  const begun = performance.now()
  const both = Promise.all([act(session), ended]).then(() => performance.now() - begun)
  return within(both, PATIENCE_MS)
}

const stop = (session) => session.stopAudio()
const close = (session) => session.close()

async function run({ trick, copies, steady, runMs, limitMs }) {
  const others = await Promise.all(Array.from({ length: HEALTHY }, (_, n) => healthy(steady[n % steady.length])))
  await sleep(SETTLE_MS)
  global.gc()
  others.forEach(({ forget }) => forget())
  const before = { files: files(), memory: memory('VmRSS') }
  forgetPeak()

  const settled = []
  let got = []
  let messages = []
  if (trick.audioUrl) {
    // Until they end.
    const alone = Array.from({ length: copies }, () => attack(trick))
    const wait = trick.expected === 'stopped' ? runMs : limitMs
    const over = await Promise.all(alone.map(({ ended }) => within(ended, wait, 'plays on')))
    for (const [n, one] of alone.entries()) {
      if (over[n] === 'plays on') settled.push(await timed(one, stop))
      settled.push(await timed(one, close))
    }
    got = over.map((outcome) => (outcome === 'plays on' && trick.expected === 'stopped' ? 'stopped' : outcome))
    messages = alone.map((one) => one.message())
    // Stopped and closed half-way.
    const begun = Array.from({ length: copies }, () => attack(trick))
    await sleep(MIDDLE_MS)
    settled.push(...(await Promise.all(begun.map((one, n) => timed(one, n % 2 ? close : stop)))))
    await Promise.all(begun.map((one) => timed(one, close)))
  } else {
    await sleep(runMs)
  }

  const heard = others.map(({ silentMs, lateMs }) => [silentMs(), lateMs()])
  const [peak, broken] = [memory('VmHWM') - before.memory, SpeakerSession.processStats().broken]
  const left = async () => {
    for (let n = 0; files() > before.files && n < 100; n++) await sleep(20)
    return files() - before.files
  }
  const filesLeft = await left()
  await Promise.all(others.map(({ session }) => within(session.close(), PATIENCE_MS)))
  return {
    got, messages, peak, broken, filesLeft,
    silentMs: Math.max(...heard.map(([silent]) => silent)),
    lateMs: Math.max(...heard.map(([, late]) => late)),
    // JSON has no `undefined` in arrays.
    settledMs: settled.map((ms) => ms ?? Infinity).reduce((most, ms) => Math.max(most, ms), 0),
    neverSettled: settled.filter((ms) => ms === undefined).length
  }
}

process.once('message', async (load) => {
  process.send(await run(load))
  process.disconnect()
})
