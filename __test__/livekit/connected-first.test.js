'use strict'

// `connected` is emitted before any `started`.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { openEmptyRoom } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const TIMES = 6

for (const publish of ['connect', 'lazy']) {
  test(`publish '${publish}': connected comes before started`, async (t) => {
    const room = await openEmptyRoom(t)
    for (let n = 0; n < TIMES; n++) {
      const output = { type: 'livekit', clock: undefined, url: room.server.url, publish, token: () => room.token(`speaker-${n}`) }
      const { session, told } = open(t, { output })
      const connecting = session.connect()
      // At different moments of the join.
      if (n % 3) await sleep(n * 4)
      const playing = [0, 1].map((trackId) => session.playAudio({ audio: tone(440, 100), trackId, stopOther: false }))
      await Promise.all([connecting, ...playing])
      assert.equal(told.filter(({ type }) => type === 'started').length, 2)
      assert.deepEqual([told[0].type, told[0].seq], ['connected', 1])
      await session.close()
    }
  })
}
