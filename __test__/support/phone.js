'use strict'

// A telephone service and a model, each at the other end of a real WebSocket.

const { once } = require('node:events')

const { WebSocket, WebSocketServer } = require('ws')

/** The kinds of messages that hold sound. */
const SOUND = ['media', 'AudioData']

/** Both ends of a WebSocket over loopback: `near` is for the code under test. */
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

/** Resolves when all that one end has sent has come to the other. */
async function delivered(from) {
  from.ping()
  await once(from, 'pong')
}

/** What comes to one end, parsed. */
function messagesOf(socket) {
  const messages = []
  socket.on('message', (data) => messages.push(JSON.parse(data)))
  return messages
}

/**
 * A telephone service that keeps what it is sent, and plays it when it is told to. It answers marks as Twilio does: when it has played
 * what came before them, or at once when that is thrown away.
 */
async function phone(t) {
  const { near, far } = await connected(t)
  const messages = messagesOf(far)
  let marks = []
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
    /** Plays all that came so far. */
    async play() {
      await delivered(near)
      answer()
      await delivered(far)
    },
    /** What kinds of messages came, one behind the other, those of sound counted: "50 media, clear". */
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
