/// <reference types="node" />

import { EventEmitter } from 'node:events'

import { SessionOptions, SpeakerSession } from '../..'

/**
 * Options of the session that plays, which override those of the environment: `network` is `'public'`, because URLs come from apps; `overlap` is `'mix'`, or
 * `'queue'` where `ENABLE_AUDIO_OVERLAP` is `false`; `maxDurationMs` is `SPEAKER_MAX_DURATION_MS`, and `gain` is `PUBLISH_GAIN`, where they are set.
 */
export interface PlaybackOptions extends Omit<Partial<SessionOptions>, 'output' | 'onDuplicate'> {}

export interface SpeakerManagerOptions extends PlaybackOptions {
  /** The output to use instead of the user's LiveKit room, such as `memory` in tests. */
  output?: SessionOptions['output'] | undefined
  /**
   * `true`: the phone plays and answers, and the playback here is only compared with it. Default `false`: this manager answers the app.
   */
  shadow?: boolean | undefined
  /** The time after which an idle room is left, in ms; default 300,000, `Infinity` for never. The next request joins it again. */
  leaveAfterMs?: number | undefined
  /** The pause after a room could not be joined, in ms; default 300,000. Requests fail at once meanwhile, with `join_failed`. */
  cooldownMs?: number | undefined
}

/** The used part of the cloud's UserSession. */
export interface SpeakerUserSession {
  /** Also the name of the room, unless `liveKitManager` has another. */
  readonly userId: string
  readonly sessionId?: string
  readonly logger?: CloudLogger
  /** Without it, the URL is that of `LIVEKIT_URL`. */
  readonly liveKitManager?: { getUrl?(): string; getRoomName?(): string }
  /** Passes the end of a request on to the app: once for each accepted request. */
  relayAudioPlayResponseToApp?(response: AudioPlayResponse): unknown
}

/** A pino logger, or a compatible one. */
export interface CloudLogger {
  child?(bindings: Record<string, unknown>): CloudLogger
  debug?(told: object, text?: string): void
  info?(told: object, text?: string): void
  warn?(told: object, text?: string): void
  error?(told: object, text?: string): void
}

/** The used part of `audio_play_request`. */
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

/** The used part of `audio_stop_request`. */
export interface AudioStopMessage {
  packageName?: string
  /** Default: everything stops. */
  trackId?: number
}

export interface AudioPlayResponse {
  requestId: string
  success: boolean
  /** Missing after a success. */
  error?: SpeakerWord
  /** The duration that was heard, in ms. */
  duration?: number
}

/**
 * The reason why a request ended early: `cancelled` if it was stopped. Where the cloud has no word, the code of speaker-session becomes one:
 * `ERR_QUEUE_FULL` is `queue_full`.
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
  /** Missing for commands of the bridge. */
  packageName?: string
  /** The arrival time of the request, in ms since 1970. */
  startedAt: number
  state: 'pending' | 'streaming' | 'completed' | 'cancelled' | 'error'
  /** The duration that was heard, in whole ms; present once it has ended. */
  durationMs?: number
  /** The reason why it ended early. */
  error?: SpeakerWord
}

/** An event of a request, as the bridge sent it. URLs are without their query and user. */
export type BridgeEvent =
  /** Its first sample was handed to the room. */
  | { type: 'play_started'; requestId: string; url: string }
  /** The one end of an accepted request. `reason` is that of a stop; `code` and `message` are those of a failure. */
  | {
      type: 'play_complete'; requestId: string; url: string; success: boolean; durationMs: number
      error?: SpeakerWord; reason?: string; code?: string; message?: string
    }
  /** The room can't be joined, reported once; or a request came again while it played (`duplicate_request`). */
  | { type: 'error'; requestId?: string; error: SpeakerWord; code?: string; message?: string }

/** A playback that both the phone and this played to its end. */
export interface Difference {
  requestId: string
  /** The duration that the phone reported. */
  deviceMs: number
  shadowMs: number
  /** `deviceMs - shadowMs` */
  differenceMs: number
}

export interface SpeakerManagerEvents {
  /** Every event of a request. */
  event: [event: BridgeEvent]
  /** For a histogram. Also logged: a warning if they are more than 500 ms apart. */
  difference: [difference: Difference]
}

/**
 * Plays the requests of apps into the user's LiveKit room, which is joined with the first request, as `speaker:<userId>`. No method throws or
 * rejects.
 *
 * Nothing is played or answered if `SERVER_PLAYBACK_ENABLED` is `false`, or `LIVEKIT_URL`, `LIVEKIT_API_KEY` or `LIVEKIT_API_SECRET` is missing. The room is left by `dispose`, after `leaveAfterMs` of silence, and when the manager and its session are collected.
 */
export class SpeakerManager extends EventEmitter<SpeakerManagerEvents> {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT` for `leaveAfterMs` or `cooldownMs`; other invalid options fail each request */
  constructor(session: SpeakerUserSession, options?: SpeakerManagerOptions)

  /** Joins the room. Resolves with `false` if there is none, if it can't be joined, and in the pause after that. `start` does not need this call. */
  ensureReady(): Promise<boolean>

  /** Plays. The request is accepted when this returns; its end is reported to the app with `relayAudioPlayResponseToApp`, and as an event. */
  start(msg: AudioPlayMessage): Promise<void>

  /** Stops one track, or everything if there is no `trackId`. */
  stop(msg?: AudioStopMessage): Promise<void>

  /**
   * Takes a message from a WebSocket, or as an object: `audio_play_request`, `audio_stop_request`, and the phone's
   * `audio_play_response`; and the commands `play_url` and `stop_playback`. Returns `false` if it is none of these, or nothing is played.
   *
   * `send` takes each answer as JSON: `audio_play_response`, or for `play_url` the events of the request. Without it, answers to apps go to
   * `relayAudioPlayResponseToApp`. A `roomName` or `token` of `play_url` is used the next time that the room is joined.
   *
   * The phone's answer is passed on to the app if `shadow` is on, or the request is not known here.
   */
  handleMessage(json: string | Uint8Array | object, send?: (json: string) => unknown): boolean

  /** Logs an event of the bridge, and emits it as `event`. Called for every event of this manager. */
  handleBridgeEvent(evt: unknown): void

  /** Returns the requests that have not ended, and the last hundred that have. */
  jobs(): SpeakerJob[]

  /** The session that plays; null before the first request, and after the room was left. */
  readonly speakerSession: SpeakerSession | null

  /** Stops everything and leaves the room, for good. */
  dispose(): void
}

export default SpeakerManager

export interface JoinRoomParams {
  /** The URL of the LiveKit server. */
  url: string
  roomName: string
  /** The token, which contains the identity that joins. A function is called each time that the room is joined. */
  token: string | (() => string | Promise<string>)
  /** The identity whose microphone is passed on; default `userId`. */
  targetIdentity?: string
}

export interface PlayAudioParams {
  requestId: string
  url: string
  /** 0–1, and more to boost it, up to 16; default 1. 0 is silence. */
  volume?: number
  /** Default `true`, as in the SDK. `false`: it is mixed with the others. */
  stopOther?: boolean
  /** 0 `speaker` (default), 1 `app_audio`, 2 `tts`, n `track_<n>`. */
  trackId?: number
}

export interface PlayAudioEvent {
  /** Each request has one end: `COMPLETED`, or `FAILED`, also if it is stopped (`error: 'cancelled'`). */
  type: 'STARTED' | 'PROGRESS' | 'COMPLETED' | 'FAILED'
  requestId: string
  /** The duration that was heard, in whole ms. */
  durationMs?: number
  /** The position in the source, in whole ms. */
  positionMs?: number
  error?: SpeakerWord
  /** `reason`: that of a stop. */
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

/** The used part of the cloud's UserSession. */
export interface BridgeUserSession {
  readonly userId: string
  readonly logger?: CloudLogger
  /** Takes the data of the phone's microphone: PCM16, 16 kHz, mono. */
  readonly audioManager: { processAudioData(pcm: Buffer): unknown }
}

/** Joins the user's room, passes on the phone's microphone, and plays. Only `connect` and `rejoin` reject. */
export class LiveKitGrpcClient {
  /** There is no bridge, so `bridgeUrl` is not used. */
  constructor(userSession: BridgeUserSession, bridgeUrl?: string, options?: PlaybackOptions)

  /**
   * Joins a room, and leaves the current one. While a room is being joined, it settles with that attempt. A lost room is reconnected, and if
   * that fails the next request joins it again. Of two clients for one session the one that connects last stays.
   */
  connect(params: JoinRoomParams): Promise<void>

  /** Joins again, with the last parameters unless others are given. */
  rejoin(params?: JoinRoomParams): Promise<void>

  /** Leaves the room. Live requests end as `FAILED`. Also ends a `connect` that is under way. */
  disconnect(): Promise<void>

  dispose(): void

  /** Also true while the room is reconnecting. */
  isConnected(): boolean
  isConnecting(): boolean

  getStatus(): Promise<BridgeStatus>

  /** Passes on the microphone of another identity from now on. */
  enableSubscribe(targetIdentity: string): void

  /** Changes nothing: the microphone is passed on as long as the phone sends it. */
  disableSubscribe(): void

  /** Plays. Before `connect` it fails with `join_failed`. */
  playAudio(params: PlayAudioParams): void
  playUrl(params: PlayAudioParams): void

  /** Stops one request (also one that comes within 5 s), one track, or everything. */
  stopAudio(target?: string | { requestId?: string; trackId?: number }): void
  stopPlayback(target?: string | { requestId?: string; trackId?: number }): void

  /**
   * Plays PCM16, 16 kHz, mono, on track 0, mixed with the others. Chunks follow each other without a gap; the sound ends after a second without
   * any. While 30 s of them wait, others are dropped.
   */
  sendAudioChunk(pcmData: Buffer): void

  /** Sets the handler for the events of one request. */
  onPlayAudioEvent(requestId: string, handler: (event: PlayAudioEvent) => void): void

  /** Sets the handler for the events of all requests in the bridge's form, as `SpeakerManager.handleBridgeEvent` reads them. */
  onEvent(handler: (event: BridgeEvent) => void): void

  /** The session that plays; null while no room is joined. */
  readonly speakerSession: SpeakerSession | null
}
