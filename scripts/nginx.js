'use strict'

// A real nginx, to fetch from: that on PATH, or Debian's (debian.js). Starts it on loopback, as whoever runs this.
// On its own (`node scripts/nginx.js`) it only makes sure that there is one, and prints where.

const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const debian = require('./debian')
const { somePort } = require('./livekit-server')
const { serve } = require('./serve')

/** nginx's executable; throws, and says why, where there is none. */
const executable = () => debian.executable('nginx', 'usr/sbin/nginx')

/** Where each kind of thing that it keeps is put. */
const KEPT = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * Starts one with these directives for its server, of the files in `folder` (`FILES` in the directives); says `{ url, folder, stop() }` once it answers. A module may be
 * missing in it: then it ends, and the error says so.
 */
async function startNginx(directives = '') {
  const all = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-nginx-'))
  const folder = path.join(all, 'files')
  mkdirSync(folder)
  writeFileSync(path.join(folder, 'ready'), 'ready')
  const address = `127.0.0.1:${somePort()}`
  const paths = KEPT.map((kind) => `${kind}_temp_path ${all}/${kind};`).join(' ')
  const file = path.join(all, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${all}/pid; error_log stderr;
    events { }
    http {
      access_log off; ${paths}
      types { audio/wav wav; audio/mpeg mp3; audio/flac flac; }
      server { listen ${address}; root ${folder}; ${directives.replaceAll('FILES', folder)} }
    }`
  )
  const server = await serve('nginx', executable(), ['-c', file, '-p', all, '-e', 'stderr'], { url: `http://${address}/ready`, withinMs: 20_000 })
  const stop = async () => {
    await server.stop()
    rmSync(all, { recursive: true, force: true })
  }
  return { url: `http://${address}`, folder, stop }
}

module.exports = { executable, startNginx }

if (require.main === module) console.log(executable())
