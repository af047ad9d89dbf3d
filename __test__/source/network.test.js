'use strict'

// Which servers and files `network` permits as sources.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { openSocks, useProxies } = require('../support/proxy')
const { serve } = require('../support/server')
const { finish, open } = require('../support/session')
const { tone } = require('../support/wav')

const FILE = path.join(__dirname, '../fixtures/tone-s16.wav')
const audio = tone(440, 100)

/** A server that records its requests. */
async function note(t, answer = (_, response) => response.end(audio)) {
  const seen = []
  const url = await serve(t, (request, response) => {
    seen.push(request.url)
    answer(request, response)
  })
  return { url, seen, port: new URL(url).port }
}

/** Plays a URL in its own session and returns the outcome, or the code and the message. */
async function play(t, audioUrl, network, headers) {
  const { session } = open(t, { network })
  const playing = session.playAudio({ audioUrl, headers })
    .then(({ outcome }) => outcome, ({ code, message }) => `${code}: ${message}`)
  await finish(session)
  return playing
}

const blocked = (host, why) => `ERR_URL_BLOCKED: Expected a server that network allows for audioUrl but received ${host}: ${why}`

test("'public' reaches no server of this machine", async (t) => {
  const { url, seen, port } = await note(t)
  for (const [host, why] of [
    ['127.0.0.1', 'it is a loopback address'],
    ['127.1', 'it is a loopback address'],
    ['localhost', 'it is at a loopback address'],
    ['a.localhost', 'it is at a loopback address'],
    ['[::1]', 'it is a loopback address'],
    ['[::ffff:127.0.0.1]', 'it is a loopback address'],
    ['[64:ff9b::127.0.0.1]', 'it is a loopback address'],
    ['0.0.0.0', 'it is the unspecified address'],
    ['192.168.77.1', 'it is a private address'],
    ['169.254.169.254', 'it is a link-local address']
  ]) {
    const { host: shown } = new URL(`http://${host}:${port}`)
    assert.equal(await play(t, `http://${host}:${port}/a.wav`, 'public'), blocked(shown, why))
  }
  assert.deepEqual(seen, [])
  assert.equal(await play(t, `${url}/a.wav`, 'any'), 'completed')
  assert.equal(await play(t, `${url}/b.wav`), 'completed')
  assert.deepEqual(seen, ['/a.wav', '/b.wav'])
})

test('the default blocks link-local and cloud addresses', async (t) => {
  for (const network of [undefined, 'any']) {
    const metadata = 'http://169.254.169.254/latest/meta-data/'
    assert.equal(await play(t, metadata, network), blocked('169.254.169.254:80', 'it is a link-local address'))
    assert.equal(await play(t, 'http://[fd00:ec2::254]/', network), blocked('[fd00:ec2::254]:80', "it is an address of a cloud's own services"))
  }
})

test('a redirect is checked like the URL', async (t) => {
  const inner = await note(t)
  const outer = await note(t, (_, response) => response.writeHead(302, { location: `http://localhost:${inner.port}/secret` }).end())
  const allow = [`127.0.0.1:${outer.port}`]
  assert.equal(await play(t, outer.url, { allow }), blocked(`localhost:${inner.port}`, 'it is at a loopback address'))
  assert.equal(await play(t, outer.url, { allow: [...allow, 'localhost'], deny: [`127.0.0.0/8:${inner.port}`] }),
    blocked(`localhost:${inner.port}`, 'network.deny has it'))
  assert.deepEqual([outer.seen.length, inner.seen.length], [2, 0])
  assert.equal(await play(t, outer.url, { allow: [...allow, 'localhost'] }), 'completed')
  assert.deepEqual(inner.seen, ['/secret'])
})

test('other network rules reuse no kept connection', async (t) => {
  const { url, seen, port } = await note(t)
  const name = `http://localhost:${port}`
  for (const place of [url, name]) {
    assert.equal(await play(t, `${place}/open`, 'any'), 'completed')
    assert.match(await play(t, `${place}/closed`, 'public'), /^ERR_URL_BLOCKED: /)
    assert.match(await play(t, `${place}/closed`, { allow: ['localhost:1', '127.0.0.1:1'] }), /^ERR_URL_BLOCKED: /)
  }
  assert.deepEqual(seen, ['/open', '/open'])
})

test('reads files only where network allows them', async (t) => {
  const refused = 'ERR_URL_BLOCKED: Expected an http(s) URL for audioUrl (network takes no files) but received a file'
  for (const audioUrl of [FILE, `file://${FILE}`, new URL(`file://${FILE}`), '/etc/passwd', '/no/such/file']) {
    for (const network of ['public', {}, { files: false }]) assert.equal(await play(t, audioUrl, network), refused)
  }
  for (const network of [undefined, 'any', { files: true }]) assert.equal(await play(t, FILE, network), 'completed')
  // Bytes in memory are not a file.
  const { session } = open(t, { network: 'public' })
  const playing = session.playAudio({ audio })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})

test('a refused request leaves others alone', async (t) => {
  const { url } = await note(t)
  const { session, of } = open(t, { network: 'public' })
  const other = session.playAudio({ requestId: 'other', audio })
  const refused = session.playAudio({ requestId: 'refused', audioUrl: url, stopOther: false })
  refused.catch(() => {})
  await assert.rejects(session.playAudio({ requestId: 'file', audioUrl: FILE, stopOther: true }), { code: 'ERR_URL_BLOCKED' })
  await finish(session)
  assert.equal((await other).outcome, 'completed')
  await assert.rejects(refused, { code: 'ERR_URL_BLOCKED' })
  assert.deepEqual([of('file'), of('refused').length], [[], 1], 'a file is refused before anything begins')
})

test('a clip keeps the network it was made with', async (t) => {
  const { url, seen } = await note(t)
  await assert.rejects(SpeakerSession.clip({ audioUrl: url, network: 'public' }), { code: 'ERR_URL_BLOCKED' })
  await assert.rejects(SpeakerSession.clip({ audioUrl: FILE, network: { allow: ['127.0.0.1'] } }), { code: 'ERR_URL_BLOCKED' })
  assert.equal(seen.length, 0)
  const clip = await SpeakerSession.clip({ audioUrl: url, network: { allow: ['127.0.0.0/8'] } })
  const { session } = open(t, { network: 'public' })
  const playing = session.playAudio({ audio: clip })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
})

test('configure sets the default network for later requests', async (t) => {
  t.after(() => SpeakerSession.configure({ network: 'any' }))
  const { url } = await note(t)
  const { session } = open(t)
  SpeakerSession.configure({ network: 'public' })
  const playing = session.playAudio({ audioUrl: url })
  playing.catch(() => {})
  await finish(session)
  await assert.rejects(playing, { code: 'ERR_URL_BLOCKED' })
  await assert.rejects(SpeakerSession.clip({ audioUrl: url }), { code: 'ERR_URL_BLOCKED' })
  assert.equal(await play(t, url, 'any'), 'completed')
  SpeakerSession.configure({ maxClipBytes: 2 ** 28 })
  assert.match(await play(t, url), /^ERR_URL_BLOCKED: /, 'another option leaves it as it is')
})

test("SPEAKER_SESSION_NETWORK sets the process's network", () => {
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(path.join(__dirname, '../..'))})
    const told = async (network) => {
      try {
        const session = new SpeakerSession({ output: { type: 'memory' }, network })
        return await session.playAudio({ audioUrl: ${JSON.stringify(FILE)}, durationMs: 20 }).then(({ outcome }) => outcome)
      } catch ({ code, message }) { return code + ': ' + message }
    }
    const run = async () => {
      const first = await told()
      const own = await told('any')
      const clip = await SpeakerSession.clip({ audioUrl: ${JSON.stringify(FILE)} }).then(() => 'made', ({ code }) => code)
      SpeakerSession.configure({ network: 'any' })
      console.log(JSON.stringify([first, own, clip, await told()]))
    }
    run()`
  const told = (value) => {
    const env = { ...process.env, SPEAKER_SESSION_NETWORK: value }
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' })
    assert.notEqual(stdout, '', stderr)
    return JSON.parse(stdout)
  }
  const file = 'ERR_URL_BLOCKED: Expected an http(s) URL for audioUrl (network takes no files) but received a file'
  assert.deepEqual(told('public'), [file, 'completed', 'ERR_URL_BLOCKED', 'completed'])
  assert.deepEqual(told(' {"allow":["10.0.0.0/8"]} '), [file, 'completed', 'ERR_URL_BLOCKED', 'completed'])
  assert.deepEqual(told('{"files":true}'), ['completed', 'completed', 'made', 'completed'])
  assert.deepEqual(told(''), ['completed', 'completed', 'made', 'completed'])
  // An invalid one permits nothing.
  const wrong = "ERR_INVALID_ARGUMENT: Expected 'any', 'public' or an object for SPEAKER_SESSION_NETWORK but received 'pubic' of type string"
  assert.deepEqual(told('pubic'), [wrong, 'completed', 'ERR_INVALID_ARGUMENT', wrong])
})

test('refuses an invalid network with a message', () => {
  const rule = "Expected a host, '*.' and a domain, an address or a range of them, or one of these with a port for network"
  for (const [network, message] of [
    ['private', "Expected 'any', 'public' or an object for network but received 'private' of type string"],
    ['toString', "Expected 'any', 'public' or an object for network but received 'toString' of type string"],
    [null, "Expected 'any', 'public' or an object for network but received null"],
    [[], 'Expected an object for network but received an array'],
    [{ alow: [] }, "Expected only allow, deny, files for the options of network but received 'alow' of type string; did you mean allow?"],
    [{ allow: 'a.test' }, "Expected an array for network.allow but received 'a.test' of type string"],
    [{ allow: ['a.test', '10.0.0.0/33'] }, `${rule}.allow[1] but received '10.0.0.0/33' of type string`],
    [{ deny: [null] }, `${rule}.deny[0] but received null`],
    [{ deny: new Array(1) }, `${rule}.deny[0] but received undefined`],
    [{ files: 'no' }, "Expected a boolean for network.files but received 'no' of type string"]
  ]) {
    const error = { code: 'ERR_INVALID_ARGUMENT', message }
    assert.throws(() => new SpeakerSession({ output: { type: 'memory' }, network }), error)
    assert.throws(() => SpeakerSession.configure({ network }), error)
  }
})

test('a refusal shows no secrets', async (t) => {
  const audioUrl = 'http://planted:planted@127.0.0.1/planted/planted?token=planted#planted'
  const told = await play(t, audioUrl, 'public', { 'X-Key': 'planted' })
  assert.equal(told, blocked('127.0.0.1:80', 'it is a loopback address'))
})

test('network checks the URL, not the proxy', async (t) => {
  const proxy = await note(t) // it answers what it is asked for itself
  useProxies(t, { HTTP_PROXY: `http://localhost:${proxy.port}` })
  assert.equal(await play(t, 'http://10.0.0.1/a', 'public'), blocked('10.0.0.1:80', 'it is a private address'))
  assert.equal(await play(t, 'http://a.localhost/a', 'public'), blocked('a.localhost:80', 'it is at a loopback address'))
  assert.equal(await play(t, 'http://name.invalid/a', { deny: ['name.invalid'] }), blocked('name.invalid:80', 'network.deny has it'))
  assert.deepEqual(proxy.seen, [])
  assert.equal(await play(t, 'http://10.0.0.1/b', { allow: ['10.0.0.1'] }), 'completed')
  assert.equal(await play(t, 'http://name.invalid/b', 'public'), 'completed', 'what the name means is for the proxy to say')
  assert.deepEqual(proxy.seen, ['http://10.0.0.1/b', 'http://name.invalid/b'])
})

test('checks names resolved for a SOCKS proxy', async (t) => {
  const socks = await openSocks(t)
  const { port } = await note(t)
  useProxies(t, { ALL_PROXY: `socks5://127.0.0.1:${socks.port}` })
  assert.equal(await play(t, `http://localhost:${port}`, { allow: [`localhost:${port}`] }), 'completed')
  assert.match(await play(t, `http://localhost:${port}`, { allow: [`localhost:${port}`], deny: ['127.0.0.0/8', '::1'] }), /network\.deny has it$/)
  assert.equal(socks.asked.length, 1)
})
