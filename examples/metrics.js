'use strict'

// A server that plays for some users and exports metrics to Prometheus.
//
//   npm install prom-client
//   node examples/metrics.js [port]     then look at http://localhost:9464/metrics, or let Prometheus scrape it
//
// adapters/metrics/dashboard.json is a Grafana dashboard for them.

const { createServer } = require('node:http')
const path = require('node:path')

const { register } = require('prom-client')

const { SpeakerSession } = require('..') // 'speaker-session'
const { collectMetrics } = require('../adapters/metrics') // 'speaker-session/metrics'

const USERS = 3
const audio = (name) => path.join(__dirname, 'audio', name)

collectMetrics({ register })

/** Plays for a user until the session is closed. */
async function serve(session) {
  // Failures are counted as metrics.
  const play = (request) => session.playAudio({ stopOther: false, ...request }).catch(() => {})
  while (session.connection !== 'closed') {
    play({ audioUrl: audio('music.flac'), volume: 0.3, loop: true, trackId: 1 }) // is stopped
    play({ audioUrl: audio('gone.mp3') }) // fails
    play({ audioUrl: audio('chime.wav') })
    await play({ audioUrl: audio('chime.wav'), startMs: 100 }) // waits for its turn
    await session.stopAudio({ trackId: 1 })
  }
}

// A real server uses a LiveKit room as the output.
const sessions = Array.from({ length: USERS }, () => new SpeakerSession({ output: { type: 'pcm', onFrame() {} }, overlap: 'queue' }))
sessions.forEach(serve)

const server = createServer(async (request, response) => {
  response.setHeader('content-type', register.contentType)
  response.end(await register.metrics())
})
server.listen(Number(process.argv[2] ?? 9464), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/metrics`))
process.once('SIGTERM', async () => {
  server.close()
  await Promise.all(sessions.map((session) => session.close()))
})
