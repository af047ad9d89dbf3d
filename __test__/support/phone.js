'use strict'

// A telephone service and a model, each at the other end of a real WebSocket.

const { once } = require('node:events')

const { WebSocket, WebSocketServer } = require('ws')

/** The kinds of messages that contain sound. */
const SOUND = ['media', 'AudioData']

/** Returns both ends of a WebSocket over loopback: `near` is for the code under test. */
async function connected(t) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const near = new WebSocket(`ws://127.0.0.1:${server.address().port}/?token=hush`)
  const [[far]] = await Promise.all([once(server, 'connection'), once(near, 'open')])
  t.after(() => {
    near.terminate()
    server.close()
  })
  return { near, far }
}

/** Resolves when everything that one end has sent has arrived at the other. */
async function delivered(from) {
  from.ping()
  await once(from, 'pong')
}

/** Collects the messages that arrive at one end, parsed. */
function messagesOf(socket) {
  const messages = []
  socket.on('message', (data) => messages.push(JSON.parse(data)))
  return messages
}

/**
 * A telephone service that collects its messages, and plays them on request. It answers marks as Twilio does: when everything before them
 * was played, or at once when that is cleared.
 */
async function phone(t) {
  const { near, far } = await connected(t)
  const messages = messagesOf(far)
  const marks = []
  const answer = () => {
    for (const message of marks.splice(0)) far.send(JSON.stringify(message))
  }
  far.on('message', (data) => {
    const message = JSON.parse(data)
    if (message.event === 'mark') marks.push(message)
    if (message.event === 'clear') answer()
  })
  return {
    socket: near,
    far,
    messages,
    /** Plays everything that has arrived. */
    async play() {
      await delivered(near)
      answer()
      await delivered(far)
    },
    /** Returns the kinds of the messages in order, with those of sound counted: "50 media, clear". */
    async story() {
      await delivered(near)
      const kinds = messages.map(({ event, kind, mark }) => (mark ? `mark ${mark.name}` : event ?? kind))
      const parts = []
      for (const kind of kinds) {
        const last = parts.at(-1)
        if (last?.kind === kind && SOUND.includes(kind)) last.count++
        else parts.push({ kind, count: 1 })
      }
      return parts.map(({ kind, count }) => (SOUND.includes(kind) ? `${count} ${kind}` : kind)).join(', ')
    }
  }
}

module.exports = { connected, delivered, messagesOf, phone }
