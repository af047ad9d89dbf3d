'use strict'

// A real LiveKit server for tests and benches. Finds `livekit-server` on PATH, or builds the pinned version with Go into
// the user's cache directory, outside the work tree; starts it on loopback on free ports and stops it by its process.
// On its own (`node scripts/livekit-server.js`) it only makes sure that there is one, and prints where.

const { spawn, spawnSync } = require('node:child_process')
const { existsSync, mkdirSync } = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

/** Newer tags carry `replace` directives, which `go install` refuses. */
const VERSION = 'v1.11.0'
const KEY = 'devkey'
const SECRET = 'a-secret-of-at-least-32-characters-for-tests'

/** The server's executable. */
function executable() {
  if (!spawnSync('livekit-server', ['--version'], { stdio: 'ignore' }).error) return 'livekit-server'
  const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache')
  const folder = path.join(cache, 'speaker-session', `livekit-server-${VERSION}`)
  const built = path.join(folder, 'server')
  if (existsSync(built)) return built
  if (spawnSync('go', ['version'], { stdio: 'ignore' }).error) {
    throw new Error('The tests need a LiveKit server: install livekit-server, or Go ≥ 1.25, with which it is built')
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

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Starts a server; says `{ url, key, secret, pid, stop() }` once it answers. */
async function startServer() {
  const [port, tcpPort, udpPort] = [await freePort(), await freePort(), await freePort()]
  const config = {
    port,
    bind_addresses: ['127.0.0.1'],
    keys: { [KEY]: SECRET },
    logging: { level: 'warn' },
    rtc: { tcp_port: tcpPort, udp_port: udpPort, node_ip: '127.0.0.1', use_external_ip: false }
  }
  // JSON is YAML.
  const server = spawn(executable(), ['--config-body', JSON.stringify(config)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => (log += data))
  const exited = new Promise((resolve) => server.once('close', resolve))
  const stop = async () => {
    server.kill('SIGKILL')
    await exited
  }
  process.once('exit', () => server.kill('SIGKILL'))
  for (let attempt = 0; attempt < 200; attempt++) {
    if (server.exitCode !== null) throw new Error(`livekit-server ended with code ${server.exitCode}\n${log}`)
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
    if (answer?.ok) return { url: `ws://127.0.0.1:${port}`, key: KEY, secret: SECRET, pid: server.pid, stop }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await stop()
  throw new Error(`livekit-server did not answer within 10 s\n${log}`)
}

module.exports = { executable, startServer }

if (require.main === module) console.log(executable())
