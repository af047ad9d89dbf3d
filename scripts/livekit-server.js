'use strict'

// A real LiveKit server for tests and benches: the one that the command line's --livekit finds (lib/cli/livekit-server.js), or else the pinned version,
// which is built with Go into the user's cache directory, outside the work tree. Not published.
// On its own (`node scripts/livekit-server.js`) it only makes sure that there is one, and prints its path.

const { spawnSync } = require('node:child_process')
const { mkdirSync } = require('node:fs')
const path = require('node:path')

const { BUILT, VERSION, findServer, startServer } = require('../lib/cli/livekit-server')

/** Returns the path of the server's executable. */
function executable() {
  const found = findServer()
  if (found) return found
  if (spawnSync('go', ['version'], { stdio: 'ignore' }).error) {
    throw new Error('There is no LiveKit server: install livekit-server, or Go ≥ 1.25, with which it is built')
  }
  const folder = path.dirname(BUILT)
  console.error(`building livekit-server ${VERSION} into ${folder} (some minutes, once)`)
  mkdirSync(folder, { recursive: true })
  const module = `github.com/livekit/livekit-server/cmd/server@${VERSION}`
  const go = spawnSync('go', ['install', module], {
    env: { ...process.env, GOBIN: folder },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  if (go.status !== 0) throw new Error(`go install ${module} ended with code ${go.status}`)
  return BUILT
}

module.exports = { executable, startServer: async (change) => startServer(executable(), change) }

if (require.main === module) console.log(executable())
