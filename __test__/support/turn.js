'use strict'

// LiveKit's embedded TURN server, behind a proxy.

const { createHash } = require('node:crypto')

const { startServer } = require('../../scripts/livekit-server')
const { randomPort } = require('../../scripts/serve')
const { Relay } = require('./relay')
const { Tunnel } = require('./tunnel')

/** Below the ports that the system assigns to clients. */
const RELAYED = { from: 30000, to: 32000 }

/** Returns the part of LiveKit's configuration that also makes it a TURN server over UDP. */
function embedded() {
  const [relay_range_start, relay_range_end] = [RELAYED.from, RELAYED.to]
  return { enabled: true, bind_addresses: ['127.0.0.1'], udp_port: randomPort(), relay_range_start, relay_range_end }
}

/** Returns true if a port is one that a TURN server relays from. */
const isRelayed = (port) => port >= RELAYED.from && port <= RELAYED.to

/**
 * Starts a TURN server over `'udp'`, `'tcp'` or `'tls'`. `named` is its entry in the configuration of another LiveKit
 * server (`turn_servers`), `proxy` is in front of it: a Relay or a Tunnel.
 */
async function openTurn(t, over, certificate) {
  const proxy = over === 'udp' ? await Relay.open() : await Tunnel.open(t)
  if (over === 'udp') t.after(() => proxy.close())
  const server = await startServer((config) => (config.turn = {
    ...embedded(),
    domain: 'turn.example.com',
    ...(over !== 'udp' && { udp_port: 0, tls_port: randomPort(), external_tls: over === 'tcp' }),
    ...(over === 'tls' && { cert_file: certificate.certFile, key_file: certificate.keyFile })
  }))
  t.after(() => server.stop())
  const { udp_port: udpPort, tls_port: tlsPort } = server.config.turn
  const port = proxy.standsFor(udpPort || tlsPort)
  return { named: { host: 'localhost', port, protocol: over, ...login(server) }, proxy }
}

/** Returns a login for LiveKit's TURN server, as each participant gets one. */
function login({ key, secret }) {
  const participant = 'PA_test'
  const username = base62(Buffer.from(`${key}|${participant}`))
  return { username, credential: base62(createHash('sha256').update(`${secret}|${participant}`).digest()) }
}

/** Encodes as LiveKit does: six bits per digit from the end, or five where six would make 62 or 63. */
function base62(bytes) {
  const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  let text = ''
  for (let rest = bytes.length * 8; rest > 0; ) {
    const at = (rest - 1) >> 3
    const bits = rest - at * 8
    let digit = (bytes[at] >> (8 - bits)) & 63
    if (bits < 6 && at > 0) digit = ((bytes[at] >> (8 - bits)) | (bytes[at - 1] << bits)) & 63
    const short = (digit & 30) === 30 && (rest > 6 || digit > 31)
    text += DIGITS[short ? digit & 31 : digit]
    rest -= short ? 5 : 6
  }
  return text
}

module.exports = { embedded, isRelayed, openTurn }
