'use strict'

// What a few bytes can demand is bounded: memory, and how far a decoder goes on without a sound. `npm run test:hostile` measures it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { test } = require('node:test')

const { bodies } = require('../hostile/bodies')
const { open, finish } = require('../support/session')

/** Plays a request and returns how it ended, with the error's message. */
async function outcome(t, request) {
  const { session } = open(t)
  const ended = session.playAudio(request).then((result) => [result.outcome], (error) => [error.code, error.message])
  await finish(session)
  return ended
}

test('gives up endless damaged Ogg pages like junk', async (t) => {
  const server = http.createServer((request, response) => {
    const pieces = bodies[request.url.slice(1)]()
    const more = () => {
      while (!response.destroyed && response.write(pieces.next().value)) continue
    }
    response.on('drain', more).on('error', () => {})
    more()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  for (const name of ['ogg-wrong', 'ogg-heads']) {
    const audioUrl = `http://127.0.0.1:${server.address().port}/${name}`
    assert.equal((await outcome(t, { audioUrl }))[0], 'ERR_DECODE', name)
  }
})

test('refuses 65,000 channels before holding a packet', async (t) => {
  const [code, message] = await outcome(t, { audio: Buffer.concat([...bodies['aiff-channels-65535']()]) })
  assert.equal(code, 'ERR_UNSUPPORTED_FORMAT')
  assert.match(message, /received 65535 channels/)
})

test('refuses small Vorbis headers that demand gigabytes', async (t) => {
  const audio = Buffer.concat([...bodies['ogg-codebooks']()])
  assert.ok(audio.length < 12_000)
  const [code, message] = await outcome(t, { audio })
  assert.equal(code, 'ERR_UNSUPPORTED_FORMAT')
  assert.match(message, /received Vorbis with codebooks of an absurd size/)
})
