'use strict'

// Helpers for WebSockets.

const { invalidArgument } = require('../check')

const OPEN = 1

/** Returns the socket if it is open, and throws otherwise. */
function openSocket(socket) {
  if (typeof socket?.send !== 'function') throw invalidArgument('a WebSocket', 'socket', socket)
  if (socket.readyState !== OPEN) throw invalidArgument('1, an open WebSocket,', 'socket.readyState', socket.readyState)
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

/** Subscribes to the messages and the close event of a socket, if it has events. */
function listen(socket, { message, close }) {
  if (typeof socket.addEventListener !== 'function') return
  socket.addEventListener('message', ({ data }) => message(data))
  socket.addEventListener('close', close)
}

module.exports = { openSocket, listen, send, parsed }
