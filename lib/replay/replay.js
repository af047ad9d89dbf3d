'use strict'

const { CALLS } = require('./calls')
const { ManualClock, RealtimeClock } = require('./clocks')

/** Refusals that the session answers with no event, for the request never was one of its own. */
const UNTOLD = ['ERR_DUPLICATE_REQUEST', 'ERR_CLOSED', 'ERR_INVALID_ARGUMENT']

/**
 * Plays timed requests (see parseRequests) through a session, and enters what becomes of them into `history`. Settles
 * when all have ended or what is left stays paused, or when `signal` is aborted: whoever aborts closes the session too. The
 * requests' times count from `zeroMs` of the session's; `onAsked(type, request, atMs)` is called as each is made.
 */
async function replay(session, requests, history, { clock = 'manual', zeroMs = 0, signal, onRefused = () => {}, onAsked = () => {} } = {}) {
  await session.connect()
  const [streams, begun] = [new Map(), new Set()]
  const time = clock === 'manual' ? new ManualClock(session) : new RealtimeClock(signal)
  try {
    for (const { atMs, type, request } of requests) {
      await time.reach(atMs)
      signal?.throwIfAborted()
      const { begin, method, onStream } = CALLS[type]
      onAsked(type, request, zeroMs + atMs)
      if (begin) {
        const finished = begin(session, request, streams)
        // One that joins another is that one.
        if (!begun.has(finished)) enter(finished, history.requested(request, zeroMs + atMs), history, onRefused)
        begun.add(finished)
      } else if (onStream) await onStream(streams.get(request.requestId), request)
      else await session[method](request)
    }
    // Nobody will write any more.
    for (const stream of streams.values()) stream.end()
    // By events, not by playbacks(): they come in one order, so the same requests end at the same sample each time.
    while (history.isLive()) {
      await time.step()
      if (isStuck(session)) break
    }
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

/** Whether whatever is left was paused, or waits behind what was: nobody will resume it. */
function isStuck(session) {
  const states = session.playbacks().map(({ state }) => state)
  return states.includes('paused') && states.every((state) => state === 'paused' || state === 'queued')
}

/** Enters a refusal, of which no event tells. */
function enter(finished, playback, history, onRefused) {
  finished.catch((error) => {
    if (!UNTOLD.includes(error.code)) return
    history.refused(playback, error)
    onRefused(playback)
  })
}

module.exports = { replay }
