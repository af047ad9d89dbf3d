'use strict'

// Crossfades into a source that loads late, in real time: the expected samples follow from the times of the events.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { MS, assertMix, flat, lane } = require('../support/mix')
const { open } = require('../support/session')

const play = (session, requestId, request) => session.playAudio({ requestId, stopOther: false, ...request })

/** A clip on a server that waits with its answer until it is told to send it. */
async function serveLate(t, clip) {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close(server.closeAllConnections()))
  const asked = once(server, 'request')
  const answer = async () => (await asked)[1].end(clip)
  return { audioUrl: `http://127.0.0.1:${server.address().port}/`, asked, answer }
}

/** Returns when an event of a playback was emitted. */
const at = (told, wanted, id) => told.find(({ type, requestId }) => type === wanted && requestId === id).atMs
const states = (session) => session.playbacks().map(({ state }) => state)

test('replace: the old plays until the new loads', async (t) => {
  const { session, heard, told } = open(t, { overlap: 'replace', crossfadeMs: 60, output: { clock: 'realtime' } })
  const { audioUrl, asked, answer } = await serveLate(t, flat(300, 0.5))
  const old = play(session, 'a', { audio: flat(60000, 0.25) })
  await once(session, 'started')
  const next = play(session, 'b', { audioUrl })
  await asked
  await sleep(200)
  assert.deepEqual(states(session), ['stopping', 'loading'])
  await answer()
  assert.equal((await next).durationMs, 300)
  assert.equal((await old).reason, 'replaced')
  const [begun, start] = ['a', 'b'].map((id) => at(told, 'started', id))
  assert.ok(start - begun >= 180, 'it went on while the new one loaded')
  const around = heard().subarray(Math.round((start - 60) * MS), Math.round((start + 300) * MS))
  assertMix(around, [lane(0.25, -200, 120, { fall: 60 }), lane(0.5, 60, 360, { rise: 60 })])
})

test('queue: a late next one crossfades the rest', async (t) => {
  const { session, heard, told } = open(t, { overlap: 'queue', crossfadeMs: 4000, output: { clock: 'realtime' } })
  const { audioUrl, answer } = await serveLate(t, flat(4000, 0.5))
  const first = play(session, 'a', { audio: flat(3000, 0.25) })
  play(session, 'b', { audioUrl })
  while (session.playbacks()[0].positionMs < 1600) await sleep(5)
  assert.deepEqual(states(session), ['playing', 'loading'], 'its turn came half way through')
  await answer()
  assert.equal((await first).outcome, 'completed')
  const [begun, start, end] = [at(told, 'started', 'a'), at(told, 'started', 'b'), at(told, 'completed', 'a')]
  assert.ok(start >= begun + 1600 && start < end)
  const both = heard().subarray(Math.round(begun * MS), Math.round(end * MS))
  const [from, length] = [start - begun, end - start]
  assertMix(both, [lane(0.25, 0, 3000, { fall: length }), lane(0.5, from, from + 4000, { rise: length })])
})

test('queue: a next one that loads after the end plays late', async (t) => {
  const { session, told } = open(t, { overlap: 'queue', crossfadeMs: 100, output: { clock: 'realtime' } })
  const { audioUrl, answer } = await serveLate(t, flat(300, 0.5))
  const first = play(session, 'a', { audio: flat(300, 0.25) })
  const next = play(session, 'b', { audioUrl })
  assert.equal((await first).outcome, 'completed')
  await answer()
  assert.equal((await next).outcome, 'completed')
  assert.ok(at(told, 'started', 'b') >= at(told, 'completed', 'a'))
})
