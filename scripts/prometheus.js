'use strict'

// A real Prometheus, to check the dashboard with. Finds `prometheus` on PATH, or takes Debian's package with apt and unpacks it into
// the user's cache directory, outside the work tree: nothing is installed, and root is not needed. Starts it on loopback.
// On its own (`node scripts/prometheus.js`) it only makes sure that there is one, and prints where.

const { spawnSync } = require('node:child_process')
const { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { cached, makeWhole } = require('./cache')
const { somePort } = require('./livekit-server')
const { serve } = require('./serve')

/** Prometheus's executable; throws, and says why, where there is none. */
function executable() {
  if (!spawnSync('prometheus', ['--version'], { stdio: 'ignore' }).error) return 'prometheus'
  const folder = cached('prometheus')
  const unpacked = path.join(folder, 'usr', 'bin', 'prometheus')
  if (!existsSync(unpacked)) unpack(folder)
  return unpacked
}

function unpack(folder) {
  for (const tool of ['apt-get', 'dpkg-deb']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error) {
      throw new Error(`There is no Prometheus: install it, or ${tool}, with which Debian's package is unpacked`)
    }
  }
  console.error(`unpacking Debian's package of Prometheus into ${folder} (once)`)
  makeWhole(folder, (draft) => {
    run('apt-get', ['download', 'prometheus'], draft)
    const file = readdirSync(draft).find((name) => name.endsWith('.deb'))
    run('dpkg-deb', ['-x', file, 'all'], draft)
    return path.join(draft, 'all')
  })
}

function run(tool, args, cwd) {
  const { status, stderr } = spawnSync(tool, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`There is no Prometheus: ${tool} ${args.join(' ')} ended with code ${status}: ${stderr.trim()}`)
}

/** Starts one that scrapes `target` (host:port) each second; says `{ url, stop() }` once it answers. */
async function startPrometheus(target) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-prometheus-'))
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [{ job_name: 'speaker-session', static_configs: [{ targets: [target] }] }]
  }
  // JSON is YAML.
  const file = path.join(folder, 'prometheus.yml')
  writeFileSync(file, JSON.stringify(config))
  const address = `127.0.0.1:${somePort()}`
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`, '--log.level=warn']
  const server = await serve('Prometheus', executable(), args, { url: `http://${address}/-/ready`, withinMs: 20_000 })
  const stop = async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { url: `http://${address}`, stop }
}

module.exports = { executable, startPrometheus }

if (require.main === module) console.log(executable())
