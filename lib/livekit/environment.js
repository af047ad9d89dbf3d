'use strict'

// Reads LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, the variables that LiveKit's own tools use.

const { SpeakerError } = require('../error')
const { accessToken } = require('./access-token')

/** Returns `{ url, key, secret }`; throws if one of the variables is not set. */
function serverFromEnv() {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env
  for (const [name, value] of Object.entries({ LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })) {
    if (!value) throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected a value for ${name} but received ${value}`)
  }
  return { url, key, secret }
}

/** Returns the `output` option for a room on that server. Documented in index.d.ts. */
function liveKitFromEnv({ room, identity, name, kind, attributes, ...output }) {
  const server = serverFromEnv()
  const token = () => accessToken(server, room, identity, { canSubscribe: false }, { name, kind, attributes })
  return { type: 'livekit', url: server.url, token, ...output }
}

module.exports = { liveKitFromEnv, serverFromEnv }
