'use strict'

const { SpeakerError } = require('./error')

/** The server that LiveKit's own tools would use: `{ url, key, secret }`. */
function serverFromEnv() {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env
  for (const [name, value] of Object.entries({ LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret })) {
    if (!value) throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected a value for ${name} but received ${value}`)
  }
  return { url, key, secret }
}

/** A token to join a room as `identity`. */
function accessToken({ key, secret }, room, identity, grants) {
  // Only here: who makes tokens elsewhere need not install it.
  const { AccessToken } = require('livekit-server-sdk')
  const access = new AccessToken(key, secret, { identity })
  access.addGrant({ roomJoin: true, room, ...grants })
  return access.toJwt()
}

/** Where the room is and how to get in, as LiveKit's own tools read it. Documented in index.d.ts. */
function liveKitFromEnv({ room, identity, ...output }) {
  const server = serverFromEnv()
  const token = () => accessToken(server, room, identity, { canSubscribe: false })
  return { type: 'livekit', url: server.url, token, ...output }
}

/** The addon is about to join: a token that is made now has not expired. */
async function giveToken(native, question, token) {
  try {
    const given = typeof token === 'function' ? await token() : token
    if (typeof given !== 'string' || given === '') throw new Error(`it gave ${given}`)
    native.giveToken(question, given)
  } catch (error) {
    native.giveToken(question, undefined, `output.token gave no access token: ${error?.message ?? error}`)
  }
}

module.exports = { accessToken, liveKitFromEnv, serverFromEnv, giveToken }
