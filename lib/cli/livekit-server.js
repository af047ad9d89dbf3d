'use strict'

// A LiveKit server on this machine: found, started on loopback on free ports, and stopped by its process. Nothing is installed or built here.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const { existsSync } = require('node:fs')

// In scripts/, because tests and other scripts use them too; package.json "files" publishes them.
const { cached } = require('../../scripts/cache')
const { onFreePorts, randomPort, serve } = require('../../scripts/serve')
const { serverSdk } = require('../livekit/access-token')

/** The version that scripts/livekit-server.js builds, for `go install` refuses newer ones: they have `replace` directives. */
const VERSION = 'v1.11.0'
const BUILT = cached(`livekit-server-${VERSION}`, 'server')

/** Returns the path of a server's executable: `livekit-server` of the PATH, or the one that was built in the repository; undefined if there is neither. */
function findServer() {
  if (!spawnSync('livekit-server', ['--version'], { stdio: 'ignore' }).error) return 'livekit-server'
  return existsSync(BUILT) ? BUILT : undefined
}

/** Returns the configuration of a server, after `change`. */
function configuration(change) {
  const config = {
    port: randomPort(),
    bind_addresses: ['127.0.0.1'],
    // A secret of its own, by which it is recognised.
    keys: { devkey: randomBytes(24).toString('hex') },
    logging: { level: 'warn' },
    room: { enable_remote_unmute: true },
    rtc: {
      tcp_port: randomPort(),
      udp_port: randomPort(),
      node_ip: '127.0.0.1',
      use_external_ip: false,
      enable_loopback_candidate: true,
      ips: { includes: ['127.0.0.1/32'] }
    }
  }
  change(config)
  return config
}

/**
 * Starts the server that `program` is. Resolves with `{ url, key, secret, config, exited, signal(name), stop(), restart() }` once it
 * answers. A restarted one has the same ports. `change` may alter the configuration (LiveKit's `config-sample.yaml` documents it) before it is used.
 */
async function startServer(program, change = () => {}) {
  let [config, running] = []
  await onFreePorts(async () => {
    config = configuration(change)
    running = await run(program, config)
  })
  const [[key, secret]] = Object.entries(config.keys)
  return {
    url: `ws://127.0.0.1:${config.port}`,
    key,
    secret,
    config,
    /** Resolves when it has ended. */
    get exited() {
      return running.exited
    },
    signal: (name) => running.signal(name),
    stop: () => running.stop(),
    async restart() {
      await running.stop()
      running = await run(program, config)
    }
  }
}

/** Runs the server until `stop`. Settles once it answers. */
function run(program, config) {
  const { RoomServiceClient } = serverSdk()
  const [[key, secret]] = Object.entries(config.keys)
  // Another server that has the port already answers too, until this one ends because it is in use, but it does not know the secret.
  const service = new RoomServiceClient(`http://127.0.0.1:${config.port}`, key, secret)
  const isReady = () => service.listRooms().then(() => true, () => false)
  // JSON is YAML.
  return serve('livekit-server', program, ['--config-body', JSON.stringify(config)], { isReady, withinMs: 10_000 })
}

module.exports = { BUILT, VERSION, findServer, startServer }
