'use strict'

// A rolling deploy: a router and two speakers, of which the second takes over what the first one plays, in the room of a LiveKit server.
//
//   node examples/deploy [ROOM]                LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET name the server
//
// Listen with any client of the room: nobody hears the deploys.

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { Router } = require('./router')

const audio = (name) => path.join(__dirname, '..', 'audio', name)

async function main([room = 'lobby']) {
  const router = new Router(room)
  router.on('event', ({ generation, type, requestId, reason, durationMs }) => {
    if (requestId) console.log(`speaker ${generation}: ${requestId} ${type} ${reason ?? ''} ${durationMs ?? ''}`)
  })
  try {
    await router.start()
    router.play({ requestId: 'music', audioUrl: audio('music.flac'), loop: true, volume: 0.4 })
    router.play({ requestId: 'welcome', audioUrl: audio('welcome.mp3'), role: 'voice', stopOther: false, overlap: 'queue', trackId: 2 })
    router.play({ requestId: 'reminder', audioUrl: audio('reminder.mp3'), role: 'voice', stopOther: false, overlap: 'queue', trackId: 2 })
    for (let n = 0; n < 2; n++) {
      await sleep(2000)
      const { playbacks } = await router.deploy()
      console.log(`handed over: ${playbacks.map(({ requestId, positionMs }) => `${requestId} at ${Math.round(positionMs)} ms`).join(', ')}`)
    }
    await sleep(3000)
  } finally {
    router.close()
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
