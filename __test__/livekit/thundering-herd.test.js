'use strict'

// Sessions that lose one server: each retries less and less often, and all sessions of a process together keep to a rate, so that the
// server is not overloaded when it returns.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { DeadServer } = require('../support/dead-server')
const { isBack, openServer, roomOn, speak, until } = require('../support/room')
const { tone } = require('../support/wav')

/** The limit of attempts to rejoin one server for all sessions of a process: per second, and at once. */
const RATE = 100
const BURST = 20
/** The window in which attempts are counted, and the tolerance for a busy machine, which accepts the attempts of some time at once. */
const SPAN_MS = 2000
const BUNCHED = 60
const JOINING_AT_ONCE = 10
const BACK_MS = 60_000

/** Joins rooms of a server with `count` sessions, each of which has spoken. */
async function joinAll(t, server, count) {
  const opened = []
  const waiting = Array.from({ length: count }, (_, n) => n).values()
  const join = async () => {
    for (const n of waiting) {
      const room = roomOn(t, server)
      const one = speak(t, room, { token: () => room.token(`speaker-${n}`), publish: 'lazy', connectTimeoutMs: 60_000 })
      await one.session.playAudio({ audio: tone(440, 20) })
      opened.push(one)
    }
  }
  await Promise.all(Array.from({ length: JOINING_AT_ONCE }, join))
  return opened
}

/** Takes the server of these sessions away for a while, and waits until all are back. Returns the attempts meanwhile. */
async function loseServer(t, count, forMs) {
  const server = await openServer(t)
  const opened = await joinAll(t, server, count)
  await server.stop()
  const dead = await DeadServer.open(server.config.port)
  const goneAtMs = performance.now()
  await sleep(forMs)
  const attempts = dead.attempts.map(({ atMs, identity }) => ({ atMs: atMs - goneAtMs, identity }))
  await dead.close()
  await server.restart()
  await until(() => opened.every(({ told }) => isBack(told)), 'all are back', BACK_MS)
  await Promise.all(opened.map(({ session }) => session.close()))
  return attempts
}

test('a session retries less and less often', async (t) => {
  const [count, forMs, spanMs] = [20, 14_000, 3000]
  const attempts = await loseServer(t, count, forMs)
  const within = (fromMs, toMs) => attempts.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length
  const [early, late] = [within(0, spanMs), within(forMs - spanMs, forMs)]
  assert.ok(late > 0 && early > 2 * late, `${early} attempts in the first ${spanMs} ms, ${late} in the last`)
  for (let n = 0; n < count; n++) {
    const own = attempts.filter(({ identity }) => identity === `speaker-${n}`).length
    assert.ok(own >= 2 && own <= 20, `speaker-${n} tried ${own} times in ${forMs} ms`)
  }
})

test('a hundred sessions keep to a common rate', async (t) => {
  const attempts = await loseServer(t, 100, 10_000)
  const counts = attempts.map(({ atMs: fromMs }) => attempts.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + SPAN_MS).length)
  assert.equal(new Set(attempts.map(({ identity }) => identity)).size, 100, 'some did not try')
  const most = Math.max(...counts)
  assert.ok(most <= (RATE * SPAN_MS) / 1000 + BURST + BUNCHED, `${most} attempts within ${SPAN_MS} ms`)
})
