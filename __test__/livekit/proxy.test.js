'use strict'

// Rooms behind a proxy: which connections go through it, its login, and its errors.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')
const { after, test } = require('node:test')
const { promisify } = require('node:util')

const { Authority } = require('../support/authority')
const { openProxy, openSocks, useProxies } = require('../support/proxy')
const { openEmptyRoom, speak } = require('../support/room')
const { secured } = require('../support/secured')

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** Opens an empty room, and returns its server's host and port over TLS. */
async function openSecured(t, host = 'localhost') {
  const room = await openEmptyRoom(t)
  return { room, host: `${host}:${await secured(t, room.server.url, authority.issue(host))}` }
}

/** Joins a room at a URL and leaves it. */
async function visit(t, room, url) {
  const { session } = speak(t, room, { url })
  await session.connect()
  await session.close()
}

/** Asserts that a room can't be joined, and returns the message. */
async function whyNot(t, room, url, options) {
  const { session } = speak(t, room, { url, ...options })
  const error = await session.connect().then(() => assert.fail('it was joined'), (error) => error)
  assert.equal(error.code, 'ERR_JOIN_FAILED')
  return error.message + error.stack
}

for (const name of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY']) {
  test(`a room over wss is joined through ${name}, one over ws directly`, async (t) => {
    const { room, host } = await openSecured(t)
    const proxy = await openProxy(t)
    useProxies(t, { [name]: `http://127.0.0.1:${proxy.port}`, HTTP_PROXY: `http://127.0.0.1:${proxy.port}` })
    await visit(t, room, `wss://${host}`)
    await visit(t, room, room.server.url)
    assert.deepEqual(proxy.asked, [`CONNECT ${host}`])
  })
}

test('NO_PROXY excludes a host, domain or port', async (t) => {
  const { room, host } = await openSecured(t)
  const proxy = await openProxy(t)
  const port = host.split(':')[1]
  for (const [except, goes] of [['localhost', 0], [`example.com, localhost:${port}`, 0], ['*', 0], ['localhost:1', 1], ['host', 1]]) {
    useProxies(t, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: except })
    await visit(t, room, `wss://${host}`)
    assert.equal(proxy.asked.length, goes, except)
    proxy.asked.length = 0
  }
})

test('the proxy resolves the name of the room', async (t) => {
  const { room, host } = await openSecured(t, 'room.invalid')
  const proxy = await openProxy(t)
  useProxies(t, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` })
  await visit(t, room, `wss://${host}`)
  assert.deepEqual(proxy.asked, [`CONNECT ${host}`])
})

test('proxies over TLS and SOCKS', async (t) => {
  const { room, host } = await openSecured(t)
  const proxy = await openProxy(t)
  const port = await secured(t, `http://127.0.0.1:${proxy.port}`, authority.issue('localhost'))
  useProxies(t, { HTTPS_PROXY: `https://localhost:${port}` })
  await visit(t, room, `wss://${host}`)
  assert.deepEqual(proxy.asked, [`CONNECT ${host}`])

  const socks = await openSocks(t)
  useProxies(t, { ALL_PROXY: `socks5h://127.0.0.1:${socks.port}` })
  await visit(t, room, `wss://${host}`)
  assert.deepEqual(socks.asked, [`name ${host}`])
})

test('only the proxy gets its login', async (t) => {
  const { room, host } = await openSecured(t)
  const proxy = await openProxy(t, { login: 'some user:plantedPassword7' })
  useProxies(t, { HTTPS_PROXY: `http://some%20user:plantedPassword7@127.0.0.1:${proxy.port}` })
  await visit(t, room, `wss://${host}`)
  useProxies(t, { HTTPS_PROXY: `http://some%20user:plantedPassword8@127.0.0.1:${proxy.port}` })
  const why = await whyNot(t, room, `wss://${host}`)
  assert.match(why, /by the proxy 127\.0\.0\.1:\d+: .*proxy authorization required/)
  assert.ok(!why.includes('plantedPassword'), why)

  const script = `
    const { SpeakerSession } = require(${JSON.stringify(require.resolve('../..'))})
    const session = new SpeakerSession({ output: { type: 'livekit', url: 'wss://${host}', token: 'x' } })
    session.connect().catch((error) => console.error(error)).then(() => session.close())`
  const env = { ...process.env, SPEAKER_SESSION_LOG: 'trace' }
  // The proxy runs in this process.
  const { stderr } = await promisify(execFile)(process.execPath, ['-e', script], { env, maxBuffer: 64 << 20 })
  assert.match(stderr, /proxy authorization required/)
  const encoded = Buffer.from('some user:plantedPassword8').toString('base64')
  for (const secret of ['plantedPassword', encoded]) assert.ok(!stderr.includes(secret), `${secret} is shown in ${stderr}`)
})

test('errors of dead, silent and invalid proxies', async (t) => {
  const { room, host } = await openSecured(t)
  useProxies(t, { HTTPS_PROXY: 'http://127.0.0.1:1' })
  assert.match(await whyNot(t, room, `wss://${host}`), new RegExp(`${host} by the proxy 127.0.0.1:1: Connection refused`))

  useProxies(t, { HTTPS_PROXY: `http://127.0.0.1:${new URL(room.server.url).port}` })
  assert.match(await whyNot(t, room, `wss://${host}`), /by the proxy .*: tunnel error: unsuccessful/)

  const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  useProxies(t, { HTTPS_PROXY: `http://127.0.0.1:${silent.address().port}` })
  assert.match(await whyNot(t, room, `wss://${host}`, { connectTimeoutMs: 300 }), /did not answer within 300 ms/)
})
