'use strict'

// The descriptors of docs/operations.md, counted in their own process.

const assert = require('node:assert/strict')
const os = require('node:os')
const { test } = require('node:test')

const { run } = require('../support/process')
const { openEmptyRoom } = require('../support/room')

const ROOMS = 5
/** Those of the process. */
const MOST = 10 + 4 * os.availableParallelism()

test('descriptors per process, core, session and room', { skip: process.platform !== 'linux' }, async (t) => {
  const room = await openEmptyRoom(t)
  const tokens = await Promise.all(Array.from({ length: ROOMS }, (_, n) => room.token(`speaker-${n}`)))
  const { code, out, err } = await run(t, `
    const { readdirSync } = require('node:fs')
    const { setTimeout: sleep } = require('node:timers/promises')
    const count = () => readdirSync('/proc/self/fd').length
    const before = count()
    /** Returns the number of additional descriptors, once it is the expected one. */
    const settled = async (expected) => {
      for (let n = 0; n < 500 && count() - before !== expected; n++) await sleep(20)
      return count() - before
    }
    const open = async (output) => {
      const session = new SpeakerSession({ output })
      await session.connect()
      return session
    }
    ;(async () => {
      const session = await open({ type: 'memory' })
      const first = count() - before
      for (let n = 0; n < 20; n++) await open({ type: 'memory' })
      const many = count() - before
      const rooms = await Promise.all(${JSON.stringify(tokens)}.map((token) => open({ type: 'livekit', url: '${room.server.url}', token })))
      const joined = await settled(first + 2 * ${ROOMS})
      await Promise.all(rooms.map((session) => session.close()))
      const left = await settled(first)
      session.playAudio({ audioUrl: 'long.wav' }).catch(() => {})
      const file = await settled(first + 1)
      const wav = await open({ type: 'wav', path: 'out.wav' })
      const output = await settled(first + 2)
      await Promise.all([session.close(), wav.close()])
      const end = await settled(first)
      console.log(JSON.stringify([first <= ${MOST}, ...[many, joined, left, file, output, end].map((n) => n - first)]))
      process.exit()
    })()
  `)
  assert.deepEqual([code, err, JSON.parse(out)], [0, '', [true, 0, 2 * ROOMS, 0, 1, 2, 0]])
})
