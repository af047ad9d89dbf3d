'use strict'

// A real nginx, to fetch from: that on PATH, or Debian's (debian.js). Starts it on loopback, as whoever runs this.
// On its own (`node scripts/nginx.js`) it only makes sure that there is one, and prints its path.

const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const debian = require('./debian')
const { onFreePorts, randomPort, serve } = require('./serve')

/** Returns the path of nginx; throws with the reason if there is none. */
const executable = () => debian.executable('nginx', 'usr/sbin/nginx')

/** The kinds of temporary files, each of which gets a folder. */
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * Starts one with these directives for its server, which may serve the files in `folder` (`FILES` in the directives). Resolves with
 * `{ url, folder, stop() }` once it answers. If it lacks a module, it exits and the error says so.
 */
async function startNginx(directives = '') {
  const all = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-nginx-'))
  const folder = path.join(all, 'files')
  mkdirSync(folder)
  // A name of its own, since another nginx may have the port already.
  const ready = path.basename(all)
  writeFileSync(path.join(folder, ready), 'ready')
  const paths = TEMPORARY.map((kind) => `${kind}_temp_path ${all}/${kind};`).join(' ')
  const file = path.join(all, 'nginx.conf')
  const configuration = (address) =>
    `daemon off; master_process off; pid ${all}/pid; error_log stderr;
    events { }
    http {
      access_log off; ${paths}
      types { audio/wav wav; audio/mpeg mp3; audio/flac flac; }
      server { listen ${address}; root ${folder}; ${directives.replaceAll('FILES', folder)} }
    }`
  let address
  const server = await onFreePorts(() => {
    address = `127.0.0.1:${randomPort()}`
    writeFileSync(file, configuration(address))
    return serve('nginx', executable(), ['-c', file, '-p', all, '-e', 'stderr'], { url: `http://${address}/${ready}`, withinMs: 20_000 })
  })
  const stop = async () => {
    await server.stop()
    rmSync(all, { recursive: true, force: true })
  }
  return { url: `http://${address}`, folder, stop }
}

module.exports = { executable, startNginx }

if (require.main === module) console.log(executable())
