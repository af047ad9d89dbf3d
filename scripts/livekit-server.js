'use strict'

// A real LiveKit server for tests, benches and the command line's --livekit. Finds `livekit-server` on PATH, or builds
// the pinned version with Go into the user's cache directory, outside the work tree; starts it on loopback on free ports
// and stops it by its process.
// On its own (`node scripts/livekit-server.js`) it only makes sure that there is one, and prints its path.

const { spawnSync } = require('node:child_process')
const { existsSync, mkdirSync } = require('node:fs')
const path = require('node:path')

const { cached } = require('./cache')
const { serve } = require('./serve')

/** Newer tags carry `replace` directives, which `go install` refuses. */
const VERSION = 'v1.11.0'
const KEY = 'devkey'
const SECRET = 'a-secret-of-at-least-32-characters-for-tests'

/** Returns the path of the server's executable. */
function executable() {
  if (!spawnSync('livekit-server', ['--version'], { stdio: 'ignore' }).error) return 'livekit-server'
  const folder = cached(`livekit-server-${VERSION}`)
  const built = path.join(folder, 'server')
  if (existsSync(built)) return built
  if (spawnSync('go', ['version'], { stdio: 'ignore' }).error) {
    throw new Error('There is no LiveKit server: install livekit-server, or Go ≥ 1.25, with which it is built')
  }
  console.error(`building livekit-server ${VERSION} into ${folder} (some minutes, once)`)
  mkdirSync(folder, { recursive: true })
  const module = `github.com/livekit/livekit-server/cmd/server@${VERSION}`
  const go = spawnSync('go', ['install', module], {
    env: { ...process.env, GOBIN: folder },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  if (go.status !== 0) throw new Error(`go install ${module} ended with code ${go.status}`)
  return built
}

/** Returns a port below those that the system assigns to clients, so that none of them takes it before the server does. */
function somePort() {
  return 20000 + Math.floor(Math.random() * 10000)
}

/** Returns the configuration of a server, after `change`. */
function configuration(change) {
  const config = {
    port: somePort(),
    bind_addresses: ['127.0.0.1'],
    keys: { [KEY]: SECRET },
    logging: { level: 'warn' },
    room: { enable_remote_unmute: true },
    rtc: {
      tcp_port: somePort(),
      udp_port: somePort(),
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
 * Starts a server. Resolves with `{ url, key, secret, config, stop(), restart() }` once it answers. A restarted one has the same
 * ports. `change` may alter the configuration (LiveKit's `config-sample.yaml` documents it) before it is used.
 */
async function startServer(change = () => {}) {
  let [config, running] = []
  for (let attempt = 1; running === undefined; attempt++) {
    config = configuration(change)
    running = await run(config).catch((error) => {
      if (attempt === 5 || !/address already in use/.test(error.message)) throw error
    })
  }
  return {
    url: `ws://127.0.0.1:${config.port}`,
    key: KEY,
    secret: SECRET,
    config,
    stop: () => running.stop(),
    async restart() {
      await running.stop()
      running = await run(config)
    }
  }
}

/** Runs the server until `stop`. Settles once it answers. */
function run(config) {
  // JSON is YAML.
  const args = ['--config-body', JSON.stringify(config)]
  return serve('livekit-server', executable(), args, { url: `http://127.0.0.1:${config.port}/`, withinMs: 10_000 })
}

module.exports = { executable, somePort, startServer }

if (require.main === module) console.log(executable())
