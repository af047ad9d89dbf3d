'use strict'

// Source files on a disk that is slow or hangs.

const assert = require('node:assert')
const { once } = require('node:events')
const { writeFileSync } = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { frames } = require('../../support/healthy')
const { tone } = require('../../support/wav')
const { onSlowDisk, setDelay } = require('../slow-disk')
const { within } = require('../within')

const realtime = (options) => new SpeakerSession({ output: frames(), progressIntervalMs: 0, ...options })

/** Writes files to the disk that will be slow. */
function files(folder, count, ms) {
  const clip = tone(440, ms)
  return Array.from({ length: count }, (_, n) => {
    const file = path.join(folder, 'slow', `${n}.wav`)
    writeFileSync(file, clip)
    return file
  })
}

/** Plays other files one after another; each begins and is heard whole. */
async function othersBegin(folder) {
  const file = path.join(folder, 'clip.wav')
  writeFileSync(file, tone(440, 200))
  const session = realtime()
  for (let n = 0; n < 5; n++) {
    const { outcome, durationMs } = await within(session.playAudio({ audioUrl: file }), 2000)
    assert.deepEqual([outcome, durationMs], ['completed', 200])
  }
  await within(session.close())
}

const outcome = (promise) => promise.then(({ outcome, durationMs }) => `${outcome} ${durationMs}`, ({ code }) => code)

module.exports = [
  {
    what: 'two files that never open, while other files begin',
    short: true,
    ...onSlowDisk,
    async run({ folder }) {
      const audioUrls = files(folder, 2, 500)
      setDelay(folder, -1)
      const [stopped, late] = [realtime(), realtime({ startTimeoutMs: 1500 })]
      const ends = [stopped, late].map((session, n) => outcome(session.playAudio({ audioUrl: audioUrls[n] })))
      await othersBegin(folder)
      await stopped.stopAudio()
      assert.deepEqual(await within(Promise.all(ends)), ['stopped 0', 'ERR_START_TIMEOUT'])
      setDelay(folder, 0)
      assert.equal(await within(outcome(late.playAudio({ audioUrl: audioUrls[1] }))), 'completed 500')
      await within(Promise.all([stopped.close(), late.close()]))
    }
  },
  {
    what: 'six files whose reads never return, while other files begin',
    ...onSlowDisk,
    async run({ folder }) {
      const sessions = files(folder, 6, 4000).map((audioUrl) => {
        const session = realtime()
        const started = once(session, 'started')
        return { session, started, end: outcome(session.playAudio({ audioUrl })) }
      })
      await within(Promise.all(sessions.map(({ started }) => started)))
      setDelay(folder, -1)
      await othersBegin(folder)
      await sleep(1000)
      assert.ok(sessions.every(({ session }) => session.stats().underruns > 0), 'their bytes are late')
      // Three are given up, and three go on when the disk answers.
      const given = sessions.splice(0, 3)
      await within(Promise.all(given.map(({ session }) => session.close())))
      for (const { end } of given) assert.match(await within(end), /^stopped [1-9]/)
      setDelay(folder, 0)
      for (const { end } of sessions) assert.equal(await within(end, 10_000), 'completed 4000')
      await within(Promise.all(sessions.map(({ session }) => session.close())))
    }
  },
  {
    what: '40 files on a disk that takes 50 ms a call',
    ...onSlowDisk,
    async run({ folder }) {
      const audioUrls = files(folder, 40, 5000)
      setDelay(folder, 50)
      const sessions = audioUrls.map(() => realtime())
      const ends = sessions.map((session, n) => outcome(session.playAudio({ audioUrl: audioUrls[n] })))
      for (const end of ends) assert.equal(await within(end, 20_000), 'completed 5000')
      const underruns = sessions.map((session) => session.stats().underruns).reduce((sum, each) => sum + each)
      assert.equal(underruns, 0)
      await within(Promise.all(sessions.map((session) => session.close())))
    }
  },
  {
    what: 'a file on a disk that takes 400 ms a call, played and sought',
    ...onSlowDisk,
    async run({ folder }) {
      const [audioUrl] = files(folder, 1, 8000)
      setDelay(folder, 400)
      const session = realtime()
      const started = once(session, 'started')
      const end = outcome(session.playAudio({ audioUrl }))
      await within(started)
      await sleep(3000)
      const { underruns } = session.stats()
      await session.seekAudio({ positionMs: 6000 })
      const [{ positionMs }] = await within(once(session, 'sought'), 8000)
      assert.equal(positionMs, 6000)
      assert.match(await within(end, 8000), /^completed/)
      await within(session.close())
      return `${underruns} underruns`
    }
  }
]
