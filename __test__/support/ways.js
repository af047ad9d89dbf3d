'use strict'

// The kinds of sources: a file, memory, HTTP and a stream. A test of one must hold for all.

const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')

const { open, finish } = require('./session')

/** Returns the kinds of sources: each plays `audio` in a session of its own and returns the samples. */
async function ways(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ways-'))
  t.after(() => rmSync(folder, { recursive: true }))
  let body
  const server = http.createServer((_, response) => {
    // In pieces that split a tag.
    for (let at = 0; at < body.length; at += 4093) response.write(body.subarray(at, at + 4093))
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const play = async (request) => {
    const { session, heard } = open(t)
    const playing = session.playAudio(request)
    playing.catch(() => {})
    await finish(session)
    await playing
    return heard()
  }
  return {
    path: (audio) => {
      const file = path.join(folder, 'it')
      writeFileSync(file, audio)
      return play({ audioUrl: file })
    },
    Buffer: (audio) => play({ audio }),
    HTTP: (audio) => {
      body = audio
      return play({ audioUrl: `http://127.0.0.1:${server.address().port}/it` })
    },
    stream: async (audio, format) => {
      const { session, heard } = open(t)
      const stream = session.createStream({ format })
      for (let at = 0; at < audio.length; at += 999) stream.write(audio.subarray(at, at + 999))
      stream.end()
      await finish(session)
      await stream.finished
      return heard()
    }
  }
}

module.exports = { ways }
