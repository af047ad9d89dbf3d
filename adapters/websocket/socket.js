'use strict'

// What is done with a WebSocket, and how arguments are refused.

const { SpeakerError } = require('../..')

/** The error of an argument that is not what it should be. */
function refuse(expected, argument, received) {
  // Nothing of an object is shown: a socket has a URL.
  const isObject = typeof received === 'object' && received !== null
  const shown = isObject ? `an object of ${received.constructor?.name}` : String(received).slice(0, 200)
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${shown}`)
}

const OPEN = 1

/** Returns a socket if it can be sent to. */
function openSocket(socket) {
  if (typeof socket?.send !== 'function') throw refuse('a WebSocket', 'socket', socket)
  if (socket.readyState !== OPEN) throw refuse('an open WebSocket', 'socket', `readyState ${socket.readyState}`)
  return socket
}

/** Sends a text, and returns true, if the socket takes it. */
function send(socket, text) {
  if (socket.readyState !== OPEN) return false
  try {
    socket.send(text)
    return true
  } catch {
    return false // it was closed meanwhile
  }
}

/** Returns the object that a message holds: a text, bytes, or an object that was parsed already. Undefined if it is no JSON. */
function parsed(message) {
  if (typeof message === 'object' && message !== null && !ArrayBuffer.isView(message) && !(message instanceof ArrayBuffer)) {
    return message
  }
  try {
    const text = typeof message === 'string' ? message : Buffer.from(message).toString()
    const value = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** Returns options that are an object with no other keys than `known`. */
function knownOptions(options, name, known) {
  if (typeof options !== 'object' || options === null) throw refuse('an object', name, options)
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) throw refuse(`only ${known.join(', ')}`, `the options of ${name}`, unknown)
  return options
}

/** Calls back for each message of a socket that tells of them, and when it is closed. */
function listen(socket, { message, close }) {
  if (typeof socket.addEventListener !== 'function') return
  socket.addEventListener('message', ({ data }) => message(data))
  socket.addEventListener('close', close)
}

module.exports = { refuse, knownOptions, openSocket, listen, send, parsed }
