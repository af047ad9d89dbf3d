'use strict'

/**
 * How a listener joins with LiveKit's own client (`@livekit/rtc-node`): by a connection for each direction, as its browsers do. By a single one it may
 * never mention a track that takes the place of another in the session description ("blink-diff" in rust-sdks, seen with rtc-node 1.1.0 on a busy machine).
 */
module.exports = { autoSubscribe: true, dynacast: false, singlePeerConnection: false }
