'use strict'

// Joins a room with LiveKit's own SDK, which shares no code with the speaker, and reports the level of each track to its parent,
// frame by frame. It is a process of its own because the SDK logs to stdout, and its threads should not disturb the speaker.

const EAR_OPTIONS = require('./ear-options')

const RATE = 48000
const FRAME_MS = 20

/** Returns the mean power of a frame, 1 being full scale, and its number of zero crossings. */
function measure(samples) {
  let [power, crossings] = [0, 0]
  for (let n = 0; n < samples.length; n++) {
    power += (samples[n] / 32768) ** 2
    if (n > 0 && samples[n] < 0 !== samples[n - 1] < 0) crossings++
  }
  return { power: power / samples.length, crossings }
}

function report(message) {
  if (process.connected) process.send(message)
}

async function listen({ url, token }) {
  const { AudioStream, Room, RoomEvent, TrackKind } = require('@livekit/rtc-node')
  const room = new Room()
  room.on(RoomEvent.TrackSubscribed, async (track, { name }) => {
    if (track.kind !== TrackKind.KIND_AUDIO) return
    report({ found: name })
    const options = { sampleRate: RATE, numChannels: 1, frameSizeMs: FRAME_MS }
    for await (const { data } of new AudioStream(track, options)) {
      const epochMs = performance.timeOrigin + performance.now() - FRAME_MS
      report({ frame: { track: name, epochMs, lengthMs: FRAME_MS, ...measure(data) } })
    }
  })
  // The parent has exited, or has heard enough.
  process.once('disconnect', () => room.disconnect().finally(process.exit))
  await room.connect(url, token, EAR_OPTIONS)
}

process.once('message', (where) => {
  listen(where).then(() => report({ listening: true }), (error) => report({ refused: error.message.split('\n', 1)[0] }))
})
