'use strict'

// Sources behind a proxy.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { Authority } = require('../support/authority')
const { openProxy, openSocks, useProxies } = require('../support/proxy')
const { secured } = require('../support/secured')
const { serve, serveBytes } = require('../support/server')
const { finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const authority = new Authority(after)
process.env.NODE_EXTRA_CA_CERTS = authority.cert // read when TLS is first used

/** A server of a short sound: its URLs over http and https. */
async function serveBoth(t) {
  const url = await serve(t, (_, response) => response.end(tone(440, 20)))
  return { http: `${url}/a.wav`, https: `https://localhost:${await secured(t, url, authority.issue('localhost'))}/a.wav` }
}

/** Plays a URL in its own session. */
async function play(t, audioUrl) {
  const { session } = open(t)
  const [result] = await Promise.all([session.playAudio({ audioUrl }), finish(session)])
  return result
}

test('http and https sources use their proxies, except NO_PROXY', async (t) => {
  const { http, https } = await serveBoth(t)
  const proxy = await openProxy(t, { login: 'user:secret' })
  const url = `http://user:secret@127.0.0.1:${proxy.port}`
  useProxies(t, { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: 'example.com' })
  for (const audioUrl of [http, https]) assert.equal((await play(t, audioUrl)).outcome, 'completed')
  assert.deepEqual(proxy.asked, [`GET ${http}`, `CONNECT ${new URL(https).host}`])

  const others = await serveBoth(t)
  useProxies(t, { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: '127.0.0.0/8, localhost' })
  for (const audioUrl of [others.http, others.https]) assert.equal((await play(t, audioUrl)).outcome, 'completed')
  assert.equal(proxy.asked.length, 2)
})

test('retries and resumed downloads use the proxy', async (t) => {
  const clip = tone(440, 1000)
  const answers = [
    (socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n'),
    (socket) => socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\netag: "one"\r\ncontent-length: ${clip.length}\r\n\r\n`), clip.subarray(0, 50_000)])),
    (socket, { headers }) => {
      const from = Number(/\d+/.exec(headers.range))
      socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 206 Partial Content\r\netag: "one"\r\ncontent-length: ${clip.length - from}\r\ncontent-range: bytes ${from}-${clip.length - 1}/${clip.length}\r\n\r\n`), clip.subarray(from)]))
    }
  ]
  for (const isSecure of [false, true]) {
    const url = await serveBytes(t, (socket, request) => answers[request.before](socket, request))
    const audioUrl = isSecure ? `https://localhost:${await secured(t, url, authority.issue('localhost'))}/a.wav` : `${url}/a.wav`
    const proxy = await openProxy(t)
    const at = `http://127.0.0.1:${proxy.port}`
    useProxies(t, { HTTP_PROXY: at, HTTPS_PROXY: at })
    const { outcome, durationMs } = await play(t, audioUrl)
    assert.deepEqual([outcome, durationMs], ['completed', 1000])
    assert.deepEqual(proxy.asked, Array(3).fill(isSecure ? `CONNECT ${new URL(audioUrl).host}` : `GET ${audioUrl}`))
  }
})

test('ALL_PROXY may be a SOCKS proxy', async (t) => {
  const { http, https } = await serveBoth(t)
  const socks = await openSocks(t)
  useProxies(t, { ALL_PROXY: `socks5h://127.0.0.1:${socks.port}` })
  for (const audioUrl of [http, https]) assert.equal((await play(t, audioUrl)).outcome, 'completed')
  assert.deepEqual(socks.asked, [`address 127.0.0.1:${new URL(http).port}`, `name ${new URL(https).host}`])
})

test('proxy errors do not show the login', async (t) => {
  const { http, https } = await serveBoth(t)
  useProxies(t, { HTTP_PROXY: 'http://127.0.0.1:1' })
  const refused = /127\.0\.0\.1:\d+ by the proxy 127\.0\.0\.1:1.*Connection refused/
  await assert.rejects(play(t, http), { code: 'ERR_FETCH_FAILED', message: refused })

  const proxy = await openProxy(t, { login: 'user:secret' })
  useProxies(t, { HTTPS_PROXY: `http://user:plantedPassword@127.0.0.1:${proxy.port}` })
  const status = { code: 'ERR_HTTP_STATUS', message: /received 407 .* from 127\.0\.0\.1:\d+ by the proxy 127\.0\.0\.1/ }
  process.env.HTTP_PROXY = process.env.HTTPS_PROXY
  await assert.rejects(play(t, (await serveBoth(t)).http), status)
  await assert.rejects(play(t, https), (error) => {
    assert.match(error.message, /by the proxy .*proxy authorization required/)
    assert.ok(!(error.message + error.stack).includes('planted'))
    return true
  })
})
