'use strict'

// The routes to a LiveKit server: UDP, ICE-TCP and TURN. The listener has a route of its own.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { once } = require('node:events')
const { networkInterfaces } = require('node:os')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { Authority } = require('../support/authority')
const { fromNow, openEmptyRoom, openRoom, publish, publishings, speak, until } = require('../support/room')
const { embedded, isRelayed, openTurn } = require('../support/turn')
const { Tunnel } = require('../support/tunnel')
const { tone, windows } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ear keeps the process alive

const authority = new Authority(after)
const certificate = authority.issue('localhost')
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** Plays a tone until the ear has heard half a second of it. */
async function isHeard({ session }, ear) {
  const playing = session.playAudio({ audio: tone(440, 20_000) })
  const heard = until(() => windows(ear.heard.get('speaker') ?? [], 440).length >= 5, 'it is heard')
  await Promise.race([heard, playing]) // without a path it rejects
  await session.stopAudio()
  assert.equal((await playing).outcome, 'stopped')
}

/** Returns how many open TCP connections lead to a port of this machine. */
function connections(port) {
  const ESTABLISHED = '01'
  const lines = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1)
  const ends = lines.map((line) => line.trim().split(/\s+/))
  return ends.filter(([, , remote, state]) => state === ESTABLISHED && parseInt(remote.split(':')[1], 16) === port).length
}

const withoutUdp = ({ rtc }) => (rtc.force_tcp = true)
const withoutTcp = ({ rtc }) => (rtc.tcp_port = 0)

test('falls back to TCP without UDP', async (t) => {
  const room = await openRoom(t, withoutUdp)
  await isHeard(speak(t, room), room.ear)
})

test("iceTransport 'tcp' ignores UDP", async (t) => {
  const room = await openRoom(t)
  await isHeard(speak(t, room, { iceTransport: 'tcp' }), room.ear)
})

test("TCP holds one connection, UDP none", async (t) => {
  const room = await openEmptyRoom(t) // otherwise the ear's connections count too
  const port = room.server.config.rtc.tcp_port
  for (const [iceTransport, count] of [['all', 0], ['tcp', 1]]) {
    const { session } = speak(t, room, { iceTransport })
    for (let n = 0; n < 3; n++) await session.playAudio({ audio: tone(440, 500) })
    assert.equal(connections(port), count, iceTransport)
    await session.close()
    await until(() => connections(port) === 0, 'the connection is closed')
  }
})

test('falls back to TURN without UDP and TCP', async (t) => {
  const room = await openRoom(t, (config) => (config.turn = embedded()))
  const wire = await Wire.open(room.server.url, t) // which passes no TCP
  wire.media.admits = isRelayed
  await isHeard(speak(t, room, { url: wire.url }), room.ear)
})

for (const over of ['udp', 'tcp', 'tls']) {
  test(`iceTransport 'relay' uses TURN over ${over.toUpperCase()}`, async (t) => {
    const turn = await openTurn(t, over, certificate)
    const room = await openRoom(t, ({ rtc }) => (rtc.turn_servers = [turn.named]))
    let bytes = 0
    turn.proxy.onPacket = ({ length }) => (bytes += length)
    await isHeard(speak(t, room, { iceTransport: 'relay' }), room.ear)
    assert.ok(bytes > 3000, `${bytes} bytes for half a second at 48 kbit/s`)
  })
}

/** Plays a tone, breaks its connection, and waits until it is heard again; its track stays. */
async function isHeardAgain({ session }, room, harm) {
  await publish(session, room)
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  await until(() => windows(room.ear.heard.get('speaker'), 440).length >= 5, 'it is heard')
  const back = once(session, 'reconnected')
  await harm()
  await back
  const heard = fromNow(room.ear, 'speaker')
  await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
  await session.stopAudio()
  assert.equal((await playing).outcome, 'stopped')
  assert.equal(publishings(room.ear, 'speaker'), 1, 'the track was published once')
}

test('a broken TCP connection is replaced', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  wire.tunnel = await Tunnel.open(t)
  await isHeardAgain(speak(t, room, { url: wire.url, iceTransport: 'tcp' }), room, () => wire.tunnel.break())
})

test('a broken TURN connection is replaced', async (t) => {
  const turn = await openTurn(t, 'tls', certificate)
  const room = await openRoom(t, ({ rtc }) => (rtc.turn_servers = [turn.named]))
  await isHeardAgain(speak(t, room, { iceTransport: 'relay' }), room, () => turn.proxy.break())
})

test('moves to TCP when UDP is lost', async (t) => {
  const room = await openRoom(t)
  const wire = await Wire.open(room.server.url, t)
  wire.tunnel = await Tunnel.open(t)
  await isHeardAgain(speak(t, room, { url: wire.url }), room, async () => {
    wire.media.cut()
    wire.cut() // otherwise ICE takes some seconds to notice
    await sleep(3000)
    wire.mend()
  })
})

test('untrusted or refusing TURN servers are skipped', async (t) => {
  const forged = await openTurn(t, 'tls', new Authority(after).issue('localhost'))
  const locked = await openTurn(t, 'udp')
  for (const [named, complaint] of [
    [forged.named, /tried TURN over TLS at localhost:\d+ \(invalid peer certificate: .*\)/],
    [{ ...locked.named, credential: 'wrong' }, /tried TURN over UDP at localhost:\d+/]
  ]) {
    const room = await openEmptyRoom(t, ({ rtc }) => (rtc.turn_servers = [named]))
    const { session } = speak(t, room, { iceTransport: 'relay', connectTimeoutMs: 2000 })
    await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_JOIN_FAILED', message: complaint })
  }
})

test('no path fails in time and lists the routes', async (t) => {
  const room = await openEmptyRoom(t, withoutTcp)
  for (const iceTransport of ['tcp', 'relay']) {
    const expected = {
      code: 'ERR_JOIN_FAILED', message: /no path .* within 500 ms .* the server offers none that iceTransport allows/
    }
    const options = { iceTransport, connectTimeoutMs: 500 }
    await assert.rejects(speak(t, room, options).session.connect(), expected)
    const { session } = speak(t, room, { ...options, publish: 'lazy' })
    await session.connect()
    await assert.rejects(session.playAudio({ audio: tone(440, 20) }), expected)
  }
})

/** The machine's external addresses. */
const addresses = Object.values(networkInterfaces()).flat().filter(({ internal, scopeid }) => !internal && !scopeid)

for (const family of ['IPv4', 'IPv6']) {
  const { address } = addresses.find((found) => found.family === family) ?? {}
  test(`media goes to another address than signalling, over ${family}`, { skip: !address && `no ${family} here` }, async (t) => {
    const room = await openRoom(t, (config) => {
      withoutTcp(config)
      const bits = family === 'IPv4' ? 32 : 128
      Object.assign(config.rtc, { node_ip: address, enable_loopback_candidate: false, ips: { includes: [`${address}/${bits}`] } })
    })
    await isHeard(speak(t, room), room.ear) // its signalling is on loopback
  })
}
