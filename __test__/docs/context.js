'use strict'

// The types of what the documentation's snippets use of their reader's code: for all pages (`shared`), and for single pages, which
// take precedence.

const shared = `
type Speaker = typeof import('speaker-session')
declare const SpeakerSession: Speaker['SpeakerSession']
declare const SpeakerError: Speaker['SpeakerError']
declare const liveKitFromEnv: Speaker['liveKitFromEnv']
declare const session: import('speaker-session').SpeakerSession
declare const sessions: import('speaker-session').SpeakerSession[]
declare const speech: import('speaker-session').SpeakerStream
declare const output: import('speaker-session').LiveKitOutput
declare const token: string
declare const clip: Buffer
declare const buffer: Buffer
declare const prompt: Buffer
declare const sentence: Buffer
declare const sentences: Buffer[]
declare const turn: Buffer[]
declare const tts: AsyncIterable<Buffer>
declare const signal: AbortSignal
declare const recognizer: import('node:stream').Writable
declare const lamp: { on(): void }
declare const pipeline: typeof import('node:stream/promises').pipeline
declare const once: typeof import('node:events').once
`

/** By page: the names that its snippets use without declaring them, and their types. */
const pages = {
  'docs/errors.md': { pino: '{ child(fields: object): Console }', userId: 'string' },
  'docs/events.md': { logger: '{ info(fields: object, text: string): void }', highlight: '(atMs: number) => void' },
  'docs/listening.md': { file: "import('node:stream').Writable", hall: "import('speaker-session').SpeakerSession" },
  'docs/livekit-agents.md': {
    ctx: "import('@livekit/agents').JobContext & { room: { localParticipant: import('@livekit/rtc-node').LocalParticipant } }",
    voice: "typeof import('@livekit/agents').voice",
    agent: "import('@livekit/agents').voice.Agent",
    llm: "import('@livekit/agents').llm.LLM",
    stt: "import('@livekit/agents').stt.STT",
    tts: "import('@livekit/agents').tts.TTS",
    vad: "import('@livekit/agents').VAD",
    apiKey: 'string', apiSecret: 'string', agentIdentity: 'string', room: 'string', url: 'string',
    session: "import('@livekit/agents').voice.AgentSession",
    output: "import('speaker-session/livekit-agents').SpeakerAudioOutput",
    SpeakerAudioOutput: "typeof import('speaker-session/livekit-agents').SpeakerAudioOutput",
    BackgroundAudio: "typeof import('speaker-session/livekit-agents').BackgroundAudio",
    AccessToken: "typeof import('livekit-server-sdk').AccessToken",
    AudioSource: "typeof import('@livekit/rtc-node').AudioSource",
    LocalAudioTrack: "typeof import('@livekit/rtc-node').LocalAudioTrack",
    TrackPublishOptions: "typeof import('@livekit/rtc-node').TrackPublishOptions",
    TrackSource: "typeof import('@livekit/rtc-node').TrackSource"
  },
  'docs/mentra.md': {
    SpeakerManager: "typeof import('speaker-session/mentra').SpeakerManager",
    userSession: "import('speaker-session/mentra').SpeakerUserSession",
    userId: 'string',
    speaker: "import('speaker-session/mentra').SpeakerManager",
    observe: "ReturnType<typeof import('speaker-session/metrics').collectDifferences>",
    socket: "import('ws').WebSocket"
  },
  'docs/migration.md': { AudioFrame: "typeof import('@livekit/rtc-node').AudioFrame", AudioSource: "typeof import('@livekit/rtc-node').AudioSource" },
  'docs/outputs.md': { line: "import('node:stream').Writable", recording: "import('node:stream').Writable", canceller: '{ played(frame: Buffer): void }' },
  'docs/playing.md': { showSpeaking: '(requestId: string | undefined) => void' },
  'docs/replay.md': { replay: "typeof import('speaker-session/replay').replay" },
  'docs/text-to-speech.md': {
    key: 'string', text: 'string', sentences: 'string[]', synthesize: '(sentence: string) => Promise<Buffer>', socket: "import('ws').WebSocket"
  },
  'docs/websocket.md': {
    server: "import('ws').WebSocketServer", recognizer: "import('node:events').EventEmitter", key: 'string', line: "import('speaker-session/websocket').SpeakerLine"
  },
  'adapters/metrics/index.d.ts': {
    http: "typeof import('node:http')",
    collectDifferences: "typeof import('speaker-session/metrics').collectDifferences",
    speaker: "import('speaker-session/mentra').SpeakerManager"
  },
  'adapters/opentelemetry/index.d.ts': { traceSession: "typeof import('speaker-session/opentelemetry').traceSession" },
  'adapters/websocket/index.d.ts': {
    SpeakerLine: "typeof import('speaker-session/websocket').SpeakerLine",
    RealtimeSpeech: "typeof import('speaker-session/websocket').RealtimeSpeech",
    twilio: "typeof import('speaker-session/websocket').twilio",
    WebSocket: "typeof import('ws').WebSocket",
    socket: "import('ws').WebSocket",
    line: "import('speaker-session/websocket').SpeakerLine",
    recognizer: "import('node:events').EventEmitter",
    streamSid: 'string',
    headers: 'Record<string, string>'
  },
  'index.d.ts': { fs: "typeof import('node:fs')", successor: "import('node:child_process').ChildProcess", description: "import('speaker-session').SessionDescription" },
  'lib/testing/index.d.ts': {
    ...Object.fromEntries(['testSession', 'tone', 'finish', 'tonesIn', 'flakyServer'].map((name) => [name, `typeof import('speaker-session/testing').${name}`])),
    t: '{ after(end: () => unknown): void }'
  },
  'lib/replay/index.d.ts': { replay: "typeof import('speaker-session/replay').replay" }
}

module.exports = { pages, shared }
