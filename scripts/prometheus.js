'use strict'

// A real Prometheus, to check the dashboard with: that on PATH, or Debian's (debian.js). Starts it on loopback.
// On its own (`node scripts/prometheus.js`) it only makes sure that there is one, and prints its path.

const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const debian = require('./debian')
const { onFreePorts, randomPort, serve } = require('./serve')

/** Returns the path of Prometheus; throws with the reason if there is none. */
const executable = () => debian.executable('prometheus', 'usr/bin/prometheus')

/** Starts one that scrapes `target` (host:port) each second. Resolves with `{ url, stop() }` once it answers. */
async function startPrometheus(target) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-prometheus-'))
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [{ job_name: 'speaker-session', static_configs: [{ targets: [target] }] }]
  }
  // JSON is YAML.
  const file = path.join(folder, 'prometheus.yml')
  writeFileSync(file, JSON.stringify(config))
  let address
  const server = await onFreePorts(() => {
    address = `127.0.0.1:${randomPort()}`
    const args = [`--config.file=${file}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`, '--log.level=warn']
    return serve('Prometheus', executable(), args, { url: `http://${address}/-/ready`, withinMs: 20_000 })
  })
  const stop = async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { url: `http://${address}`, stop }
}

module.exports = { executable, startPrometheus }

if (require.main === module) console.log(executable())
