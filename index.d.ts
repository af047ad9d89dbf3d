/// <reference types="node" />

import { EventEmitter } from 'node:events'
import { Readable, Writable } from 'node:stream'

/**
 * Plays audio into one output: fetches, decodes, mixes what overlaps, interrupts at once, and says truthfully what was
 * heard. One session per user; thousands fit in a process.
 *
 * Times are milliseconds. Positions and durations are counted in samples at the output, never taken from a wall clock, so
 * they may have fractions (1/48 ms). `positionMs` is a place in the source: it begins at `startMs` and wraps in a loop.
 * `durationMs` is how long a playback has sounded: its samples that were handed over.
 *
 * @example
 * const session = new SpeakerSession({ output: { type: 'wav', path: 'mix.wav' } })
 * const music = session.playAudio({ audioUrl: 'music.flac', volume: 0.4 })
 * await session.playAudio({ audioUrl: 'https://example.com/hello.mp3', stopOther: false })
 * await session.stopAudio()
 * console.log(await music) // { outcome: 'stopped', positionMs: 2317.5, … }
 * await session.close()
 */
export class SpeakerSession extends EventEmitter<SpeakerEvents> {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT` */
  constructor(options: SessionOptions)

  /**
   * Opens the output and starts the session's time. Once: later calls answer with the first. `playAudio` and `advance`
   * connect by themselves.
   * Rejects with `ERR_OUTPUT` or `ERR_JOIN_FAILED` if the output can't be opened, `ERR_CLOSED` after `close`, `ERR_ABORTED` if
   * `signal` is aborted first. The attempt is given up then, unless another `connect` or a playback wants the output too.
   */
  connect(options?: { signal?: AbortSignal }): Promise<void>

  /**
   * Plays. The request is entered before this returns, so `playbacks()` shows it at once.
   *
   * The promise settles with the playback's one terminal event, just after it: it resolves on `completed` and `stopped`
   * (being stopped is an outcome, not an error) and rejects with a {@link SpeakerError} on `failed`; over a limit that is at
   * once, with `ERR_TOO_MANY_PLAYBACKS` or `ERR_QUEUE_FULL`. A request that is refused has no events and rejects with
   * `ERR_INVALID_ARGUMENT`, `ERR_DUPLICATE_REQUEST`, `ERR_ABORTED` or `ERR_CLOSED`. Neither changes anything for the others. A rejection
   * that nobody handles does not end the process.
   */
  playAudio(request: PlayRequest): Promise<PlayResult>

  /**
   * Plays what is written to it, for speech that arrives in pieces. A playback like any other: entered before this returns,
   * with the same events and the same policy.
   * @throws {SpeakerError} if the request is refused: `ERR_INVALID_ARGUMENT`, `ERR_DUPLICATE_REQUEST`, `ERR_ABORTED` or
   * `ERR_CLOSED`
   */
  createStream(request: StreamRequest): SpeakerStream

  /**
   * Stops what is meant: a request, a track, or everything if neither is given; playing, loading and queued alike. The
   * frame that begins the fade goes out at once, ahead of its time; it resolves without waiting for the end of the fade. What
   * is still fading keeps the reason of its first stop; a shorter fade takes over. To stop nothing is no error.
   *
   * A stop may overtake its request: if the `requestId` was not seen, or ended more than 5 s ago, a `playAudio` of that id within
   * 5 s ends at once as `stopped`, with this reason, and stops nobody else. In the session's time; on a realtime clock in
   * silence too.
   */
  stopAudio(target?: StopTarget): Promise<StopResult>

  /**
   * Moves what waits to another place in its line; a place beyond the end is the end. Everyone whose place changes is told
   * (`queued`). What plays, loads or is not there stays as it is.
   */
  moveAudio(request: MoveRequest): Promise<MoveResult>

  /**
   * Stops what is said and clears what waits, in one call: everything on all tracks, apart from the roles in `keep`. As
   * quick as `stopAudio`, with the 5 ms fade. To interrupt nothing is no error.
   */
  interrupt(request?: InterruptRequest): Promise<InterruptResult>

  /**
   * Pauses what is meant: what sounds falls silent within 5 ms and keeps its place; what loads or waits keeps its place in
   * line and, when its turn comes, waits until it is resumed. A paused playback still counts as active and holds its track.
   * It costs nothing, and a session where all is paused stands still. Of what sounded `paused` is told once it is silent;
   * a `resumeAudio` within those 5 ms takes it back, and neither is told. What is paused or fades out is left alone.
   */
  pauseAudio(target?: Target): Promise<{ paused: string[] }>

  /** Lets what is paused go on, with a rise of 5 ms. Says whom; to resume nobody is no error. */
  resumeAudio(target?: Target): Promise<{ resumed: string[] }>

  /**
   * Moves what is meant to another place in its source, exact to the sample. What sounds goes on until that place is loaded,
   * then falls silent within 5 ms and rises there; `sought` is told with the first sample of it. What loads, waits or is
   * paused goes on there when it sounds. Beyond the end (or that of `durationMs`) the present pass of a loop is over, and
   * the last one completes. Of two seeks the second counts; what fades out is left alone. A place before `startMs` is played
   * from there too. Says whom; to seek nobody is no error.
   * Rejects with `ERR_NOT_SEEKABLE`, and everything goes on as it was, if one of them is a stream, or a download whose length
   * the server did not say and which is not here whole yet.
   */
  seekAudio(request: SeekRequest): Promise<{ sought: string[] }>

  /**
   * Changes the `volume` of what is meant, in a straight line from where it is now. What loads, waits or is paused has it when
   * it sounds; what fades out falls with both. Says whose; to change nobody is no error.
   */
  setVolume(request: VolumeRequest): Promise<{ changed: string[] }>

  /** What plays and loads, in order of arrival; what waits, in order of its turn. */
  playbacks(): PlaybackInfo[]

  /** Counts since the session began. */
  stats(): SessionStats

  /**
   * Moves a manual clock. Nothing sleeps: resolves when that time has been mixed and handed to the output, after the
   * events in it. A source that is still loading holds the clock until it can play or fails, so the same calls give
   * the same samples; a {@link SpeakerStream} does not, once all that was written to it is decoded. Await it before the next
   * call: calls made while it moves take effect somewhere in it.
   * Between requests it is exact to the sample: after `advance(907)` the next playback starts at sample 907 × 48.
   * Rejects with `ERR_UNSUPPORTED_OPERATION` on a realtime clock, `ERR_OUTPUT`, `ERR_CLOSED`.
   * @param ms 0 to 86,400,000 (a day)
   */
  advance(ms: number): Promise<void>

  /**
   * What the `memory` output holds so far: a copy.
   * @throws {SpeakerError} `ERR_UNSUPPORTED_OPERATION` for other outputs
   */
  recording(): Recording

  /**
   * Reads along what the output is handed, from now on: all tracks, after the limiter. For echo cancellation, level meters
   * and recording beside the output. Before `connect` too, and as many at once as you like.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_CLOSED`
   */
  tap(options?: TapOptions): SpeakerTap

  /**
   * Stops everything (reason `'closed'`), closes the output, and ends the session. On a realtime clock what sounds is
   * faded first; on a manual clock, where no time is left, it ends at the sample it has reached. A room is left politely;
   * it settles within 2 s in any case. A second call settles too.
   * Rejects with `ERR_OUTPUT` if the file can't be finished, with `ERR_RECORD` if the recording can't.
   */
  close(): Promise<void>

  /** `await using session = …` closes it. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface SessionOptions {
  /** Where the sound goes. */
  output: WavOutput | PcmOutput | MemoryOutput | LiveKitOutput
  /** What `stopOther: false` means for what plays already; default `'mix'`. See {@link Overlap}. */
  overlap?: Overlap
  /**
   * What a `requestId` that is live means for `playAudio`; default `'fail'`: rejects with `ERR_DUPLICATE_REQUEST`. `'join'`: changes
   * nothing and settles as the first call does.
   */
  onDuplicate?: 'fail' | 'join'
  /** Playbacks that may load or play at once; 1–1000, default 10. One more place is kept for a {@link Role} `'system'`. */
  maxConcurrent?: number
  /** Playbacks that may wait, over all tracks; 0–100,000, default 100. */
  maxQueued?: number
  /**
   * The longest a playback may wait for its turn, in ms; 0–86,400,000, default 0: for ever. Then it fails with
   * `ERR_QUEUE_TIMEOUT`. Counted in the session's time; on a realtime clock in silence too.
   */
  queueTimeoutMs?: number
  /**
   * How long one playback crosses over to the next, in ms; 0–10,000, default 0. Of equal power, and at most half of either (as
   * far as its length is known as it begins). In a queue the next one begins that much before the end of the present one, or
   * as soon as it has loaded; a stream's end is not known ahead, so what follows it begins after it. On `replace` the old one
   * goes on until the new one begins, and if that never does, ends all the same. `stopOther: true` and `stopAudio` stay
   * immediate. A `fadeInMs` that is longer stands. Each playback then holds 0.4 MB more per second of it and channel.
   */
  crossfadeMs?: number
  /** The longest a playback may sound, in ms; 1–86,400,000, default 300,000. Then it fails with `ERR_MAX_DURATION`. */
  maxDurationMs?: number
  /** Lets lower roles fall back while a higher one plays; off by default. See {@link Role}. */
  duck?: DuckOptions
  /** Linear gain on every playback; 0–16, default 1. */
  gain?: number
  /** Time between a playback's `progress` events, in ms of its sound; default 1000, 0 for none. */
  progressIntervalMs?: number
  /** How long a server may be silent, before its answer and between pieces of it, in ms; default 10,000. */
  fetchTimeoutMs?: number
  /**
   * How long a stream that has started may be silent because its writer is behind, in ms; 0–86,400,000, default 0: for ever.
   * Then it fails with `ERR_STALLED`.
   */
  stallTimeoutMs?: number
  /**
   * A file that all requests that are taken are written into as they come, for `speaker-session replay`: their times, what was
   * played from memory or written to streams, and these options. Written over if it exists. URLs and `headers` are written
   * as they are given, with the secrets in them: a new file is its owner's alone. The times are the session's own: on a
   * realtime clock from the first request or `connect` on, silence included. If it can't be written, `error` tells once
   * (`ERR_RECORD`), and all else goes on.
   */
  record?: string
}

/**
 * With `stopOther: false`:
 * - `mix`: plays at once, together with whatever plays, on the same track too;
 * - `queue`: waits its turn on its own track, behind those of the same `priority` or more; tracks run in parallel; the next one
 *   follows without a gap;
 * - `replace`: takes the place of what plays on the same track; other tracks go on.
 */
export type Overlap = 'mix' | 'queue' | 'replace'

/**
 * What a playback is to its listener, the higher first. While one plays, those of every lower role fall back, on all tracks
 * (see {@link DuckOptions}); however many play, by the same. What starts meanwhile starts at that level. Whatever plays ducks,
 * at volume 0 too (silence that takes its time), but not while it waits or loads.
 * One `system` playback has a place of its own above `maxConcurrent`.
 */
export type Role = 'system' | 'voice' | 'media' | 'ambient'

/** Falls and rises are straight lines, always at the same slope: what is turned back on its way needs less time. */
export interface DuckOptions {
  /** By how much, in dB; −60 to 0, default −12. */
  db?: number
  /** For the whole fall, in ms; 5–60,000, default 50. It begins with the first sample of the higher role. */
  attackMs?: number
  /** For the whole rise, in ms; 5–60,000, default 300. It begins with the sample after the higher role's last. */
  releaseMs?: number
}

/**
 * `realtime`: 20 ms of sound every 20 ms. A source that is late is silence, counted in `stats().underruns`.
 * `manual`: time stands still until {@link SpeakerSession.advance}.
 */
export type Clock = 'realtime' | 'manual'

interface OutputBase {
  /** Default `'realtime'`. */
  clock?: Clock
  /** 1 (default) or 2. Other layouts are mixed down by ITU-R BS.775; mono is the mean of left and right. */
  channels?: 1 | 2
}

/** A WAV file at 48 kHz holding all tracks. Written over if it exists; a valid file at any time, even if the process dies. */
export interface WavOutput extends OutputBase {
  type: 'wav'
  path: string
  /** Default `'s16'`. */
  format?: SampleFormat
  /**
   * Adds noise of ±1 step (TPDF) before samples are rounded to 16 bits: what is quiet is then not distorted, at the price of a
   * hiss near −93 dBFS. Needs `'s16'`; default `false`, so that a lone 16-bit clip passes bit for bit. The same calls on a manual
   * clock give the same noise; silence in which nothing plays stays zero.
   */
  dither?: boolean
}

/** Frames for a callback, all tracks mixed. */
export interface PcmOutput extends OutputBase {
  type: 'pcm'
  /** In Hz, 8000–192,000; default 48,000. */
  sampleRate?: number
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat
  /** As for {@link WavOutput}. */
  dither?: boolean
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number
  /**
   * Called for every frame while something sounds, not in silence; the last frame before silence is filled up. On a
   * realtime clock at most 64 frames wait for it; more are dropped and counted in `stats().droppedFrames`.
   */
  onFrame: (frame: Buffer, info: FrameInfo) => void
}

/** Keeps everything as 32-bit floats at 48 kHz for {@link SpeakerSession.recording}: for test suites. */
export interface MemoryOutput extends OutputBase {
  type: 'memory'
}

/**
 * A LiveKit room, joined as a participant that only publishes. Each track is published when something first plays on it,
 * as `speaker` (0), `app_audio` (1), `tts` (2) or `track_<n>`, and stays until the session closes. A playback waits until its track is published: nothing of it is lost, and `started` is told then. In silence
 * nothing is sent.
 *
 * What breaks is mended, told by `reconnecting` and `reconnected`. If only the signalling is lost, sound goes on and nobody
 * hears a gap. If sound does not arrive any more, a way is looked for anew, for 15 s, in which the room keeps the tracks. After
 * that, or if the server has forgotten the session, the room is joined and the tracks are published anew, in up to
 * twenty attempts (about a minute); not if the server said not to come again. `onReconnect` says
 * what becomes of the mix while nothing arrives. In the end everything fails with `ERR_DISCONNECTED`, and the next request
 * joins again.
 */
export interface LiveKitOutput {
  type: 'livekit'
  /** 1 (default) or 2. */
  channels?: 1 | 2
  /** ws(s) or http(s). */
  url: string
  /** An access token that may join and publish; or gives one, and is then asked each time a room is joined. */
  token: string | (() => string | Promise<string>)
  /**
   * `lazy` (default): a track is published when something first plays on it. `connect`: track 0 and those with names are
   * published at once, and `connect` resolves when they are: others can subscribe before the first sound.
   */
  publish?: 'lazy' | 'connect'
  /** Other names than those above, by `trackId`. */
  trackNames?: Record<number, string>
  /** Of each track, in bit/s; 6000–510,000, default 64,000. */
  bitrate?: number
  /** Of the Opus encoder, 0–10; default 5. */
  complexity?: number
  /**
   * Sends nothing in pauses inside a sound either (Opus DTX); default false. For speech: together with `fec`, Opus takes even
   * tones for noise. Between sounds nothing is sent in any case.
   */
  dtx?: boolean
  /** Each packet repeats the one before it (RFC 2198), so that single losses are not heard; twice the bit rate. Default false. */
  red?: boolean
  /** Each packet carries a coarse copy of the one before it (Opus in-band FEC, for 10 % loss; speech only). Default false. */
  fec?: boolean
  /** The ways that media may take to the server; default `'all'`. See {@link IceTransport}. */
  iceTransport?: IceTransport
  /** For joining, and for publishing a track, in ms; default 10,000. Then `ERR_JOIN_FAILED`, which says what was tried. */
  connectTimeoutMs?: number
  /**
   * While nothing arrives in the room: `pause` (default) stops the session's time, so what plays goes on where it was;
   * `continue` lets it pass unheard, and counts it in `stats().droppedFrames`; `drop` fails what lives with `ERR_DISCONNECTED`.
   * Requests made meanwhile wait for the room.
   */
  onReconnect?: 'pause' | 'continue' | 'drop'
}

/**
 * - `all`: UDP; while that finds no path, one more way each second: TCP to the server, where it offers that, then the TURN
 *   servers that it names, in their order;
 * - `tcp`: only TCP to the server;
 * - `relay`: only the TURN servers.
 *
 * TURN goes over UDP, TCP or TLS. For TLS the certificates are trusted that Mozilla trusts, and those in the file that
 * `NODE_EXTRA_CA_CERTS` names.
 */
export type IceTransport = 'all' | 'tcp' | 'relay'

/**
 * The output for a room of the server named by `LIVEKIT_URL`, with tokens made by `livekit-server-sdk` (to be installed
 * beside this package) from `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.
 * @throws {SpeakerError} `ERR_INVALID_ARGUMENT` if one of the three is missing
 */
export function liveKitFromEnv(
  options: { room: string; identity: string } & Omit<LiveKitOutput, 'type' | 'url' | 'token'>
): LiveKitOutput

export type SampleFormat = 's16' | 'f32'

export interface FrameInfo {
  /** The session's time of the frame's first sample. It jumps over silence. */
  atMs: number
}

export interface PlayRequest {
  /** Unique among the live playbacks of the session; made up if missing. */
  requestId?: string
  /** An http(s) URL, a `file:` URL or a path. Either this or `audio`. */
  audioUrl?: string | URL
  /**
   * A whole audio file in memory, copied; or a Readable, a web ReadableStream or another AsyncIterable of bytes, which is read as
   * they are played and told to stop (`destroy` or `return`) when the playback ends before it. If it fails, what came is played,
   * and then the playback fails with `ERR_STREAM`. It can't be looped.
   */
  audio?: Uint8Array | AsyncIterable<Uint8Array>
  /** What such a Readable or AsyncIterable gives; needed for raw samples only. */
  format?: StreamFormat
  /** As in {@link StreamRequest}. */
  sampleRate?: number
  /** As in {@link StreamRequest}. */
  channels?: 1 | 2
  /** In place of the session's; for a Readable or AsyncIterable. */
  stallTimeoutMs?: number
  /** 0–1, default 1. 0 is silence that takes its time. */
  volume?: number
  /** Linear, on top of `volume`; 0–16, default 1. Peaks over full scale are limited, never clipped. */
  gain?: number
  /** `true` (default): ends every playing, loading and queued playback on all tracks, then plays. `false`: see {@link Overlap}. */
  stopOther?: boolean
  /** 0 `speaker` (default), 1 `app_audio`, 2 `tts`, n `track_<n>`; up to 65,535. */
  trackId?: number
  /** Default `'media'`. */
  role?: Role
  /** Waits in front of those with less, behind those with as much; never interrupts. An integer, −1000 to 1000, default 0. */
  priority?: number
  /** In place of the session's. */
  queueTimeoutMs?: number
  /** Where in the source it begins, in ms; default 0. What is left out is decoded all the same, so it is exact to the sample. */
  startMs?: number
  /** How much of the source is played from there, in ms; default: to its end. A cut inside the source fades over 5 ms. */
  durationMs?: number
  /**
   * How often it is played in all, 1–1,000,000, or `true` for ever; default `false`, once. With `startMs` and `durationMs`
   * that section is repeated. Without a gap and without a fade at the seam. Nothing to repeat fails with `ERR_EMPTY_SOURCE`.
   */
  loop?: boolean | number
  /** Rise from silence, in ms; default 0: a clip's own first sample is left as it is (after `startMs` it rises in 5 ms). */
  fadeInMs?: number
  /** Fall to silence before its end, the last one of a loop, in ms; 0–10,000, default 0. A stop has a `fadeOutMs` of its own. */
  fadeOutMs?: number
  /**
   * Aborted, it stops the playback (reason `'aborted'`), wherever it is, as `stopAudio` does; if it is aborted already, the request is
   * refused with `ERR_ABORTED`. It is listened to until the playback ends. That of a request that joins another does nothing.
   */
  signal?: AbortSignal
  /** For http(s): sent with the request. */
  headers?: Record<string, string>
  /** What the audio is, if the server says it wrong. The content itself decides; this and the extension only help. */
  contentType?: string
}

/**
 * `pcm16` and `f32` are raw samples, little-endian and interleaved, where ±32,768 and ±1 are full scale; a sample may be split
 * between two writes. The others are file formats.
 */
export type StreamFormat = 'pcm16' | 'f32' | 'mp3' | 'ogg' | 'wav' | 'flac' | 'aac'

export interface StreamRequest
  extends Pick<
    PlayRequest,
    | 'requestId' | 'volume' | 'gain' | 'stopOther' | 'trackId' | 'role' | 'priority' | 'queueTimeoutMs'
    | 'startMs' | 'durationMs' | 'fadeInMs' | 'fadeOutMs' | 'signal'
  > {
  /** What is written; needed for raw samples only. In a file format the bytes themselves decide; this only helps. */
  format?: StreamFormat
  /** Of raw samples, for which it is needed; in Hz, 8000–192,000. */
  sampleRate?: number
  /** Of raw samples; default 1. */
  channels?: 1 | 2
  /** In place of the session's. */
  stallTimeoutMs?: number
}

/**
 * A playback whose bytes are written. It starts as soon as 40 ms of sound are there, or less if it is ended; goes silent while the
 * writer is behind (`stalled`), faded over 5 ms, and goes on in the same way.
 *
 * `write` calls back when the bytes were taken: beside Node's own queue a second of raw samples waits, or 256 KiB of a file format,
 * also while the playback waits for its turn. `end` lets the tail be heard, and `finish` comes when it was. `destroy` stops
 * the playback (reason `'destroyed'`); with an error it fails with `ERR_STREAM`, after what was written. When the playback
 * ends in another way, the stream is destroyed, with the error if it failed; one that nobody listens to does not end the process.
 *
 * With a manual clock nothing waits for the writer: what was written before `advance` is heard in it, silence follows.
 */
export interface SpeakerStream extends Writable {
  readonly requestId: string
  /** Settles as the promise of {@link SpeakerSession.playAudio} does. */
  readonly finished: Promise<PlayResult>
  /**
   * Drops what was written and not yet heard, faded over 5 ms; resolves when that is done. What is written next, at once if
   * you like, begins with a new sample, or in a file format with a new file.
   */
  flush(): Promise<void>
}

export interface TapOptions {
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat
  /** As for {@link WavOutput}. */
  dither?: boolean
  /** In Hz, 8000–192,000; default 48,000. */
  sampleRate?: number
  /** Default: the session's. Mono is the mean of left and right. */
  channels?: 1 | 2
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number
}

export interface TapFrame extends FrameInfo {
  frame: Buffer
}

/**
 * A Readable in object mode of the frames that the output took. Of a room it is the plain sum of the tracks, as who hears them all
 * hears it: 32-bit floats may reach over ±1, 16 bits are cut there. What is not sent is not in it: while a room is cut off,
 * or of a track that the server mutes.
 *
 * Silence is not told. A stream of plain bytes would have to tick in silence, and be shifted for good by one lost frame;
 * here each frame has its time, so that whoever needs a continuous signal fills what lies between two with zeros, and is
 * right again after every loss. The last frame before silence is filled up. On a realtime clock it goes out at once, and what
 * sounds before the end of it comes after it: to keep every time exact there, `frameMs` is to be 10 or 20.
 *
 * 64 frames wait for the reader. On a realtime clock he loses what finds no room; nobody waits for him. On a manual clock
 * `advance` waits while he has something attached that reads (`for await`, `pipe`, a `data` listener), so do not await it
 * inside his loop; if nothing is, he loses frames there too.
 *
 * `destroy` ends it, and so does `close` of the session, with `end` after the last frame. It does not keep Node alive.
 */
export interface SpeakerTap extends Readable {
  /** Frames that were lost because they were not read in time. */
  readonly dropped: number
  read(): TapFrame | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<TapFrame>
}

/** How long it sounded (`durationMs`), and where in the source it was then (`positionMs`). */
export type PlayResult =
  | { requestId: string; outcome: 'completed'; durationMs: number; positionMs: number }
  | { requestId: string; outcome: 'stopped'; reason: string; durationMs: number; positionMs: number }

/** One request, or what lives on one track, or everything if neither is given. */
export interface Target {
  requestId?: string
  trackId?: number
}

export interface SeekRequest extends Target {
  /** From the start of the source, in ms; 0 to 86,400,000 (a day). */
  positionMs: number
}

export interface VolumeRequest extends Target {
  /** 0–1, in place of the request's. Its `gain` stays. */
  volume: number
  /** How long it takes, in ms; default 5. */
  fadeMs?: number
}

export interface StopTarget extends Target {
  /** Told in the `stopped` event; default `'stopped'`. The session's own reasons are `'replaced'`, `'aborted'`, `'destroyed'` and `'closed'`. */
  reason?: string
  /** Fall to silence, in ms; default 5. */
  fadeOutMs?: number
}

export interface StopResult {
  /** The `requestId`s that this call stopped. */
  stopped: string[]
}

export interface InterruptRequest {
  /** These go on; default none. */
  keep?: Role[]
  /** Told in the `stopped` events; default `'interrupted'`. */
  reason?: string
}

export interface InterruptResult {
  /**
   * Whom this call stopped, in the order of `playbacks()`, and how far each was when it was called; its `stopped` event tells
   * where it ended, the fade included.
   */
  interrupted: { requestId: string; trackId: number; role: Role; positionMs: number }[]
}

export interface MoveRequest {
  requestId: string
  /** 1 is next; 1–100,000. */
  position: number
}

export interface MoveResult {
  /** Whether it waited, and so stands there now. */
  moved: boolean
}

export interface PlaybackInfo {
  requestId: string
  trackId: number
  role: Role
  /** `'paused'` instead of any of the first three. `'stopping'`: fades out, or goes on until what replaces it begins (`crossfadeMs`). */
  state: 'queued' | 'loading' | 'playing' | 'paused' | 'stopping'
  /** Where in its source it is. */
  positionMs: number
  /** Place in line on its track, 1 is next; only while it waits there. */
  place?: number
}

export interface SessionStats {
  /** The session's time. It stands still while the session is idle, and catches up with the next sound. */
  timeMs: number
  playing: number
  loading: number
  queued: number
  /** Not counted in the three above. */
  paused: number
  completed: number
  stopped: number
  failed: number
  /** How often a source was not there in time (realtime clock). */
  underruns: number
  /** Frames that `onFrame` did not take in time, or that were mixed while no room was there to hear them. */
  droppedFrames: number
  /** Frames that were given up because the process was halted for over half a second. */
  lostFrames: number
  /** How a room receives; once it has told. */
  link?: LinkStats
}

export interface LinkStats {
  /** The server's judgement of what arrives. */
  quality?: 'excellent' | 'good' | 'poor' | 'lost'
  /** The part of packets lost lately, 0–1, from the last receiver report (RFC 3550), every 10 s while something is sent. */
  loss?: number
  /** How unevenly packets come. */
  jitterMs?: number
  /** To the server and back. */
  roundTripMs?: number
}

export interface Recording {
  sampleRate: 48000
  channels: 1 | 2
  /** Interleaved; ±1 is full scale. */
  samples: Float32Array
}

/** Fields of every event. */
export interface SpeakerEvent {
  /** 1 for the session's first event, then one more each. */
  seq: number
  /** The session's time at which it happened, exact to the sample. */
  atMs: number
}

/** Fields of every event about a playback. */
export interface PlaybackEvent extends SpeakerEvent {
  requestId: string
}

/** Every request ends in exactly one of `completed`, `stopped`, `failed`. */
export interface SpeakerEvents {
  /** It waits in its track's queue; position 1 is next. Told again whenever its place changes. */
  queued: [event: PlaybackEvent & { position: number }]
  /** Its first sample was handed to the output. */
  started: [event: PlaybackEvent]
  /** Every `progressIntervalMs` of its sound, with its place in the source; never after its terminal event. */
  progress: [event: PlaybackEvent & { positionMs: number }]
  /** It fell silent and stands still; or it is not to begin. */
  paused: [event: PlaybackEvent & { positionMs: number }]
  /** It goes on. */
  resumed: [event: PlaybackEvent & { positionMs: number }]
  /** A stream that has started is silent from here on, until its writer goes on; told once each time. */
  stalled: [event: PlaybackEvent & { positionMs: number }]
  /** It goes on from this place in its source; or it is to begin there. */
  sought: [event: PlaybackEvent & { positionMs: number }]
  /** Its last sample was handed to the output. */
  completed: [event: PlaybackEvent & { durationMs: number; positionMs: number }]
  /** It was ended early, after it had sounded for `durationMs`, the fade included. */
  stopped: [event: PlaybackEvent & { reason: string; durationMs: number; positionMs: number }]
  /** It ended with an error, after it had sounded for `durationMs`. */
  failed: [event: PlaybackEvent & { code: SpeakerErrorCode; message: string; durationMs: number; positionMs: number }]
  /** The output is open. */
  connected: [event: SpeakerEvent]
  /** The way to the room is broken and being mended; see {@link LiveKitOutput}. */
  reconnecting: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** The room is as it was. */
  reconnected: [event: SpeakerEvent]
  /** The output is closed, or lost for good. */
  disconnected: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** The server lets nobody hear a track (an admin muted it). What plays on it goes on, unheard. */
  muted: [event: SpeakerEvent & { trackId: number }]
  /** It lets the track be heard again. */
  unmuted: [event: SpeakerEvent & { trackId: number }]
  /** The output failed, and with it everything live; or only the recording (`ERR_RECORD`). Not thrown if nobody listens. */
  error: [event: SpeakerEvent & { code: SpeakerErrorCode; message: string }]
}

/**
 * `closed`: by `close`. `signalClose`: the signalling connection was lost; `mediaFailure`: no sound arrives; `joinFailure`: the
 * room could not be joined, or a track not be published. The rest is what the server says.
 */
export type DisconnectReason =
  | 'closed'
  | 'signalClose'
  | 'mediaFailure'
  | 'joinFailure'
  | 'unknownReason'
  | 'clientInitiated'
  | 'duplicateIdentity'
  | 'serverShutdown'
  | 'participantRemoved'
  | 'roomDeleted'
  | 'stateMismatch'
  | 'migration'
  | 'roomClosed'
  | 'userUnavailable'
  | 'userRejected'
  | 'sipTrunkFailure'
  | 'connectionTimeout'
  | 'agentError'

export class SpeakerError extends Error {
  readonly name: 'SpeakerError'
  readonly code: SpeakerErrorCode
  /** The playback that failed; not for refused requests. */
  readonly requestId?: string
  /** How long it had sounded. */
  readonly durationMs?: number
  /** Where in its source it was. */
  readonly positionMs?: number
}

/** Stable. README.md says what to do about each. */
export type SpeakerErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_DUPLICATE_REQUEST'
  | 'ERR_TOO_MANY_PLAYBACKS'
  | 'ERR_QUEUE_FULL'
  | 'ERR_QUEUE_TIMEOUT'
  | 'ERR_MAX_DURATION'
  | 'ERR_ABORTED'
  | 'ERR_CLOSED'
  | 'ERR_FILE'
  | 'ERR_FETCH_FAILED'
  | 'ERR_FETCH_TIMEOUT'
  | 'ERR_HTTP_STATUS'
  | 'ERR_TOO_MANY_REDIRECTS'
  | 'ERR_SOURCE_TOO_LARGE'
  | 'ERR_EMPTY_SOURCE'
  | 'ERR_TRUNCATED'
  | 'ERR_UNSUPPORTED_FORMAT'
  | 'ERR_NOT_SEEKABLE'
  | 'ERR_DECODE'
  | 'ERR_STREAM'
  | 'ERR_STALLED'
  | 'ERR_OUTPUT'
  | 'ERR_RECORD'
  | 'ERR_JOIN_FAILED'
  | 'ERR_DISCONNECTED'
  | 'ERR_UNSUPPORTED_OPERATION'
