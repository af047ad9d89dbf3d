'use strict'

// Helpers for WebSockets and arguments.

const { SpeakerError } = require('../..')

/** Returns the error of an invalid argument. */
function refuse(expected, argument, received) {
  // No content of an object is shown: a socket has a URL.
  const isObject = typeof received === 'object' && received !== null
  const shown = isObject ? `an object of ${received.constructor?.name}` : String(received).slice(0, 200)
  return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected ${expected} for ${argument} but received ${shown}`)
}

const OPEN = 1

/** Returns the socket if it is open, and throws otherwise. */
function openSocket(socket) {
  if (typeof socket?.send !== 'function') throw refuse('a WebSocket', 'socket', socket)
  if (socket.readyState !== OPEN) throw refuse('an open WebSocket', 'socket', `readyState ${socket.readyState}`)
  return socket
}

/** Sends a text. Returns false if the socket is not open. */
function send(socket, text) {
  if (socket.readyState !== OPEN) return false
  try {
    socket.send(text)
    return true
  } catch {
    return false // it was closed meanwhile
  }
}

/** Returns the object in a message: a text, bytes, or an object that was parsed already. Undefined if it is not JSON. */
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

/** Returns the options, which must be an object with no other keys than `known`. */
function knownOptions(options, name, known) {
  if (typeof options !== 'object' || options === null) throw refuse('an object', name, options)
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) throw refuse(`only ${known.join(', ')}`, `the options of ${name}`, unknown)
  return options
}

/** Subscribes to the messages and the close event of a socket, if it has events. */
function listen(socket, { message, close }) {
  if (typeof socket.addEventListener !== 'function') return
  socket.addEventListener('message', ({ data }) => message(data))
  socket.addEventListener('close', close)
}

module.exports = { refuse, knownOptions, openSocket, listen, send, parsed }
