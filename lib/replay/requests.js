'use strict'

// Drives a session from recorded requests.

const { CALLS } = require('../recording/calls')
const { ManualClock, RealtimeClock } = require('./clocks')

/** Refusals without an event, because the request never became a playback. */
const WITHOUT_EVENT = ['ERR_DUPLICATE_REQUEST', 'ERR_CLOSED', 'ERR_INVALID_ARGUMENT']

/**
 * Makes timed requests (see Log) of a session and adds each to `history`. Settles when all playbacks have ended, when the rest stays
 * paused, or when `signal` is aborted: the caller then closes the session, if it is not closed yet. The requests' times are relative to
 * the session's time `zeroMs`; on a realtime clock that is when it is connected, unless `begunAt` (a time of `performance.now()`) is given.
 * `onAsked(type, request, atMs)` is called before each request, `onMade(type, request, atMs, made)` after it, with its playback or what the
 * call has resolved with; `onRefused` for one that is refused.
 */
async function makeRequests(session, requests, history, options = {}) {
  const { clock = 'manual', zeroMs = 0, signal, begunAt, onRefused = () => {}, onAsked = () => {}, onMade = () => {} } = options
  await session.connect()
  const [streams, begun] = [new Map(), new WeakSet()]
  const time = clock === 'manual' ? new ManualClock(session) : new RealtimeClock(signal, begunAt)
  try {
    for (const { atMs, type, request } of requests) {
      await time.reach(atMs)
      signal?.throwIfAborted()
      const { begin, method, onSession, onStream } = CALLS[type]
      onAsked(type, request, zeroMs + atMs)
      if (begin) {
        const playback = history.requested(request, zeroMs + atMs)
        const finished = begin(session, { ...request, context: playback }, streams)
        // With `onDuplicate: 'join'` a second call returns the promise of the first, which is in the history.
        if (begun.has(finished)) history.joined(playback)
        else {
          enter(finished, request, playback, history, onRefused)
          onMade(type, request, zeroMs + atMs, playback)
        }
        begun.add(finished)
      } else {
        const made = onStream ? onStream(streams.get(request.requestId), request) : onSession ? onSession(session, request) : session[method](request)
        onMade(type, request, zeroMs + atMs, await made)
      }
    }
    // No line is left that could write to it.
    for (const stream of streams.values()) stream.end()
    await finishPlaybacks(session, time, history)
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

/** Plays what is left to its end, as far as possible. */
async function finishPlaybacks(session, time, history) {
  // In one call, which ends with the last sample: checking after each frame takes longer than mixing it.
  if (time instanceof ManualClock && !session.playbacks().some(({ state }) => state === 'paused')) return time.drain()
  // Decided by events and not by playbacks(): their order is reproducible, so the end is at the same sample each
  // time.
  while (history.isLive()) {
    await time.step()
    if (isStuck(session)) break
  }
}

/** Returns true if everything left is paused, or queued behind something paused: no request will resume it. */
function isStuck(session) {
  const states = session.playbacks().map(({ state }) => state)
  return states.includes('paused') && states.every((state) => state === 'paused' || state === 'queued')
}

/** Adds the refusal of a request, if no event reports it. */
function enter(finished, { audioUrl }, playback, history, onRefused) {
  finished.catch((error) => {
    // A blocked server is refused when it is contacted, which is an event; a blocked file at once.
    const isRefusedFile = error.code === 'ERR_URL_BLOCKED' && !/^https?:/i.test(audioUrl)
    if (!isRefusedFile && !WITHOUT_EVENT.includes(error.code)) return
    history.refused(playback, error)
    onRefused(playback)
  })
}

module.exports = { makeRequests }
