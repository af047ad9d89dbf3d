'use strict'

const { SpeakerError, withCause } = require('./error')

/** Throws if the signal was aborted before the call began. */
function throwIfAborted(signal) {
  if (signal?.aborted) throw aborted('Expected a signal that is not aborted yet but it is', signal)
}

/** Returns the error of a call that was given up because `signal` was aborted, with the signal's reason as its cause. */
function aborted(message, signal) {
  return withCause(new SpeakerError('ERR_ABORTED', message), signal.reason)
}

/** The functions to call when a signal is aborted: one listener for each signal, because Node warns of more than ten. */
const waiting = new WeakMap()

/** Calls `abort` if `signal` is aborted before `promise` settles, and listens no longer than that. */
function onAbort(signal, promise, abort) {
  if (!signal) return
  const { calls, listener } = waiting.get(signal) ?? listen(signal)
  calls.add(abort)
  const end = () => {
    calls.delete(abort)
    if (calls.size > 0) return
    signal.removeEventListener('abort', listener)
    waiting.delete(signal)
  }
  promise.then(end, end)
}

function listen(signal) {
  const calls = new Set()
  const entry = { calls, listener: () => calls.forEach((abort) => abort()) }
  waiting.set(signal, entry)
  signal.addEventListener('abort', entry.listener)
  return entry
}

module.exports = { aborted, throwIfAborted, onAbort }
