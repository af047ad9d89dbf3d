'use strict'

// The file of the option `record`, on a disk that is slow or hangs, and at the path of a FIFO.

const assert = require('node:assert')
const { execFileSync } = require('node:child_process')
const { once } = require('node:events')
const { readFile } = require('node:fs/promises')
const path = require('node:path')

const { SpeakerSession } = require('../../..')
const { tone } = require('../../support/wav')
const { onSlowDisk, setDelay } = require('../slow-disk')
const { within } = require('../within')

/** More than Node's threads for files. */
const SESSIONS = 8
/** A disk may take 10 s. */
const GIVEN_UP_MS = 14_000

function recording(record) {
  const session = new SpeakerSession({ output: { type: 'memory' }, record })
  return { session, record, failed: once(session, 'error').then(([{ code }]) => code) }
}

const play = (session) => session.playAudio({ audio: tone(440, 100) }).then(({ outcome }) => outcome)

module.exports = [
  {
    what: 'recordings on a disk that takes 400 ms a call',
    ...onSlowDisk,
    async run({ folder }) {
      setDelay(folder, 400)
      const all = Array.from({ length: SESSIONS }, (_, n) => recording(path.join(folder, 'slow', `${n}.jsonl`)))
      for (let n = 0; n < 20; n++) await within(Promise.all(all.map(({ session }) => session.stopAudio())))
      assert.deepEqual(new Set(await within(Promise.all(all.map(({ session }) => play(session))))), new Set(['completed']))
      await within(Promise.all(all.map(({ session }) => session.close())), GIVEN_UP_MS)
      setDelay(folder, 0)
      for (const { record } of all) assert.equal((await readFile(record, 'utf8')).split('\n').length, 1 + 20 + 1 + 1)
    }
  },
  {
    what: 'recordings on a disk that hangs while Node reads other files',
    short: true,
    ...onSlowDisk,
    async run({ folder }) {
      setDelay(folder, -1)
      const all = Array.from({ length: SESSIONS }, (_, n) => recording(path.join(folder, 'slow', `${n}.jsonl`)))
      assert.deepEqual(new Set(await within(Promise.all(all.map(({ session }) => play(session))))), new Set(['completed']))
      await within(readFile(__filename))
      const [first, ...others] = all
      // Closed while the disk hangs; the error was emitted before.
      await assert.rejects(within(first.session.close(), GIVEN_UP_MS), { code: 'ERR_RECORD' })
      assert.deepEqual(new Set(await within(Promise.all(others.map(({ failed }) => failed)), GIVEN_UP_MS)), new Set(['ERR_RECORD']))
      await within(Promise.all(others.map(({ session }) => session.close())))
      setDelay(folder, 0)
      const again = recording(path.join(folder, 'slow', 'again.jsonl'))
      assert.equal(await within(play(again.session)), 'completed')
      await within(again.session.close())
      assert.match(await readFile(again.record, 'utf8'), /"type":"play"/)
    }
  },
  {
    what: 'a recording into a FIFO without a reader',
    needs: ['linux'],
    async run({ folder }) {
      const fifo = path.join(folder, 'fifo')
      execFileSync('mkfifo', [fifo])
      const { session, failed } = recording(fifo)
      assert.equal(await within(failed), 'ERR_RECORD')
      assert.equal(await within(play(session)), 'completed')
      await within(session.close())
    }
  }
]
