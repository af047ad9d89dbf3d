'use strict'

/** Returns a promise of a token with which `identity` can join `room`, where it is listed with `{ name, kind, attributes }`. */
function accessToken({ key, secret }, room, identity, grants, { name, kind, attributes } = {}) {
  // Loaded here, because the package is optional: users with tokens from elsewhere need not install it.
  const { AccessToken } = require('livekit-server-sdk')
  const access = new AccessToken(key, secret, { identity, name, attributes })
  if (kind !== undefined) access.kind = kind
  access.addGrant({ roomJoin: true, room, ...grants })
  return access.toJwt()
}

module.exports = { accessToken }
