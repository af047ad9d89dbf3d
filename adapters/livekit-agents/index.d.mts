// index.d.mts is the same file, for `import`: each extends the classes of its user's build of `@livekit/agents`.

import { voice } from '@livekit/agents'
import type { AudioSource, Room } from '@livekit/rtc-node'

import type { LiveKitOutput, SessionOptions, SpeakerSession, StreamRequest } from '../../index.js'

/** The common options of a {@link SpeakerAudioOutput}. */
export interface SpeechOptions {
  /** The track of the session that the agent speaks on, where its segments follow each other; 0–65,535, default 0. */
  trackId?: number | undefined
  /** The volume of the speech, 0–1; default 1. */
  volume?: number | undefined
  /** A linear factor on top of `volume`; 0–16, default 1. */
  gain?: number | undefined
  /** As in {@link StreamRequest}: the speech that is buffered before it plays, for a TTS that sends bursts. */
  prebufferMs?: StreamRequest['prebufferMs'] | undefined
  /** The fade-out of the voice when it is interrupted, in ms; 0–86,400,000, default 5. The fade counts as heard. */
  fadeOutMs?: number | undefined
  /** Overrides the session's: the time that the TTS may be behind before the segment ends with the part that was heard, in ms; 0 for no limit. */
  stallTimeoutMs?: number | undefined
  /** The speech that may be buffered before `captureFrame` waits, in ms; default 10,000. While it is paused there is no limit. */
  maxAheadMs?: number | undefined
}

/** Plays in a session of your own, with any output. */
export interface SessionSpeechOptions extends SpeechOptions {
  session: SpeakerSession
}

/**
 * Joins the agent's room with a session of its own: as another participant that speaks on behalf of the agent. It needs `LIVEKIT_URL`,
 * `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`, which agents have, and `livekit-server-sdk`. It leaves when the agent's room is disconnected.
 */
export interface RoomSpeechOptions extends SpeechOptions {
  /** The agent's room; it need not be connected yet. */
  room: Room
  /** The identity of the participant that speaks; default: the agent's with `-voice`. */
  identity?: string | undefined
  /** The attributes of the participant. `lk.publish_on_behalf` is the agent's identity unless it is given here. */
  attributes?: Record<string, string> | undefined
  /** Other options of the output. */
  output?: Partial<Omit<LiveKitOutput, 'type'>> | undefined
  /** Other options of the session. Unless they are given, `duck` is on and `maxDurationMs` is a day. */
  sessionOptions?: Omit<SessionOptions, 'output'> | undefined
}

/** Passes the sound in real time to an `AudioSource` that you publish with the agent's own room. It has one or two channels. */
export interface SourceSpeechOptions extends SpeechOptions {
  source: AudioSource
  /** As in {@link RoomSpeechOptions}. */
  sessionOptions?: Omit<SessionOptions, 'output'> | undefined
}

/**
 * The voice of an `AgentSession`: `agentSession.output.audio = new SpeakerAudioOutput({ room })`, before `agentSession.start`.
 *
 * Each segment (the frames up to a `flush`) is a stream of a {@link SpeakerSession}, and finishes exactly once, in order: `playbackPosition` is
 * counted in samples at the output, without the part that nobody could hear. `captureFrame` takes frames of any rate with one or two channels,
 * and these may change. It rejects, and begins no segment, if the session refuses the first frame of one (`ERR_INVALID_ARGUMENT`, `ERR_CLOSED`).
 * A segment that fails later ends with the part that was heard, `interrupted`; the next one is played. `clearBuffer` ends all segments, flushed
 * or not. A pause stops at the sample, and holds later segments too, until `resume`. An output that is detached while it is paused ends the
 * waiting segments, because nothing would resume them.
 */
export class SpeakerAudioOutput extends voice.AudioOutput {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_NO_THREADS` */
  constructor(options: SessionSpeechOptions | RoomSpeechOptions | SourceSpeechOptions)
  /** The session in which the agent speaks: for sounds beside the voice, such as those of {@link BackgroundAudio}. */
  readonly session: SpeakerSession
  clearBuffer(): void
  /** Stops the speech, and closes the session unless it was given. Resolves when every segment has finished. A second call settles too. */
  close(): Promise<void>
}

export interface BackgroundAudioOptions {
  /** The session of the voice ({@link SpeakerAudioOutput.session}), so that its option `duck` lowers the sounds while the agent speaks. */
  session: SpeakerSession
  /** The sound that plays from `start` on. Files are looped. */
  ambientSound?: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[] | undefined
  /**
   * The sound that plays while the agent thinks. Files are looped. It is paused in between and continues from there, so that it does not restart
   * with each tool call; from a list, one is picked each time.
   */
  thinkingSound?: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[] | undefined
  /** The track of the session on which they play; 0–65,535, default 1. */
  trackId?: number | undefined
  /** Their fade-out when they are stopped, in ms; 0–86,400,000, default 5. */
  fadeOutMs?: number | undefined
}

/**
 * Has the interface of `BackgroundAudioPlayer`. A source is a path or URL, a builtin clip, or an AsyncIterable of frames; a `volume` above 1
 * amplifies it. In a list each config has its `probability` (default 1): if the sum is less than 1, nothing is played with the rest.
 *
 * A sound that can't be played is logged. A loop that ends because the room was lost continues when the session has a room again. A playback with
 * `stopOther: true`, and `interrupt`, stop these sounds as all others of the session.
 */
export class BackgroundAudio {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT` */
  constructor(options: BackgroundAudioOptions)
  /**
   * Plays the ambient sound, and follows the state of `agentSession` if it is given. A second call does nothing. `room` and
   * `trackPublishOptions` are ignored: the session knows its room.
   * Rejects with `ERR_CLOSED` after `close`.
   */
  start(options?: { agentSession?: voice.AgentSession; room?: Room; trackPublishOptions?: unknown }): Promise<void>
  /**
   * Plays a sound over the others. `loop` (default `false`) is for files. The handle is done, and `waitForPlayout` resolves, when the sound
   * has ended or failed, or at once when it is stopped.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_CLOSED` after `close`
   */
  play(audio: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[], loop?: boolean): voice.PlayHandle
  /** Stops all its sounds; the session stays open. */
  close(): Promise<void>
}
