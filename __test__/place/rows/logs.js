'use strict'

// Standard error as the log's destination, and a reader of it that ends or stops reading.

const assert = require('node:assert')
const { constants, openSync, readFileSync, readSync } = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { within } = require('../within')
const { tone } = require('../../support/wav')

/** Row fields that make standard error a pipe whose reader, a process with its number in a file, reads nothing. */
const withReader = {
  needs: ['linux'],
  env: { SPEAKER_SESSION_LOG: 'trace' },
  under: (folder) => ['sh', '-c', 'mkfifo "$0/log"; sleep 100 <"$0/log" & echo $! >"$0/reader"; exec "$@" 2>"$0/log"', folder]
}

function endReader(folder) {
  process.kill(Number(readFileSync(path.join(folder, 'reader'), 'utf8')))
}

/** Opens and closes sessions that log more than a pipe and the queue before it hold. */
async function playBeside() {
  const name = 'x'.repeat(1500)
  for (let n = 0; n < 20; n++) {
    const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
    for (let m = 0; m < 50; m++) session.createStream({ format: 'pcm16', sampleRate: 48000, requestId: `${name}-${m}` })
    await within(session.close())
  }
  const session = new SpeakerSession({ output: { type: 'memory' } })
  assert.equal((await within(session.playAudio({ audio: tone(440, 1000) }))).outcome, 'completed')
  await within(session.close())
}

module.exports = [
  {
    what: 'a log whose reader ends',
    short: true,
    ...withReader,
    async run({ folder }) {
      endReader(folder)
      await playBeside()
    }
  },
  {
    what: 'a log whose reader stops reading',
    short: true,
    ...withReader,
    async run({ folder }) {
      await playBeside()
      // It is read again: the lost lines are reported.
      const log = openSync(path.join(folder, 'log'), constants.O_RDONLY | constants.O_NONBLOCK)
      endReader(folder)
      const bytes = Buffer.alloc(1 << 16)
      let read = ''
      const lost = async () => {
        for (;;) {
          try {
            read += bytes.toString('latin1', 0, readSync(log, bytes))
          } catch (error) {
            assert.equal(error.code, 'EAGAIN')
            await sleep(5)
          }
          const [, count] = /(\d+) lines of the log were lost here/.exec(read) ?? []
          if (count) return `${count} lines were lost`
        }
      }
      return within(lost(), 10_000)
    }
  }
]
