'use strict'

// A real Redis, through which nodes of LiveKit form a cluster: that on PATH, or Debian's (debian.js). Starts it on loopback on a port of its own.
// On its own (`node scripts/redis.js`) it only makes sure that there is one, and prints its path.

const { execFile } = require('node:child_process')
const { mkdtempSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')

const debian = require('./debian')
const { onFreePorts, randomPort, serve } = require('./serve')

const WITHIN_MS = 20_000
const COMMAND_MS = 5000

/** Returns the path of the server; throws with the reason if there is none. */
const executable = () => debian.executable('redis-server', 'usr/bin/redis-server', { withLibraries: true })

/**
 * Starts one that keeps what it is told in an append-only file, so that it remembers it when it is restarted. Resolves with
 * `{ address, command(...words), restart(awayMs), stop() }` once it answers. `command` resolves with the lines of the answer.
 */
async function startRedis() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-redis-'))
  let port
  const server = executable()
  const libraries = debian.libraries('redis-server', server)
  const env = { ...process.env, LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') }
  const client = path.join(path.dirname(server), 'redis-cli') // on PATH if the server is
  const command = async (...words) => {
    const { stdout } = await promisify(execFile)(client, ['-e', '-p', port, ...words], { env, timeout: COMMAND_MS })
    return stdout.split('\n').filter(Boolean)
  }
  const isReady = async () => (await command('PING').catch(() => []))[0] === 'PONG'
  const run = () => serve('Redis', server, ['--bind', '127.0.0.1', '--port', port, '--dir', folder, '--save', '', '--appendonly', 'yes'], {
    isReady, withinMs: WITHIN_MS, env
  })
  let running = await onFreePorts(() => {
    port = String(randomPort())
    return run()
  })
  return {
    address: `127.0.0.1:${port}`,
    command,
    /** Ends it by SIGKILL, and starts it again after `awayMs`. */
    async restart(awayMs = 0) {
      await running.stop()
      await new Promise((resolve) => setTimeout(resolve, awayMs))
      running = await run()
    },
    async stop() {
      await running.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

module.exports = { executable, startRedis }

if (require.main === module) console.log(executable())
