'use strict'

const { SpeakerError } = require('./error')

/** Where the room is and how to get in, as LiveKit's own tools read it. Documented in index.d.ts. */
function liveKitFromEnv({ room, identity, ...output }) {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env
  for (const [name, value] of Object.entries({ LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })) {
    if (!value) throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected a value for ${name} but received ${value}`)
  }
  const token = () => {
    // Only here: who makes tokens elsewhere need not install it.
    const { AccessToken } = require('livekit-server-sdk')
    const access = new AccessToken(key, secret, { identity })
    access.addGrant({ roomJoin: true, room, canSubscribe: false })
    return access.toJwt()
  }
  return { type: 'livekit', url, token, ...output }
}

module.exports = { liveKitFromEnv }
