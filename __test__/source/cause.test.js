'use strict'

// The reason of a failure is the `cause` of its error, as in Node.

const assert = require('node:assert/strict')
const { createServer } = require('node:net')
const { test } = require('node:test')

const { open } = require('../support/session')
const { serve } = require('../support/server')

/** Returns a port on which nobody listens. */
async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a system failure has its code as the cause', async (t) => {
  const { session, told } = open(t, { output: { clock: 'realtime' } })
  for (const [audioUrl, code, cause] of [
    ['/nowhere/a.wav', 'ERR_FILE', 'ENOENT'],
    [`http://127.0.0.1:${await freePort()}/a.wav`, 'ERR_FETCH_FAILED', 'ECONNREFUSED']
  ]) {
    const error = await session.playAudio({ audioUrl }).catch((error) => error)
    assert.equal(error.code, code)
    assert.ok(error.cause instanceof Error)
    assert.equal(error.cause.code, cause)
    assert.ok(error.cause.errno < 0 && error.message.includes(error.cause.message), error.message)
    assert.ok(!Object.keys(error).includes('cause'), 'as with any Error')
  }
  assert.ok(told.filter(({ type }) => type === 'failed').every((event) => !('cause' in event)))
})

test("a library's message is the cause, ours have none", async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const url = await serve(t, (request, response) => {
    if (request.url === '/cut') response.writeHead(200, { 'content-length': 1000 }).write('x', () => response.destroy())
    else response.writeHead(404).end()
  })
  const cut = await session.playAudio({ audioUrl: `${url}/cut` }).catch((error) => error)
  assert.equal(cut.code, 'ERR_TRUNCATED')
  assert.equal(cut.cause.code, undefined)
  assert.ok(cut.message.includes(cut.cause.message))
  const missing = await session.playAudio({ audioUrl: `${url}/missing` }).catch((error) => error)
  assert.equal(missing.code, 'ERR_HTTP_STATUS')
  assert.ok(!('cause' in missing))
})
