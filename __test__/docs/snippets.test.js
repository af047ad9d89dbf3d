'use strict'

// Every snippet of README.md, docs/ and the examples of the declarations compiles, strictly, and runs where it can.

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const { once } = require('node:events')
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { PassThrough } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { after, before, describe, it } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const ts = require('typescript')
const { WebSocket, WebSocketServer } = require('ws')

const speaker = require('../..')
const { accessToken } = require('../../lib/livekit/access-token')
const testing = require('../../lib/testing')
const { startServer } = require('../../scripts/livekit-server')
const { pages, shared } = require('./context')
const { asModule, compile, root, snippets } = require('./snippets')

const { flakyServer, tone } = testing
const all = snippets()

/** Snippets that are only compiled, and what runs in their place. */
const COMPILED_ONLY = {
  'docs/livekit-agents.md': '__test__/livekit/agents.test.js has an AgentSession',
  'docs/mentra.md': "__test__/adapters has the cloud's classes",
  'docs/websocket.md': '__test__/adapters has phone lines and a model',
  'docs/migration.md': 'bench/ plays into an AudioSource',
  'adapters/metrics/index.d.ts': '__test__/metrics scrapes it',
  'adapters/opentelemetry/index.d.ts': '__test__/metrics traces playbacks',
  'adapters/websocket/index.d.ts': '__test__/adapters has phone lines and a model'
}
/** Snippets that go on until the session is closed. */
const ENDLESS = /for await \(.* of (?:voice|session\.(?:tap\(\{ sampleRate|listen))/
/** Snippets that need a room. */
const IN_A_ROOM = /unpublish\(|setAttributes|setMetadata|setName|sendData|sendText|Rpc|\.listen\(|whenReplaced|participants\(\)|liveKitFromEnv|wss:/

describe('the snippets of the documentation', () => {
  it('compile in strict mode', () => {
    assert.ok(all.length > 100)
    assert.deepEqual(compile(all, { shared, pages }), [])
    assert.deepEqual(compile(all, { shared, pages }, { exactOptionalPropertyTypes: true }), [])
  })

  it('each public method has an example', () => {
    const source = ts.createSourceFile('index.d.ts', ts.sys.readFile(path.join(root, 'index.d.ts')), ts.ScriptTarget.Latest, true)
    const missing = []
    for (const node of source.statements) {
      const isFunction = ts.isFunctionDeclaration(node)
      const members = ts.isClassDeclaration(node) || ['SpeakerStream', 'SpeakerTrack', 'SpeakerClip'].includes(node.name?.text) ? node.members : []
      for (const each of isFunction ? [node] : members.filter((member) => ts.isMethodDeclaration(member) || ts.isMethodSignature(member) || ts.isConstructorDeclaration(member))) {
        const comment = (ts.getJSDocCommentsAndTags(each) ?? []).map((doc) => doc.getText()).join('')
        const name = each.name?.getText() ?? 'constructor'
        // EventEmitter's own overload of `on`, and another name of `close`.
        const isNoneOfOurs = name === '[Symbol.dispose]' || each.parameters[0]?.name.getText() === 'emitter'
        if (!comment.includes('@example') && !isNoneOfOurs) missing.push(`${node.name.text}.${name}`)
      }
    }
    assert.deepEqual(missing, [])
  })

  const place = {}
  before(async () => Object.assign(place, await furnish()))
  after(() => place.close())

  for (const snippet of all) {
    const { file, name, code } = snippet
    if (file in COMPILED_ONLY) continue
    it(`runs: ${name}`, { timeout: 20_000 }, async () => {
      const sessions = []
      class SpeakerSession extends speaker.SpeakerSession {
        constructor(options) {
          super(options)
          sessions.push(this)
        }
      }
      const isInRoom = IN_A_ROOM.test(code)
      const values = await place.values(SpeakerSession, isInRoom, (word) => new RegExp(`\\b${word}\\b`).test(code))
      const tests = []
      const running = execute(code, values, place, SpeakerSession, tests)
      try {
        if (ENDLESS.test(code)) {
          await Promise.race([running, sleep(500)])
          await Promise.all(sessions.map((session) => session.close()))
        }
        await running
        for (const test of tests) await test()
      } finally {
        await Promise.all(sessions.map((session) => session.close()))
        values.socket?.close()
        for (const end of values.ends) await end()
        // It applies to the whole process.
        speaker.SpeakerSession.configure({ network: 'any' })
      }
    })
  }
})

const AsyncFunction = (async () => {}).constructor

/** Runs a snippet with the values that it uses of its reader's code. */
async function execute(code, values, place, SpeakerSession, tests) {
  const here = code.replaceAll('https://example.com', place.url).replaceAll('https://api.openai.com', place.url).replaceAll('wss://example.livekit.cloud', place.room.url)
  const { outputText } = ts.transpileModule(asModule(here), { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true } })
  const load = createRequire(path.join(root, 'package.json'))
  const require = (name) => {
    if (name === 'speaker-session') return { ...speaker, SpeakerSession }
    // Runs after the snippet, within the snippet's test.
    if (name === 'node:test') return { test: (_, body) => tests.push(() => within(body)) }
    return load(name)
  }
  const context = { ...values, require, exports: {} }
  await new AsyncFunction(...Object.keys(context), `{${outputText}\n}`)(...Object.values(context))
}

/** Calls a test's body with its context, then its `after` callbacks. */
async function within(body) {
  const ends = []
  try {
    await body({ after: (end) => ends.push(end) })
  } finally {
    for (const end of ends) await end()
  }
}

const SOUND = tone(440, 300)

/** Sets up a folder, servers and a room for what the snippets name. */
async function furnish() {
  const directory = mkdtempSync(path.join(tmpdir(), 'speaker-session-docs-'))
  const home = process.cwd()
  for (const name of ['music.flac', 'hello.mp3', 'song.flac', 'chime.wav', 'jingle.wav', 'sentence.mp3', 'goodbye.mp3', 'a.mp3']) writeFileSync(path.join(directory, name), SOUND)
  for (const folder of ['fixtures', 'recordings']) mkdirSync(path.join(directory, folder))
  for (const name of ['jingle', 'greeting']) writeFileSync(path.join(directory, 'fixtures', `${name}.wav`), tone(440, 1000))
  const lines = ['alice', 'bob'].map((user) => JSON.stringify({ user, atMs: 0, type: 'play', audioUrl: path.join(directory, 'chime.wav') }))
  for (const name of ['day.jsonl', 'recordings/other.jsonl']) writeFileSync(path.join(directory, name), lines.join('\n'))
  process.chdir(directory)
  const server = await flakyServer((request, response) => {
    response.end(request.url === '/v1/audio/speech' ? tone(440, 300, { sampleRate: 24000, format: 'pcm16' }) : SOUND)
  })
  const speech = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  speech.on('connection', (socket) => {
    socket.send(JSON.stringify({ audio: tone(440, 200, { sampleRate: 16000, format: 'pcm16' }).toString('base64') }))
    socket.send(JSON.stringify({ isFinal: true }))
  })
  const room = await startServer()
  return {
    url: server.url,
    room,
    values: (SpeakerSession, isInRoom, uses) => values({ SpeakerSession, isInRoom, uses, room, speechUrl: `ws://127.0.0.1:${speech.address().port}` }),
    async close() {
      process.chdir(home)
      rmSync(directory, { recursive: true, force: true })
      speech.close()
      await server.close()
      await room.stop()
    }
  }
}

/** Returns what the snippets use, by the names of context.js. */
async function values({ SpeakerSession, isInRoom, uses, room, speechUrl }) {
  const name = `docs-${randomBytes(4).toString('hex')}`
  const token = await accessToken(room, name, 'speaker', { canPublishData: true, canUpdateOwnMetadata: true })
  const output = isInRoom ? { type: 'livekit', url: room.url, token, startWhen: 'published' } : { type: 'memory', channels: 2 }
  const session = new SpeakerSession({ output })
  session.on('error', () => {})
  if (isInRoom) {
    const alice = new SpeakerSession({ output: { ...output, token: await accessToken(room, name, 'alice', { canPublishData: true }) } })
    alice.registerRpc('location', () => '{}')
    await Promise.all([alice.connect(), session.connect()])
    Object.assign(process.env, { LIVEKIT_URL: room.url, LIVEKIT_API_KEY: room.key, LIVEKIT_API_SECRET: room.secret })
  }
  const pieces = Array.from({ length: 4 }, (_, n) => SOUND.subarray((n * SOUND.length) / 4, ((n + 1) * SOUND.length) / 4))
  const sink = () => new PassThrough().resume()
  const ends = []
  return {
    SpeakerSession,
    SpeakerError: speaker.SpeakerError,
    liveKitFromEnv: speaker.liveKitFromEnv,
    session,
    sessions: [session],
    hall: session,
    speech: uses('speech') && session.createStream({ format: 'pcm16', sampleRate: 24000, trackId: 9, stopOther: false }),
    output,
    token,
    clip: SOUND,
    buffer: SOUND,
    prompt: SOUND,
    sentence: SOUND,
    sentences: [SOUND, SOUND],
    turn: [SOUND, SOUND],
    tts: (async function* () { yield* pieces })(),
    signal: new AbortController().signal,
    recognizer: sink(),
    lamp: { on() {} },
    ends,
    t: { after: (end) => ends.push(end) },
    fs: require('node:fs'),
    successor: { send() {} },
    description: session.describe(),
    ...testing,
    pipeline,
    once,
    pino: { child: () => console },
    userId: 'alice',
    logger: { info() {} },
    highlight() {},
    file: sink(),
    line: sink(),
    recording: sink(),
    canceller: { played() {} },
    showSpeaking() {},
    replay: require('../../lib/replay').replay,
    key: 'key',
    text: 'Hello!',
    synthesize: async () => SOUND,
    socket: uses('socket') ? new WebSocket(speechUrl) : undefined
  }
}
