'use strict'

// How the session's sound gets into the page: as an encoded stream, or over a LiveKit room. For each way the output of a session, and what the page has
// to know.

const { randomBytes } = require('node:crypto')
const { readFileSync } = require('node:fs')

const { pipeline } = require('node:stream/promises')

const { findServer, startServer } = require('../../lib/cli/livekit-server')

const TRACKS = { 0: 'speaker', 1: 'music', 2: 'voice' }

/** Opens the way by which all users hear their sessions. */
async function openSound({ livekit }) {
  return livekit ? openRooms() : openStreams()
}

/** A stream for each user. It is a WAV in short pieces, because whoever presses a button wants to hear it at once. */
function openStreams() {
  return {
    policy: policy("connect-src 'self'"),
    answers: {
      'GET /sound': async (request, response, user) => {
        if (!user) return response.writeHead(404).end()
        const stream = user.session.audioStream()
        response.writeHead(200, { 'content-type': stream.contentType, 'cache-control': 'no-store' })
        await pipeline(stream, response).catch(() => {}) // the page was closed
      }
    },
    forUser: (id) => ({ output: { type: 'stream', codec: 'wav', chunkMs: 20, burstMs: 0 }, forPage: () => ({ type: 'wav', url: `sound?id=${id}` }), close() {} }),
    close() {}
  }
}

/** A room for each user, in which the page listens with LiveKit's client. */
async function openRooms() {
  const { AccessToken } = require('livekit-server-sdk')
  const server = await liveKitServer()
  const client = readFileSync(require.resolve('livekit-client'))
  const prefix = randomBytes(4).toString('hex')
  return {
    policy: policy(`connect-src 'self' ${server.url} ${server.url.replace('ws', 'http')}`),
    answers: {
      'GET /livekit-client.js': (request, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(client)
    },
    async forUser(id) {
      const room = `showcase-${prefix}-${id}`
      const token = (identity, grants) => {
        const access = new AccessToken(server.key, server.secret, { identity })
        access.addGrant({ roomJoin: true, room, ...grants })
        return access.toJwt()
      }
      const forListener = await token('listener', { canPublish: false })
      return {
        output: { type: 'livekit', url: server.url, token: () => token('speaker', { canSubscribe: false }), trackNames: TRACKS },
        forPage: () => ({ type: 'livekit', url: server.url, token: forListener }),
        close() {}
      }
    },
    close: () => server.stop?.()
  }
}

/** Returns the server that LIVEKIT_URL names, or starts one. */
function liveKitServer() {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env
  if (url) return { url, key, secret }
  const program = findServer()
  if (!program) throw new Error('No room: install livekit-server on the PATH, or set LIVEKIT_URL (in a copy of the repository, `node scripts/livekit-server.js` builds one)')
  return startServer(program)
}

/** Returns the Content-Security-Policy of the page, which loads nothing from elsewhere. */
function policy(...more) {
  return ["default-src 'none'", "script-src 'self' 'unsafe-inline'", "style-src 'unsafe-inline'", 'img-src data:', 'media-src blob: data:', ...more].join('; ')
}

module.exports = { openSound }
