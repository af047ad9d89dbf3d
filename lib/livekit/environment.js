'use strict'

// Reads LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, the variables that LiveKit's own tools use.

const { roomFromEnv } = require('../check')
const { SpeakerError, invalidUrl } = require('../error')
const { accessToken, serverSdk } = require('./access-token')

/** Returns `{ url, key, secret }`; throws if one of the variables is not set, or the first is not a URL. */
function serverFromEnv() {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env
  for (const [name, value] of Object.entries({ LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })) {
    if (!value) throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected a value for ${name} but received ${value === '' ? 'an empty string' : value}`)
  }
  if (!/^(ws|http)s?:\/\//.test(url) || !URL.canParse(url)) throw invalidUrl('a ws(s) or http(s) URL', 'LIVEKIT_URL', url)
  return { url, key, secret }
}

/** Returns the `output` option for a room on that server. Documented in index.d.ts. */
function liveKitFromEnv(options) {
  const { room, identity, participant, output } = roomFromEnv(options)
  const server = serverFromEnv()
  serverSdk()
  const token = () => accessToken(server, room, identity, { canSubscribe: false }, participant)
  return { type: 'livekit', url: server.url, token, ...output }
}

module.exports = { liveKitFromEnv, serverFromEnv }
