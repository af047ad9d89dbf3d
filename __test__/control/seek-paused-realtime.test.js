'use strict'

// In real time: a playback that is paused, sought and resumed plays the new position and nothing of the old one.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { test } = require('node:test')

const { open } = require('../support/session')
const { wavFile } = require('../support/wav')

const RATE = 48000
const NEW_MS = 20_000
/** 5 ms. */
const EDGE = 240
/** A clip whose sign tells the position: samples before NEW_MS are above zero, later ones below. */
const clip = wavFile(Float32Array.from({ length: 40 * RATE }, (_, n) => (n < (NEW_MS / 1000) * RATE ? 0.25 : -0.25)), RATE)

/** Serves the clip from a slow server. */
async function serve(t) {
  const server = createServer((request, response) => {
    response.setHeader('content-length', clip.length)
    response.end(clip)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close(server.closeAllConnections()))
  return `http://127.0.0.1:${server.address().port}/clip.wav`
}

for (const where of ['memory', 'a server']) {
  test(`pause, seek, resume of ${where} plays the new position`, async (t) => {
    const source = where === 'memory' ? { audio: clip } : { audioUrl: await serve(t) }
    await Promise.all(Array.from({ length: 8 }, async () => {
      const { session, of, told, heard } = open(t, { output: { clock: 'realtime' } })
      const playing = session.playAudio({ requestId: 'a', ...source })
      await once(session, 'started')
      await session.pauseAudio()
      await once(session, 'paused')
      const silentAt = heard().length
      await session.seekAudio({ positionMs: NEW_MS })
      await session.resumeAudio()
      await once(session, 'resumed')
      await session.stopAudio({ fadeOutMs: 200 })
      await playing
      assert.deepEqual(of('a').map((event) => event.split('@')[0]), ['started', 'paused', 'sought', 'resumed', 'stopped'])
      for (const { type, positionMs } of told) {
        if (type === 'sought' || type === 'resumed') assert.equal(positionMs, NEW_MS, type)
      }
      const after = heard().subarray(silentAt)
      assert.ok(after.some((sample) => sample < -0.2), 'the new place is heard')
      assert.ok(after.every((sample) => sample <= 0), 'the old place is heard')
    }))
  })
}

test('without waiting, the old position falls silent for good', async (t) => {
  await Promise.all(Array.from({ length: 8 }, async () => {
    const { session, heard } = open(t, { output: { clock: 'realtime' } })
    const playing = session.playAudio({ requestId: 'a', audio: clip })
    await once(session, 'started')
    const sought = once(session, 'sought')
    session.pauseAudio()
    session.seekAudio({ positionMs: NEW_MS })
    session.resumeAudio()
    await sought
    await session.stopAudio({ fadeOutMs: 200 })
    await playing
    const samples = heard()
    const begun = samples.findIndex((sample) => sample > 0)
    const falls = samples.findIndex((sample, n) => n > begun && sample < 0.249)
    assert.ok(samples.subarray(falls + EDGE).every((sample) => sample <= 0), 'the old place is heard behind its fall')
    assert.ok(samples.subarray(falls + EDGE).some((sample) => sample < -0.2), 'the new place is heard')
  }))
})
