'use strict'

// The temporary folder, in which downloads are kept: slow, hung, missing, full; and how much they keep there and in memory.

const assert = require('node:assert')
const { fork } = require('node:child_process')
const { once } = require('node:events')
const { fstatSync, readFileSync, readdirSync, readlinkSync } = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { frames } = require('../../support/healthy')
const { downloads, sampleAt } = require('../downloads')
const { mounted } = require('../mounted')
const { onSlowDisk, setDelay } = require('../slow-disk')
const { within } = require('../within')

const MIB = 2 ** 20
/** How many bytes are kept of a download that nobody hears. */
const AHEAD = 8 * MIB
/** At 48 kHz with 16 bits. */
const BYTES_PER_SECOND = { mono: 96_000, stereo: 192_000 }
const LARGE = '/stereo/1300'

const realtime = (options) => new SpeakerSession({ output: frames(), progressIntervalMs: 0, ...options })
const outcome = (promise) => promise.then(({ outcome, durationMs }) => `${outcome} ${durationMs}`, ({ code }) => code)
const inSlow = { ...onSlowDisk, env: (folder) => ({ ...onSlowDisk.env(folder), TMPDIR: path.join(folder, 'slow') }) }
const inMissing = { env: (folder) => ({ TMPDIR: path.join(folder, 'missing') }) }

/** Row fields for its own TMPDIR, mounted with these options. */
const onMount = (options) => ({ ...mounted(options), env: (folder) => ({ TMPDIR: path.join(folder, 'slow') }) })

/** Runs with a server of downloads. */
const withServer = (run) => async (row) => {
  const server = await downloads()
  try {
    return await run({ ...row, ...server })
  } finally {
    server.close()
  }
}

/** Returns how many bytes of a download the system and HTTP may hold in transit. */
function onItsWay() {
  const most = (name) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1').trim().split(/\s+/)[2])
  return most('tcp_rmem') + most('tcp_wmem') + 2 * MIB
}

/** Plays a minute on the manual clock and compares every sample. */
async function heardWhole(url) {
  const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
  const end = outcome(session.playAudio({ audioUrl: `${url}/mono/60` }))
  await within(session.advance(60_000), 30_000)
  assert.equal(await within(end), 'completed 60000')
  const { samples } = session.recording()
  for (let n = 0; n < samples.length; n++) {
    if (Math.abs(samples[n] - sampleAt(n) / 32768) > 1e-6) assert.fail(`sample ${n} is ${samples[n]}`)
    // The healthy sessions share this thread.
    if (n % 100_000 === 0) await sleep(1)
  }
  await within(session.close())
}

/** Starts downloads that pause as soon as they sound. */
async function paused(url, count, options) {
  const sessions = Array.from({ length: count }, () => {
    const session = realtime(options)
    const isPaused = once(session, 'paused')
    session.once('started', () => session.pauseAudio())
    return { session, isPaused, end: outcome(session.playAudio({ audioUrl: `${url}${LARGE}` })) }
  })
  await within(Promise.all(sessions.map(({ isPaused }) => isPaused)))
  return sessions
}

/** Returns the bytes in unnamed files. */
function nameless() {
  return readdirSync('/proc/self/fd').reduce((sum, fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith('(deleted)') ? sum + fstatSync(Number(fd)).size : sum
    } catch {
      return sum // the listing's own
    }
  }, 0)
}

async function closeAll(sessions) {
  await within(Promise.all(sessions.map(({ session }) => session.close())))
  for (const { end } of sessions) assert.match(await within(end), /^stopped/)
}

const rows = [
  {
    what: 'a download through a temporary disk that takes 400 ms a call',
    ...inSlow,
    run: withServer(async ({ folder, url }) => {
      setDelay(folder, 400)
      const session = realtime()
      const end = outcome(session.playAudio({ audioUrl: `${url}/stereo/15` }))
      await heardWhole(url)
      assert.equal(await within(end, 30_000), 'completed 15000')
      const { underruns } = session.stats()
      await within(session.close())
      return `${underruns} underruns`
    })
  },
  {
    what: 'a download through a temporary disk that hangs',
    short: true,
    ...inSlow,
    run: withServer(async ({ folder, url }) => {
      setDelay(folder, -1)
      const session = realtime()
      const end = outcome(session.playAudio({ audioUrl: `${url}/stereo/15` }))
      await heardWhole(url)
      assert.equal(await within(end, 30_000), 'completed 15000')
      assert.equal(session.stats().underruns, 0)
      await within(session.close())
    })
  },
  {
    what: 'a temporary disk that hangs once half a download is there',
    ...inSlow,
    run: withServer(async ({ folder, url }) => {
      const [given, patient] = await paused(url, 2)
      await sleep(1000)
      setDelay(folder, -1)
      for (const { session } of [given, patient]) await session.resumeAudio()
      await sleep(6000)
      assert.ok(patient.session.stats().underruns > 0, 'its bytes are late')
      await closeAll([given])
      const { timeMs } = patient.session.stats()
      setDelay(folder, 0)
      await sleep(2000)
      assert.ok(patient.session.stats().timeMs > timeMs + 1000)
      const { underruns } = patient.session.stats()
      await sleep(2000)
      assert.equal(patient.session.stats().underruns, underruns, 'it goes on')
      await closeAll([patient])
    })
  },
  { what: 'a temporary folder that is missing', short: true, ...inMissing, run: withServer(({ url }) => heardWhole(url)) },
  { what: 'a temporary folder that is read-only', ...onMount('ro'), run: withServer(({ url }) => heardWhole(url)) },
  {
    what: 'a temporary folder that is full after a megabyte, then has space again',
    ...onMount('size=1m'),
    run: withServer(async ({ url }) => {
      await heardWhole(url)
      await heardWhole(url)
    })
  },
  {
    what: 'three paused downloads of 240 MB, and what they keep',
    short: true,
    needs: ['linux'],
    run: withServer(async ({ url, sent }) => {
      const before = process.memoryUsage().rss
      const sessions = await paused(url, 3)
      await sleep(4000)
      const [kept, came, grown] = [nameless(), await sent(), process.memoryUsage().rss - before]
      assert.ok(kept > 3 * AHEAD - 6 * MIB && kept <= 3 * AHEAD, `${kept} bytes are in temporary files`)
      assert.ok(came <= 3 * (AHEAD + onItsWay()), `${came} bytes were sent`)
      assert.ok(grown < 32 * MIB, `${grown} bytes more in memory`)
      // They go on.
      for (const { session } of sessions) await session.resumeAudio()
      await sleep(2000)
      assert.ok(sessions.every(({ session }) => session.playbacks()[0].positionMs > 1000 && session.stats().underruns === 0))
      await closeAll(sessions)
      await sleep(500)
      assert.equal(nameless(), 0)
      return `${Math.round(kept / MIB)} MiB in files, ${Math.round(grown / MIB)} in memory`
    })
  },
  {
    what: 'a download budget used up by paused downloads, while others play',
    short: true,
    needs: ['linux'],
    run: withServer(async ({ url }) => {
      SpeakerSession.configure({ maxSpoolBytes: 16 * MIB })
      const sessions = await paused(url, 4)
      await sleep(2000)
      assert.ok(nameless() <= 12 * MIB, 'the last fourth is kept')
      // A download that needs less than what is left is heard whole, a larger one as far as the space goes.
      const [small, large] = [realtime(), new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, fetchTimeoutMs: 1000 })]
      const [whole, part] = [small, large].map((session, n) => session.playAudio({ audioUrl: url + ['/mono/8', '/mono/600'][n] }))
      part.catch(() => {})
      assert.equal(await within(outcome(whole), 12_000), 'completed 8000')
      assert.equal(small.stats().underruns, 0)
      await within(small.close())
      const end = within(assert.rejects(part, ({ code, durationMs }) => {
        const room = 4 * MIB / BYTES_PER_SECOND.mono * 1000
        assert.equal(code, 'ERR_SPOOL_FULL')
        assert.ok(durationMs > room / 2 && durationMs <= room, `${durationMs} ms were heard`)
        return true
      }), 20_000)
      await within(large.advance(60_000), 20_000)
      await end
      await within(large.close())
      // Space is released, and is there for the next one.
      await closeAll(sessions)
      await heardWhole(url)
    })
  },
  {
    what: 'bounded memory for downloads without a disk',
    needs: ['linux'],
    ...inMissing,
    run: withServer(async ({ url }) => {
      SpeakerSession.configure({ maxSpoolBytes: 32 * MIB })
      const before = process.memoryUsage().rss
      const sessions = await paused(url, 8)
      await sleep(3000)
      const grown = process.memoryUsage().rss - before
      // HTTP holds some of each.
      assert.ok(grown < 64 * MIB, `${grown} bytes more in memory`)
      assert.equal(nameless(), 0)
      await closeAll(sessions)
      return `${Math.round(grown / MIB)} MiB`
    })
  },
  {
    what: 'a process that is killed while it downloads',
    needs: ['linux'],
    env: (folder) => ({ TMPDIR: path.join(folder, 'slow') }),
    run: withServer(async ({ folder, url }) => {
      const child = fork(__filename, [`${url}${LARGE}`])
      await within(once(child, 'message'))
      child.kill('SIGKILL')
      await once(child, 'exit')
      assert.deepEqual(readdirSync(path.join(folder, 'slow')), [])
    })
  }
]

/** The process to kill: it reports when part of its download is in a temporary file. */
async function download(audioUrl) {
  await paused(audioUrl.slice(0, -LARGE.length), 1)
  while (nameless() === 0) await sleep(20)
  process.send('now')
}

if (require.main === module) download(process.argv[2])

module.exports = rows
