'use strict'

/** Returns the options of a user's session: the recorded ones, overridden by those that are given. */
function sessionOptionsOf({ options: { channels, ...recorded } }, options, output, clock) {
  // A room has only the realtime clock.
  const timed = output?.type === 'livekit' && clock === 'realtime' ? output : { channels, ...output, clock }
  return { progressIntervalMs: 0, ...recorded, ...options, output: timed }
}

module.exports = { sessionOptionsOf }
