'use strict'

// A cluster of two LiveKit nodes on this machine, and a session whose node is killed while it plays: its events, and which node has its room.
//
// It is not part of the published package.
//
//   node examples/cluster
//
// It needs Redis, or Debian's apt-get, with which it is downloaded; and livekit-server, or Go, with which it is built.

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { AccessToken } = require('livekit-server-sdk')

const { SpeakerSession } = require('../..') // 'speaker-session'
const { startCluster } = require('./cluster')

const ROOM = 'lobby'
const PLAY_MS = 3000
const MUSIC = path.join(__dirname, '..', 'audio', 'music.flac')

async function main() {
  const cluster = await startCluster()
  const begun = performance.now()
  const tell = (text) => console.log(`${((performance.now() - begun) / 1000).toFixed(3)} s  ${text}`)
  const nodeName = async () => `node ${cluster.nodes.indexOf(await cluster.nodeOf(ROOM)) + 1}`
  const token = () => {
    const access = new AccessToken(cluster.key, cluster.secret, { identity: 'speaker' })
    access.addGrant({ roomJoin: true, room: ROOM, canPublish: true, canSubscribe: false })
    return access.toJwt()
  }
  const session = new SpeakerSession({ output: { type: 'livekit', url: cluster.url, token }, progressIntervalMs: 0 })
  session.on('event', ({ type, reason }) => tell(`${type} ${reason ?? ''}`))
  try {
    session.playAudio({ audioUrl: MUSIC, loop: true }).catch(() => {}) // `failed` tells it
    await session.connect()
    tell(`the room is on ${await nodeName()}`)
    await sleep(PLAY_MS)
    const node = await cluster.nodeOf(ROOM)
    tell(`${await nodeName()} is killed`)
    node.signal('SIGKILL')
    await new Promise((resolve) => session.once('reconnected', resolve))
    tell(`the room is on ${await nodeName()}`)
    await sleep(PLAY_MS)
    await session.close()
  } finally {
    await cluster.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
