'use strict'

// How many sources of a queue are open ahead of their turn.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { test } = require('node:test')

const { until } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

/** A server that never finishes a clip; `open` holds the downloads under way, by page. */
async function endless(t) {
  const downloads = new Set()
  const server = createServer((request, response) => {
    downloads.add(request.url)
    response.on('close', () => downloads.delete(request.url))
    response.write(tone(440, 1000).subarray(0, 5000))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close(server.closeAllConnections()))
  return { downloads, url: `http://127.0.0.1:${server.address().port}` }
}

test('rising priority opens one source ahead per queue', async (t) => {
  const { downloads, url } = await endless(t)
  const { session } = open(t, { overlap: 'queue', maxConcurrent: 1, output: { clock: 'realtime' } })
  const ends = []
  const play = (requestId, options) => ends.push(session.playAudio({ requestId, stopOther: false, ...options }))
  play('first', { audio: tone(440, 60_000) })
  for (let n = 0; n < 90; n++) {
    play(`${n}`, { audioUrl: `${url}/${n}`, priority: n })
    await until(() => downloads.has(`/${n}`), `the source of ${n} is opened ahead`)
  }
  await until(() => downloads.size <= 1, 'those that were overtaken are given up')
  assert.deepEqual([...downloads], ['/89'])
  assert.deepEqual(session.playbacks().slice(0, 3).map(({ requestId }) => requestId), ['first', '89', '88'])
  await session.moveAudio({ requestId: '7', queuePosition: 1 })
  await until(() => downloads.size === 1 && downloads.has('/7'), 'the one that was moved is opened instead')
  await session.stopAudio()
  for (const { outcome } of await Promise.all(ends)) assert.equal(outcome, 'stopped')
  await until(() => downloads.size === 0, 'nothing is downloaded any more')
})
