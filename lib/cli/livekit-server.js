'use strict'

// A LiveKit server on this machine: found, started on loopback on free ports, and stopped by its process. Nothing is installed or built here.

const { spawnSync } = require('node:child_process')
const { existsSync } = require('node:fs')

// In scripts/, because tests and other scripts use them too; package.json "files" publishes them.
const { cached } = require('../../scripts/cache')
const { serve } = require('../../scripts/serve')

/** The version that scripts/livekit-server.js builds, for `go install` refuses newer ones: they have `replace` directives. */
const VERSION = 'v1.11.0'
const BUILT = cached(`livekit-server-${VERSION}`, 'server')
const KEY = 'devkey'
const SECRET = 'a-secret-of-at-least-32-characters-for-tests'

/** Returns the path of a server's executable: `livekit-server` of the PATH, or the one that was built in the repository; undefined if there is neither. */
function findServer() {
  if (!spawnSync('livekit-server', ['--version'], { stdio: 'ignore' }).error) return 'livekit-server'
  return existsSync(BUILT) ? BUILT : undefined
}

/** Returns a port below those that the system assigns to clients, so that none of them takes it before the server does. */
function randomPort() {
  return 20000 + Math.floor(Math.random() * 10000)
}

/** Returns the configuration of a server, after `change`. */
function configuration(change) {
  const config = {
    port: randomPort(),
    bind_addresses: ['127.0.0.1'],
    keys: { [KEY]: SECRET },
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
  for (let attempt = 1; running === undefined; attempt++) {
    config = configuration(change)
    running = await run(program, config).catch((error) => {
      if (attempt === 5 || !/address already in use/.test(error.message)) throw error
    })
  }
  return {
    url: `ws://127.0.0.1:${config.port}`,
    key: KEY,
    secret: SECRET,
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
  // JSON is YAML.
  const args = ['--config-body', JSON.stringify(config)]
  return serve('livekit-server', program, args, { url: `http://127.0.0.1:${config.port}/`, withinMs: 10_000 })
}

module.exports = { BUILT, VERSION, findServer, randomPort, startServer }
