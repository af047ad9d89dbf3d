'use strict'

// An HTTP server on loopback that misbehaves as asked.

const { once } = require('node:events')
const http = require('node:http')

const { REQUIRED, check, object } = require('../check/values')
const { invalidArgument } = require('../error')
const { atEnd } = require('./at-end')

const ANSWER = ['body', 'status', 'headers', 'delayMs', 'drip', 'cutAfter', 'hangAfter', 'redirect']

/** Documented in index.d.ts. */
async function flakyServer(answers, t) {
  const [seen, turns] = [[], new Map()]
  const answered = typeof answers === 'function' ? answers : (request, response) => answer(response, next(answers, pathOf(request), turns))
  if (typeof answers !== 'function') Object.values(object(answers, 'answers', Object.keys(Object(answers)))).flat().forEach(checked)
  const server = http.createServer((request, response) => {
    seen.push({ method: request.method, path: pathOf(request), headers: request.headers })
    return answered(request, response)
  })
  // A test's server is closed by the test; until then something the server does may be awaited.
  if (!t) server.unref().on('connection', (socket) => socket.unref())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    const closed = server.listening && once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  atEnd(t, close)
  return { url: `http://127.0.0.1:${server.address().port}`, requests: seen, close, [Symbol.asyncDispose]: close }
}

function pathOf({ url }) {
  return url.split('?', 1)[0]
}

/** Returns the answer for a path: of several answers the next, and the last one from then on. */
function next(answers, path, turns) {
  if (!Object.hasOwn(answers, path)) return { status: 404 }
  const all = [answers[path]].flat()
  const turn = turns.get(path) ?? 0
  turns.set(path, turn + 1)
  return all[Math.min(turn, all.length - 1)]
}

function answer(response, given) {
  const { body, status = 200, headers = {}, delayMs = 0, drip: how, cutAfter, hangAfter, redirect } = checked(given)
  const bytes = Buffer.from(body ?? '')
  const timer = setTimeout(() => {
    if (hangAfter === 0) return
    if (redirect !== undefined) response.writeHead(status === 200 ? 302 : status, { location: redirect, ...headers }).end()
    else send(response.writeHead(status, { 'content-length': bytes.length, ...headers }), bytes, { how, cutAfter, hangAfter })
  }, delayMs).unref()
  response.once('close', () => clearTimeout(timer))
}

function send(response, bytes, { how, cutAfter, hangAfter }) {
  response.flushHeaders()
  if (cutAfter === 0) setImmediate(() => response.destroy())
  else if (cutAfter !== undefined) response.write(bytes.subarray(0, cutAfter), () => response.destroy())
  else if (hangAfter !== undefined) response.write(bytes.subarray(0, hangAfter))
  else if (how) drip(response, bytes, how)
  else response.end(bytes)
}

function drip(response, body, { bytes, everyMs }) {
  let sent = 0
  const timer = setInterval(() => {
    response.write(body.subarray(sent, sent + bytes))
    sent += bytes
    if (sent >= body.length) response.end()
  }, everyMs).unref()
  response.once('close', () => clearInterval(timer))
}

/** Validates an answer; a body alone is one too. */
function checked(given) {
  if (given instanceof Uint8Array || typeof given === 'string') return { body: given }
  const { body, status, delayMs, drip: how, cutAfter, hangAfter, redirect } = object(given, 'an answer', ANSWER)
  if (body !== undefined && !(body instanceof Uint8Array || typeof body === 'string')) throw invalidArgument('a Uint8Array or a string', 'body', body)
  check.integer(status, 'status', 200, 200, 999)
  check.number(delayMs, 'delayMs', 0, 0, 3_600_000)
  check.integer(cutAfter, 'cutAfter', undefined, 0, Infinity)
  check.integer(hangAfter, 'hangAfter', undefined, 0, Infinity)
  check.text(redirect, 'redirect', undefined)
  if (how !== undefined) {
    check.integer(object(how, 'drip', ['bytes', 'everyMs']).bytes, 'drip.bytes', REQUIRED, 1, Infinity)
    check.number(how.everyMs, 'drip.everyMs', REQUIRED, 1, 3_600_000)
  }
  return given
}

module.exports = { drip, flakyServer }
