'use strict'

const { SpeakerError } = require('../error')

const PACKAGE = 'livekit-server-sdk'

/** Loaded here, because the package is optional: users with tokens from elsewhere need not install it. */
function serverSdk() {
  try {
    return require(PACKAGE)
  } catch (cause) {
    if (cause.code !== 'MODULE_NOT_FOUND') throw cause
    const message = `Expected the package ${PACKAGE} beside this one, for access tokens, but received none; npm install ${PACKAGE}`
    throw new SpeakerError('ERR_UNSUPPORTED_OPERATION', message, { cause })
  }
}

/** Returns a promise of a token with which `identity` can join `room`, where it is listed with `{ name, kind, attributes }`. */
function accessToken({ key, secret }, room, identity, grants, { name, kind, attributes } = {}) {
  const { AccessToken } = serverSdk()
  const access = new AccessToken(key, secret, { identity, name, attributes })
  if (kind !== undefined) access.kind = kind
  access.addGrant({ roomJoin: true, room, ...grants })
  return access.toJwt()
}

module.exports = { accessToken, serverSdk }
