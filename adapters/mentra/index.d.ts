/// <reference types="node" />

import { EventEmitter } from 'node:events'

import { SessionOptions, SpeakerSession } from '../..'

/**
 * Options of the session that plays, above those of the environment: `network` is `'public'`, for URLs come from apps; `overlap` is `'mix'`, or
 * `'queue'` where `ENABLE_AUDIO_OVERLAP` is `false`; `maxDurationMs` is `SPEAKER_MAX_DURATION_MS`, and `gain` is `PUBLISH_GAIN`, where they are set.
 */
export interface PlaybackOptions extends Omit<Partial<SessionOptions>, 'output' | 'onDuplicate'> {}

export interface SpeakerManagerOptions extends PlaybackOptions {
  /** Where the sound goes instead of the user's LiveKit room: a `memory` output in tests. */
  output?: SessionOptions['output'] | undefined
  /**
   * `true`: the phone plays and answers, and what is played here is only compared with it. Default `false`: the answer to the app is ours.
   */
  shadow?: boolean | undefined
  /** How long a room in which nothing plays is kept, in ms; default 300,000, `Infinity` for ever. The next request joins it again. */
  leaveAfterMs?: number | undefined
  /** How long a room that could not be joined is left alone, in ms; default 300,000. Requests fail at once meanwhile, with `join_failed`. */
  cooldownMs?: number | undefined
}

/** What is used of the cloud's UserSession. */
export interface SpeakerUserSession {
  /** Also the name of the room, unless `liveKitManager` says another. */
  readonly userId: string
  readonly sessionId?: string
  readonly logger?: CloudLogger
  /** Where there is none, the URL is that of `LIVEKIT_URL`. */
  readonly liveKitManager?: { getUrl?(): string; getRoomName?(): string }
  /** Passes on to the app how its request has ended: once for each request that was taken. */
  relayAudioPlayResponseToApp?(response: AudioPlayResponse): unknown
}

/** A pino logger, or what is like one. */
export interface CloudLogger {
  child?(bindings: Record<string, unknown>): CloudLogger
  debug?(told: object, text?: string): void
  info?(told: object, text?: string): void
  warn?(told: object, text?: string): void
  error?(told: object, text?: string): void
}

/** `audio_play_request`, of which this is used. */
export interface AudioPlayMessage {
  requestId: string
  audioUrl: string
  packageName?: string
  /** 0–1, and more to boost it, up to 16; default 1. 0 is silence. */
  volume?: number
  /** Default `true`, as in the SDK. */
  stopOtherAudio?: boolean
  /** 0 `speaker` (default), 1 `app_audio`, 2 `tts`, n `track_<n>`. */
  trackId?: number
}

/** `audio_stop_request`, of which this is used. */
export interface AudioStopMessage {
  packageName?: string
  /** Everything stops if there is none. */
  trackId?: number
}

export interface AudioPlayResponse {
  requestId: string
  success: boolean
  /** Missing after a success. */
  error?: SpeakerWord
  /** How long it sounded, in ms. */
  duration?: number
}

/**
 * Why a request has ended early: `cancelled` if it was stopped. Where the cloud has no word, the code of speaker-session is one: `ERR_QUEUE_FULL` is
 * `queue_full`.
 */
export type SpeakerWord =
  | 'cancelled'
  | 'decode_failed'
  | 'fetch_failed'
  | 'join_failed'
  | 'unsupported_format'
  | (string & {})

export interface SpeakerJob {
  requestId: string
  audioUrl: string
  /** Missing for commands of the bridge's. */
  packageName?: string
  /** When the request came, in ms since 1970. */
  startedAt: number
  state: 'pending' | 'streaming' | 'completed' | 'cancelled' | 'error'
  /** How long it sounded, in whole ms; once it has ended. */
  durationMs?: number
  /** Why it has ended early. */
  error?: SpeakerWord
}

/** What the bridge told of a request. URLs are without their query and user. */
export type BridgeEvent =
  /** Its first sample was handed to the room. */
  | { type: 'play_started'; requestId: string; url: string }
  /** The one end of a request that was taken. `reason` is why it was stopped; `code` and `message` say what failed. */
  | {
      type: 'play_complete'; requestId: string; url: string; success: boolean; durationMs: number
      error?: SpeakerWord; reason?: string; code?: string; message?: string
    }
  /** The room can't be joined, told once; or a request came again while it played (`duplicate_request`). */
  | { type: 'error'; requestId?: string; error: SpeakerWord; code?: string; message?: string }

/** A playback that both the phone and this played to its end. */
export interface Difference {
  requestId: string
  /** What the phone said that it took. */
  deviceMs: number
  shadowMs: number
  /** `deviceMs - shadowMs` */
  differenceMs: number
}

export interface SpeakerManagerEvents {
  /** Everything that is told of requests. */
  event: [event: BridgeEvent]
  /** For a histogram. Also logged: a warning if they are more than 500 ms apart. */
  difference: [difference: Difference]
}

/**
 * Plays what apps ask for into the user's LiveKit room, which is joined with the first request, as `speaker:<userId>`. No method throws or rejects.
 *
 * Nothing is played, and nobody answered, where `SERVER_PLAYBACK_ENABLED` is `false`, or `LIVEKIT_URL`, `LIVEKIT_API_KEY` or `LIVEKIT_API_SECRET` is
 * missing. The room is left by `dispose`, after `leaveAfterMs` of silence, and when the manager and its session are collected.
 */
export class SpeakerManager extends EventEmitter<SpeakerManagerEvents> {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT` for `leaveAfterMs` or `cooldownMs`; other wrong options fail each request */
  constructor(session: SpeakerUserSession, options?: SpeakerManagerOptions)

  /** Joins the room. Resolves with `false` if there is none, it can't be joined, or is left alone after that. `start` needs no such call. */
  ensureReady(): Promise<boolean>

  /** Plays. The request is entered when this returns; how it ends is told to the app by `relayAudioPlayResponseToApp`, and as an event. */
  start(msg: AudioPlayMessage): Promise<void>

  /** Stops one track, or everything if there is no `trackId`. */
  stop(msg?: AudioStopMessage): Promise<void>

  /**
   * Takes a message as a WebSocket brings it, or as an object: `audio_play_request`, `audio_stop_request`, and the phone's
   * `audio_play_response`; and the commands `play_url` and `stop_playback`. Returns `false` if it is none of these, or nothing is played.
   *
   * `send` takes each answer as JSON: `audio_play_response`, or for `play_url` the events of the request. Without it, answers to apps go to
   * `relayAudioPlayResponseToApp`. A `roomName` or `token` of `play_url` is for the next time that the room is joined.
   *
   * The phone's answer is passed on to the app if `shadow` is on, or the request is not known here.
   */
  handleMessage(json: string | Uint8Array | object, send?: (json: string) => unknown): boolean

  /** Logs an event of the bridge, and emits it as `event`. Called for all that is told here. */
  handleBridgeEvent(evt: unknown): void

  /** Requests that have not ended, and the last hundred that have. */
  jobs(): SpeakerJob[]

  /** The session that plays; null before the first request, and while the room is left. */
  readonly speakerSession: SpeakerSession | null

  /** Stops everything and leaves the room, for good. */
  dispose(): void
}

export default SpeakerManager

export interface JoinRoomParams {
  /** Of the LiveKit server. */
  url: string
  roomName: string
  /** Whoever it names joins the room. A function is called each time that the room is joined. */
  token: string | (() => string | Promise<string>)
  /** Whose microphone is handed on; default `userId`. */
  targetIdentity?: string
}

export interface PlayAudioParams {
  requestId: string
  url: string
  /** 0–1, and more to boost it, up to 16; default 1. 0 is silence. */
  volume?: number
  /** Default `true`, as in the SDK. `false`: it is mixed with what plays. */
  stopOther?: boolean
  /** 0 `speaker` (default), 1 `app_audio`, 2 `tts`, n `track_<n>`. */
  trackId?: number
}

export interface PlayAudioEvent {
  /** Each request has one end: `COMPLETED`, or `FAILED`, also if it is stopped (`error: 'cancelled'`). */
  type: 'STARTED' | 'PROGRESS' | 'COMPLETED' | 'FAILED'
  requestId: string
  /** How long it sounded, in whole ms. */
  durationMs?: number
  /** Its place in the source, in whole ms. */
  positionMs?: number
  error?: SpeakerWord
  /** `reason`: why it was stopped. */
  metadata?: Record<string, string>
}

export interface BridgeStatus {
  connected: boolean
  participant_id: string
  /** This one included. */
  participant_count: number
  /** In ms since 1970; 0 if the room was never lost. */
  last_disconnect_at: number
  last_disconnect_reason: string
  server_version: string
}

/** What is used of the cloud's UserSession. */
export interface BridgeUserSession {
  readonly userId: string
  readonly logger?: CloudLogger
  /** Takes what the phone's microphone sends as data: PCM16, 16 kHz, mono. */
  readonly audioManager: { processAudioData(pcm: Buffer): unknown }
}

/** Joins the user's room, hands on the phone's microphone, and plays. Only `connect` and `rejoin` reject. */
export class LiveKitGrpcClient {
  /** There is no bridge, so `bridgeUrl` is not used. */
  constructor(userSession: BridgeUserSession, bridgeUrl?: string, options?: PlaybackOptions)

  /**
   * Joins a room; another one is left. While a room is being joined, it settles as that attempt does. A room that is lost is won back, and
   * after it is lost for good the next request joins it again. Of two clients for one session the one that connects last stays.
   */
  connect(params: JoinRoomParams): Promise<void>

  /** Joins anew: with the last parameters unless others are given. */
  rejoin(params?: JoinRoomParams): Promise<void>

  /** Leaves the room. What plays ends as `FAILED`. Also ends a `connect` that is under way. */
  disconnect(): Promise<void>

  dispose(): void

  /** Also true while the room is won back. */
  isConnected(): boolean
  isConnecting(): boolean

  getStatus(): Promise<BridgeStatus>

  /** From here on, hands on the microphone of somebody else. */
  enableSubscribe(targetIdentity: string): void

  /** Changes nothing: the microphone is handed on as long as the phone sends it. */
  disableSubscribe(): void

  /** Plays. Before `connect` it fails with `join_failed`. */
  playAudio(params: PlayAudioParams): void
  playUrl(params: PlayAudioParams): void

  /** Stops one request (also one that comes within 5 s), one track, or everything. */
  stopAudio(target?: string | { requestId?: string; trackId?: number }): void
  stopPlayback(target?: string | { requestId?: string; trackId?: number }): void

  /**
   * Plays PCM16, 16 kHz, mono, on track 0, mixed with what plays. Chunks follow each other without a gap; after a second without any the
   * sound is over. While 30 s of them wait, others are dropped.
   */
  sendAudioChunk(pcmData: Buffer): void

  /** Takes the events of one request, in place of who did before. */
  onPlayAudioEvent(requestId: string, handler: (event: PlayAudioEvent) => void): void

  /** Takes the events of all requests in the bridge's words, as `SpeakerManager.handleBridgeEvent` reads them, in place of who did before. */
  onEvent(handler: (event: BridgeEvent) => void): void

  /** The session that plays; null while no room is joined. */
  readonly speakerSession: SpeakerSession | null
}
