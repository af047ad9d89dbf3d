'use strict'

// A wall clock that is set back and forward while sessions play, and a process that is suspended while in a room.

const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { renameSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { tone } = require('../../support/wav')
const { library } = require('../preload')
const { within } = require('../within')

const DAY = 86_400
const HALT_MS = 30_000
/** Rejoining the room may take time on a busy machine. */
const BACK_MS = 30_000

/** Sets the wall clock to this many seconds from the true time. */
function setClock(folder, seconds) {
  writeFileSync(path.join(folder, 'seconds'), String(seconds))
  renameSync(path.join(folder, 'seconds'), path.join(folder, 'clock'))
}

/** The process that speaks in the room until it is killed. */
const speaker = `
  const { SpeakerSession } = require(${JSON.stringify(path.join(__dirname, '../../..'))})
  const { URL: url, TOKEN: token, FILE: audioUrl } = process.env
  const session = new SpeakerSession({ output: { type: 'livekit', url, token } })
  for (const name of ['started', 'reconnecting', 'reconnected', 'failed', 'disconnected']) session.on(name, () => console.log(name))
  session.playAudio({ audioUrl, loop: true }).catch(({ code }) => console.log(code))
`

module.exports = [
  {
    what: 'the wall clock is set back and forward by a day',
    short: true,
    needs: ['linux', 'cc'],
    env: (folder) => ({ LD_PRELOAD: library('wall-clock'), WALL_CLOCK: path.join(folder, 'clock') }),
    async run({ folder }) {
      const session = new SpeakerSession({ output: { type: 'memory' }, startTimeoutMs: 5000, overlap: 'queue', queueTimeoutMs: 5000 })
      const before = Date.now()
      for (const seconds of [-DAY, DAY, 0]) {
        const playing = [1, 2].map(() => session.playAudio({ audio: tone(440, 300), stopOther: false }))
        await sleep(100)
        setClock(folder, seconds)
        assert.ok(Math.abs(Date.now() - before - seconds * 1000) < 60_000, 'the clock is set')
        const results = await within(Promise.all(playing))
        assert.deepEqual(results.map(({ outcome, durationMs }) => [outcome, durationMs]), Array(2).fill(['completed', 300]))
      }
      await within(session.close())
    }
  },
  {
    what: 'a process in a room is halted for 30 s',
    needs: ['linux'],
    async run({ folder }) {
      const { openRoom, fromNow, until } = require('../../support/room')
      const cleanups = []
      const room = await openRoom({ name: 'place', after: (cleanup) => cleanups.push(cleanup) })
      const FILE = path.join(folder, 'tone.wav')
      writeFileSync(FILE, tone(440, 5000))
      const env = { ...process.env, URL: room.server.url, TOKEN: await room.token('halted'), FILE }
      const child = spawn(process.execPath, ['-e', speaker], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', (data) => (said += data))
      const isHeard = () => {
        const heard = fromNow(room.ear, 'speaker')
        const loud = () => heard().filter((sample) => Math.abs(sample) > 0.1).length
        return until(() => loud() > 24_000, 'half a second is heard', BACK_MS)
      }
      try {
        await isHeard()
        child.kill('SIGSTOP')
        await sleep(HALT_MS)
        child.kill('SIGCONT')
        await isHeard()
        assert.ok(!/failed|ERR|disconnected/.test(said), said)
        return said.trim().split('\n').join(', ')
      } finally {
        child.kill('SIGKILL')
        await once(child, 'exit')
        for (const cleanup of cleanups.reverse()) await cleanup()
      }
    }
  }
]
