'use strict'

// Secrets with the word "planted" are put wherever one can be: no output of the process contains it.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { root } = require('../support/process')
const { serve } = require('../support/server')

/** A JSON Web Token whose claims and signature contain the word. */
const JWT = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{"sub":"planted"}').toString('base64url')}.planted-signature-0`

const BEARER = 'planted-bearer-1'
const COOKIE = 'planted-cookie-2'
const KEY = 'planted-key-3'
const PASSWORD = 'planted-password-4'
const SIGNATURE = 'planted-signature-5'
const TOKEN = 'planted-opaque-token-6'
const REDIRECTED = 'planted-redirected-7'

/** The encodings of the word. */
const forms = [/planted/i, /cGxhbnRlZ|BsYW50ZW|wbGFudGVk/, new RegExp(Buffer.from(`somebody:${PASSWORD}`).toString('base64').slice(0, 20))]

/** The script of the child, with a server that repeats everything it gets, wherever it can. */
const script = `
const { SpeakerSession } = require(${JSON.stringify(root)})
const { Readable } = require('node:stream')
const { inspect } = require('node:util')
const [http, tokens, file] = process.argv.slice(1)
const show = (...shown) => console.log(...shown.map((each) => inspect(each, { depth: 9, showHidden: true })))
const told = (session) => {
  for (const type of ['failed', 'error', 'stopped', 'completed', 'connected', 'disconnected', 'reconnecting']) session.on(type, (event) => show(type, event))
  return session
}
// With ERR_STREAM the cause is what the caller itself has thrown, and is shown to who asks for it alone.
const causes = ({ code, cause }) => (code === 'ERR_STREAM' ? [] : [cause, cause?.stack])
const settle = async (promise) => show(await promise().then((value) => value, (error) => [error, error.stack, causes(error), String(error), JSON.stringify(error)]))
const logger = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, (...line) => show('line', level, ...line)]))
const logged = process.env.LINES ? { logger } : {}
const headers = { authorization: 'Bearer ${BEARER}', cookie: 'theme=dark; sid=${COOKIE}', 'x-api-key': '${KEY}' }
const signed = (name) => http.replace('//', '//somebody:${PASSWORD}@') + name + '?X-Sig=${SIGNATURE}#${SIGNATURE}'
const room = (fields) => told(new SpeakerSession({ output: { type: 'livekit', url: tokens, connectTimeoutMs: 3000, ...fields }, ...logged }))
async function main() {
  if (process.env.LINES) SpeakerSession.on('log', (line) => show('line', line))
  const session = told(new SpeakerSession({ output: { type: 'memory' }, record: file, ...logged }))
  for (const name of ['/type', '/status', '/redirect', '/loop', '/nowhere', '/cut', '/reset', '/encoding']) {
    // With a user the header \`authorization\` is not sent.
    for (const url of [signed(name), signed(name).replace(/[^/]*@/, '')]) await settle(() => session.playAudio({ audioUrl: url, headers }))
  }
  await settle(() => session.playAudio({ audioUrl: 's3://somebody:${PASSWORD}@bucket/x?sig=${SIGNATURE}' }))
  await settle(() => session.playAudio({ audioUrl: signed('/type'), headers: { ...headers, 'x-more': '${KEY}\\n' } }))
  await settle(() => session.playAudio({ audio: Readable.from((function* () { throw new Error('from ' + signed('/x') + ' with ${JWT}') })()) }))
  const stream = session.createStream({ format: 'mp3' })
  stream.destroy(new Error('authorization: Bearer ${BEARER}'))
  await settle(() => stream.finished)
  show(session.stats(), session.playbacks(), SpeakerSession.processStats())
  await settle(() => session.close())
  for (const token of ['${JWT}', '${TOKEN}', () => '${TOKEN}', () => { throw new Error('no token: key=${KEY}, ${JWT}') }, () => ({ token: '${TOKEN}' })]) {
    for (const url of [tokens, tokens.replace('//', '//somebody:${PASSWORD}@') + '?key=${KEY}']) {
      const session = room({ token, url })
      await settle(() => session.connect())
      await settle(() => session.playAudio({ audioUrl: '/none' }))
      show(session.stats())
      await settle(() => session.close())
    }
  }
  await settle(async () => room({ token: { planted: '${TOKEN}' } }))
  await settle(async () => room({ token: '${TOKEN}', url: 'https:somebody:${PASSWORD}@host:x' }))
}
main()
`

/** Answers with the request's content: in the status, the type, the location. */
function echo(request, response) {
  const { authorization = '', cookie = '', 'x-api-key': key = '' } = request.headers
  const all = `${authorization} ${cookie} ${key} ${request.url}`
  const place = `http://somebody:${REDIRECTED}@127.0.0.1:1/${REDIRECTED}?sig=${REDIRECTED}#${REDIRECTED}`
  const answers = {
    '/type': () => response.writeHead(200, { 'content-type': `audio/${all}` }).end(all),
    '/status': () => response.writeHead(403, all, { 'www-authenticate': all }).end(all),
    '/redirect': () => response.writeHead(302, { location: place }).end(all),
    '/loop': () => response.writeHead(302, { location: request.url }).end(all),
    '/nowhere': () => response.writeHead(302, { location: place.replace(':1/', ':port/') }).end(all),
    '/cut': () => response.writeHead(200, { 'content-length': 1000 }).write(all, () => response.destroy()),
    '/reset': () => request.socket.end(`HTTP/1.1 ${all}\r\n${all}\r\n\r\n`),
    '/encoding': () => request.socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${all}\r\n`)
  }
  const answer = answers[request.url.replace(/[?].*/, '')]
  if (answer) answer()
  else response.writeHead(401).end(`invalid token: ${all}, error: ${all.replace(/^Bearer /, '')} has expired`)
}

for (const lines of ['', 'by loggers and listeners']) {
  test(`no output contains a secret ${lines}`, (t) => showsNothing(t, lines))
}

async function showsNothing(t, lines) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const seen = []
  const url = await serve(t, (request, response) => {
    seen.push(`${request.url} ${JSON.stringify(request.headers)}`)
    echo(request, response)
  })
  const file = path.join(folder, 'requests.jsonl')
  const args = ['-e', script, '--', url, url.replace('http', 'ws'), file]
  const child = spawn(process.execPath, args, { env: { ...process.env, SPEAKER_SESSION_LOG: 'trace', LINES: lines } })
  t.after(() => child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.on('data', (data) => (out += data))
  child.stderr.on('data', (data) => (err += data))
  const [code] = await once(child, 'close')
  assert.equal(code, 0, err)
  // The output was complete.
  for (const secret of [BEARER, COOKIE, KEY, TOKEN, JWT, SIGNATURE]) assert.ok(seen.some((each) => each.includes(secret)), secret)
  for (const said of [/ERR_UNSUPPORTED_FORMAT/, /ERR_HTTP_STATUS/, /ERR_FETCH_FAILED/, /ECONNREFUSED/, /ERR_TOO_MANY_REDIRECTS/,
    /ERR_STREAM/, /ERR_JOIN_FAILED/, /ERR_INVALID_ARGUMENT/, /has expired/]) assert.match(out, said)
  if (lines) assert.match(out, /'line', 'trace'|'line' 'trace'/)
  else assert.match(err, /TRACE/)
  const recording = readFileSync(file, 'utf8')
  assert.match(recording, /<masked>/)
  for (const [where, text] of Object.entries({ out, err, recording })) {
    for (const form of forms) {
      const line = text.split('\n').find((line) => form.test(line))
      assert.equal(line, undefined, `${where} shows a secret`)
    }
  }
}
