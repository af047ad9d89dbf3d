'use strict'

// A page on which one sees and hears what overlap policies, roles and events mean. Whoever opens it is a user with a session of their own: its buttons
// are calls of that session, and its lanes are drawn from the session's events and taps.
//
//   npm run demo -- --open       serves it on loopback, and opens it in the browser
//   npm run demo -- --open --livekit       the same over a LiveKit room: that of LIVEKIT_URL, or of a server that is started here

const { execFile } = require('node:child_process')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { SpeakerSession } = require('../..') // 'speaker-session'
const { openSound } = require('./sound')

const AUDIO = path.join(__dirname, '..', 'audio')
const SOUNDS = ['music.flac', 'welcome.mp3', 'reminder.mp3', 'chime.wav', 'urgent.mp3']
/** The calls that the page makes. */
const CALLS = ['playAudio', 'stopAudio', 'interrupt', 'pauseAudio', 'resumeAudio', 'seekAudio', 'setVolume']
/** The options of each user's session. */
const OPTIONS = { duck: { db: -12 }, progressIntervalMs: 0 }

const MOST_USERS = 20
const MOST_BYTES = 10_000
/** The interval at which the page gets positions and levels. */
const STATE_MS = 50
/** The form of a tap that only levels are read from. */
const LEVELS = { channels: 1, sampleRate: 8000, format: 's16', frameMs: 20 }

/** Somebody with the page open: their session, and the stream of messages (server-sent events) that the page draws. */
class User {
  session
  #sound
  #stream
  #timer
  /** The levels since the last message, `[atMs, peak]`, by `requestId`; those of the mix under ''. */
  #levels = {}
  #isIdle = false

  static async open(stream, sound) {
    const user = new User()
    user.#stream = stream
    user.#sound = sound
    user.session = new SpeakerSession({ ...OPTIONS, output: sound.output })
    user.session.on('event', (event) => user.#send('event', event))
    user.#measure('', {})
    user.#timer = setInterval(() => user.#sendState(), STATE_MS)
    return user
  }

  /** Sends what the page needs to begin. */
  greet(id, sounds) {
    this.#send('hello', { id, sounds, sound: this.#sound.forPage(this.session) })
  }

  /** Makes a call of the session. */
  async call(method, request) {
    if (method !== 'playAudio') return this.session[method](request)
    const playing = this.session.playAudio({ ...request, audioUrl: path.join(AUDIO, request.audioUrl) })
    // Its end is told by its event.
    if (playing.requestId === undefined) return playing
    playing.catch(() => {})
    this.#measure(playing.requestId, { requestId: playing.requestId })
    return { requestId: playing.requestId }
  }

  async close() {
    clearInterval(this.#timer)
    await this.session.close().catch(() => {})
    await this.#sound.close()
  }

  /** Collects the levels of a playback, or of all. */
  #measure(name, target) {
    const tap = this.session.tap({ ...LEVELS, ...target })
    tap.on('data', ({ atMs, frame }) => {
      let peak = 0
      for (let at = 0; at < frame.length; at += 2) peak = Math.max(peak, Math.abs(frame.readInt16LE(at)))
      this.#levels[name] ??= []
      this.#levels[name].push([Math.round(atMs), Math.round((peak / 32768) * 1000) / 1000])
    })
  }

  #sendState() {
    const playbacks = this.session.playbacks()
    const isIdle = playbacks.length === 0 && Object.keys(this.#levels).length === 0
    if (isIdle && this.#isIdle) return
    this.#isIdle = isIdle
    this.#send('state', { timeMs: this.session.stats().timeMs, playbacks, levels: this.#levels })
    this.#levels = {}
  }

  #send(type, data) {
    this.#stream.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`)
  }
}

/** Serves the page on loopback. Resolves with `{ url, close() }`. */
async function startShowcase({ port = 0, livekit = false } = {}) {
  const users = new Map()
  let count = 0
  const source = await openSound({ livekit })
  const lengths = await Promise.all(SOUNDS.map((name) => SpeakerSession.probe(path.join(AUDIO, name))))
  const sounds = Object.fromEntries(SOUNDS.map((name, n) => [name, lengths[n].durationMs]))

  const answers = {
    'GET /': (request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': source.policy })
      response.end(readFileSync(path.join(__dirname, 'index.html')))
    },
    'GET /session': async (request, response) => {
      if (users.size >= MOST_USERS) return response.writeHead(503).end()
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      const id = `user-${++count}`
      const gone = new Promise((resolve) => response.once('close', resolve))
      const user = await User.open(response, await source.forUser(id))
      users.set(id, user)
      gone.then(() => {
        users.delete(id)
        return user.close()
      })
      await user.session.connect()
      user.greet(id, sounds)
    },
    'POST /call': async (request, response) => {
      const { id, method, request: made } = await readJson(request).catch(() => ({}))
      const user = users.get(id)
      const isKnown = CALLS.includes(method) && (method !== 'playAudio' || SOUNDS.includes(made?.audioUrl))
      if (!user || !isKnown) return response.writeHead(400).end()
      const answer = await user.call(method, made).catch(({ code, message }) => ({ code, message }))
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer ?? {}))
    },
    ...source.answers
  }

  const server = http.createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    const answer = answers[`${request.method} ${pathname}`]
    // A name of somebody else's that leads here is not this page (DNS rebinding), and neither is another page's form.
    const { host, origin = `http://${host}` } = request.headers
    if (host !== address || origin !== `http://${address}`) return response.writeHead(403).end()
    if (!answer) return response.writeHead(404).end()
    Promise.resolve(answer(request, response, users.get(searchParams.get('id')))).catch(({ message }) => {
      console.error(message)
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = `127.0.0.1:${server.address().port}`
  const close = async () => {
    server.close()
    const open = [...users.values()]
    server.closeAllConnections()
    await Promise.all(open.map((user) => user.close()))
    await source.close()
  }
  return { url: `http://${address}/`, close }
}

async function readJson(request) {
  let text = ''
  for await (const part of request.setEncoding('utf8')) {
    text += part
    if (text.length > MOST_BYTES) throw new Error(`Expected at most ${MOST_BYTES} bytes`)
  }
  return JSON.parse(text)
}

/** Opens an address in the user's browser, if there is one. */
function openBrowser(url) {
  const [program, ...args] = { darwin: ['open', url], win32: ['cmd', '/c', 'start', '', url] }[process.platform] ?? ['xdg-open', url]
  execFile(program, args, () => {}) // the address is printed too
}

async function main(args) {
  const { values } = parseArgs({ args, options: { open: { type: 'boolean' }, livekit: { type: 'boolean' }, port: { type: 'string' } } })
  const showcase = await startShowcase({ livekit: values.livekit, port: Number(values.port ?? 0) })
  console.log(`${showcase.url}   (Ctrl+C ends it)`)
  if (values.open) openBrowser(showcase.url)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => showcase.close().finally(() => process.exit()))
}

/** Runs `main`; a failure is one line. */
function run(args) {
  main(args).catch(({ message }) => {
    console.error(message)
    process.exitCode = 1
  })
}

module.exports = { run, startShowcase }

if (require.main === module) run(process.argv.slice(2))
