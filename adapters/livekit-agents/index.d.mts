// index.d.mts is the same file, for `import`: each takes its classes from the build of `@livekit/agents` that its user has.

import { voice } from '@livekit/agents'
import type { AudioSource, Room } from '@livekit/rtc-node'

import type { LiveKitOutput, SessionOptions, SpeakerSession, StreamRequest } from '../../index.js'

/** What all ways to make a {@link SpeakerAudioOutput} have. */
export interface SpeechOptions {
  /** The track of the session that the agent speaks on, where its segments follow each other; 0–65,535, default 0. */
  trackId?: number | undefined
  /** Of the speech, 0–1; default 1. */
  volume?: number | undefined
  /** Linear, on top of `volume`; 0–16, default 1. */
  gain?: number | undefined
  /** As in {@link StreamRequest}: how much speech is gathered before it is heard, for a TTS that comes in bursts. */
  prebufferMs?: StreamRequest['prebufferMs'] | undefined
  /** How long the voice takes to fall silent when it is interrupted, in ms; 0–86,400,000, default 5. What sounds in it counts as heard. */
  fadeOutMs?: number | undefined
  /** In place of the session's: how long the TTS may be behind before the segment ends with what was heard, in ms; 0 for ever. */
  stallTimeoutMs?: number | undefined
  /** How much speech may wait here, in ms, before `captureFrame` waits too; default 10,000. While it is paused there is no bound. */
  maxAheadMs?: number | undefined
}

/** Plays in a session of your own, into whatever its output is. */
export interface SessionSpeechOptions extends SpeechOptions {
  session: SpeakerSession
}

/**
 * Joins the agent's room by a session that is made for it: as a participant of its own that speaks on behalf of the agent. It needs `LIVEKIT_URL`,
 * `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`, which agents have, and `livekit-server-sdk`. It leaves when the agent's room is disconnected.
 */
export interface RoomSpeechOptions extends SpeechOptions {
  /** The agent's room; it need not be connected yet. */
  room: Room
  /** Of the participant that speaks; default: the agent's with `-voice`. */
  identity?: string | undefined
  /** Beside `lk.publish_on_behalf`, which is the agent's identity unless it is given here. */
  attributes?: Record<string, string> | undefined
  /** Other options of the output. */
  output?: Partial<Omit<LiveKitOutput, 'type'>> | undefined
  /** Other options of the session. Unless they are given, `duck` is on and `maxDurationMs` is a day. */
  sessionOptions?: Omit<SessionOptions, 'output'> | undefined
}

/** Hands the sound to an `AudioSource` that you publish with the agent's own room, in real time. It has one or two channels. */
export interface SourceSpeechOptions extends SpeechOptions {
  source: AudioSource
  /** As in {@link RoomSpeechOptions}. */
  sessionOptions?: Omit<SessionOptions, 'output'> | undefined
}

/**
 * The voice of an `AgentSession`: `agentSession.output.audio = new SpeakerAudioOutput({ room })`, before `agentSession.start`.
 *
 * Each segment (the frames up to a `flush`) is a stream of a {@link SpeakerSession}, and finishes exactly once, in order: `playbackPosition` is
 * counted in samples at the output, less what nobody could hear. `captureFrame` takes frames of any rate with one or two channels, also
 * one after another. It rejects, and begins no segment, if the session refuses the first frame of one (`ERR_INVALID_ARGUMENT`, `ERR_CLOSED`).
 * A segment that fails later ends with what was heard of it, `interrupted`; the next one is played. `clearBuffer` ends all segments, whether they
 * are flushed or not. A pause stands still at the sample, for what comes next too, until `resume`. An output that is detached while it is
 * paused ends what waits, for nobody would resume it.
 */
export class SpeakerAudioOutput extends voice.AudioOutput {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_NO_THREADS` */
  constructor(options: SessionSpeechOptions | RoomSpeechOptions | SourceSpeechOptions)
  /** Where the agent speaks: for sounds beside the voice, such as those of {@link BackgroundAudio}. */
  readonly session: SpeakerSession
  clearBuffer(): void
  /** Ends what sounds, and closes the session if it was made here. Resolves when every segment has finished. A second call settles too. */
  close(): Promise<void>
}

export interface BackgroundAudioOptions {
  /** That of the voice ({@link SpeakerAudioOutput.session}), so that its option `duck` lowers the sounds while the agent speaks. */
  session: SpeakerSession
  /** What sounds from `start` on. Files are looped. */
  ambientSound?: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[] | undefined
  /**
   * What sounds while the agent thinks. Files are looped. It stands still while the agent does not think and goes on from there, so it does not begin
   * anew with each call of a tool; a list is asked anew each time.
   */
  thinkingSound?: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[] | undefined
  /** The track of the session that they sound on; 0–65,535, default 1. */
  trackId?: number | undefined
  /** How long they take to fall silent when they are stopped, in ms; 0–86,400,000, default 5. */
  fadeOutMs?: number | undefined
}

/**
 * Has the surface of `BackgroundAudioPlayer`. A source is a path or URL, a builtin clip, or an AsyncIterable of frames; a `volume` above 1 makes it
 * louder. In a list each config has its `probability` (default 1): if they sum up to less than 1, nothing is played with what is left.
 *
 * A sound that can't be played is logged. A loop that ends because the room was lost goes on when the session has a room again. A playback with
 * `stopOther: true`, and `interrupt`, stop these sounds as all others of the session.
 */
export class BackgroundAudio {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT` */
  constructor(options: BackgroundAudioOptions)
  /**
   * Plays the ambient sound, and follows the state of `agentSession` if there is one. A second call does nothing. `room` and `trackPublishOptions`
   * may stay in the call: the session knows its room.
   * Rejects with `ERR_CLOSED` after `close`.
   */
  start(options?: { agentSession?: voice.AgentSession; room?: Room; trackPublishOptions?: unknown }): Promise<void>
  /**
   * Plays a sound over the others. `loop` (default `false`) is for files. The handle is done, and `waitForPlayout` resolves, when the sound
   * has ended or failed, or at once when it is stopped.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_CLOSED` after `close`
   */
  play(audio: voice.AudioSourceType | voice.AudioConfig | voice.AudioConfig[], loop?: boolean): voice.PlayHandle
  /** Stops all its sounds; the session goes on. */
  close(): Promise<void>
}
