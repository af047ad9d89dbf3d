'use strict'

// FIFOs without a reader or a writer where a file is expected.

const assert = require('node:assert')
const { execFileSync } = require('node:child_process')
const path = require('node:path')

const { SpeakerSession } = require('../../..')
const { within } = require('../within')
const { tone } = require('../../support/wav')

module.exports = [
  {
    what: 'two wav outputs on FIFOs without a reader',
    short: true,
    needs: ['linux'],
    async run({ folder }) {
      const sessions = ['a', 'b'].map((name) => {
        const file = path.join(folder, name)
        execFileSync('mkfifo', [file])
        return new SpeakerSession({ output: { type: 'wav', path: file } })
      })
      const codes = sessions.map((session) => session.playAudio({ audio: tone(440, 200) }).catch(({ code }) => code))
      assert.deepEqual(await within(Promise.all(codes)), ['ERR_OUTPUT', 'ERR_OUTPUT'])
      await within(Promise.all(sessions.map((session) => session.close())))
    }
  },
  {
    what: 'two sources that are FIFOs without a writer',
    needs: ['linux'],
    async run({ folder }) {
      const codes = ['a', 'b'].map((name) => {
        const audioUrl = path.join(folder, name)
        execFileSync('mkfifo', [audioUrl])
        return new SpeakerSession({ output: { type: 'memory' } }).playAudio({ audioUrl }).catch(({ code }) => code)
      })
      assert.deepEqual(await within(Promise.all(codes)), ['ERR_FILE', 'ERR_FILE'])
    }
  }
]
