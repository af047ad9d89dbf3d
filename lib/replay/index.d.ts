import type { LiveKitOutput, MemoryOutput, NoOutput, PcmOutput, SessionOptions, SpeakerErrorCode, SpeakerSession, WavOutput } from '../..'

/**
 * Plays the requests of a log of one user or many, each user's in a session of their own, and returns what each heard. docs/replay.md describes
 * the format of a log.
 *
 * All lines are checked before anything plays, and read again as they are played: only the places of a log's lines are kept in memory. A session
 * is made for its user's first line and closed after the last. On the manual clock nothing sleeps, and the same log gives the same report.
 *
 * Rejects with `ERR_INVALID_ARGUMENT` if an option or a line is wrong (`day.jsonl:7: Expected …`) or a file can't be read, and nothing was
 * played; with `ERR_ABORTED` if `signal` is aborted; with what `output`, `onSession` or `onUser` throws. Errors within a session are in the
 * report of its user, and the others go on.
 *
 * @example
 * const { totals, users } = await replay({ log: 'day.jsonl' })
 * const worst = users.filter(({ codes }) => codes.ERR_FETCH_FAILED)
 */
export function replay(options: ReplayOptions): Promise<ReplayReport>

/** Either `log` or `requests`. */
export interface ReplayOptions {
  /** Files of requests, one JSON object a line; for a folder, its files that end in `.jsonl`, in order of their names. */
  log?: string | string[] | undefined
  /** The same lines as objects. Paths are relative to the working directory, audio from memory is in base64. */
  requests?: Iterable<object> | undefined
  /** Plays only these users of the log. */
  users?: string[] | undefined
  /** Options of every session, in place of those in the log. */
  options?: Omit<SessionOptions, 'output' | 'record'> | undefined
  /**
   * The output of each session, or a function that returns it for a user; default `{ type: 'none' }`. A room needs `clock: 'realtime'`. A
   * WAV file needs a function, unless only one user is played.
   */
  output?: (ReplayOutput | ((user: string) => ReplayOutput)) | undefined
  /**
   * `manual` (default): as fast as can be mixed, `atOnce` users at the same time. `realtime`: all users at the same time, each of their
   * requests at its time in the log.
   */
  clock?: 'manual' | 'realtime' | undefined
  /** The number of sessions that play at the same time, 1–100,000; default 32, in real time all. */
  atOnce?: number | undefined
  /** Ends the replay. */
  signal?: AbortSignal | undefined
  /**
   * Called with each session before anything is played, to listen to its events and taps. Times of the session are `offsetMs` later in the
   * log. Playbacks that are not in the log are not in the report. The `context` of those in the log belongs to this package.
   */
  onSession?: ((session: SpeakerSession, user: string, offsetMs: number) => void) | undefined
  /** Called when a user is done, with their session, which is closed; awaited before another user begins in their place. */
  onUser?: ((report: UserReport, session: SpeakerSession) => void | Promise<void>) | undefined
}

/** An output without its clock. */
export type ReplayOutput = Omit<WavOutput, 'clock'> | Omit<PcmOutput, 'clock'> | Omit<MemoryOutput, 'clock'> | Omit<NoOutput, 'clock'> | LiveKitOutput

export interface ReplayReport {
  totals: ReplayTotals
  /** In order of appearance in the log. */
  users: UserReport[]
}

/** Counts of playbacks and their outcomes. Times are in ms. */
export interface ReplayCounts {
  /** Playbacks that were requested. */
  plays: number
  completed: number
  stopped: number
  failed: number
  /** Requests that became no playback: their id was live, or their session was lost. */
  refused: number
  /** The number of playbacks that failed or were refused, by error code. */
  codes: { [code in SpeakerErrorCode]?: number }
  /**
   * The time in which anything sounded, counted once however many sounded at once: from `started` to the end, less pauses and mutes of the
   * track. A playback at volume 0 sounds too, and so does a stream that waits for its writer.
   */
  heardMs: number
  /** The time in which two or more sounded at once. */
  overlapMs: number
  /** Playbacks that nobody heard: they ended before they began, or while their track was muted. */
  unheard: number
  /** The part of all playbacks that nobody could hear (`unheardMs` of their events). */
  unheardMs: number
  /** Playbacks that waited in a queue. */
  waited: number
  /** The sum of these waits. */
  waitedMs: number
  /** The longest wait. */
  longestWaitMs: number
  /**
   * In real time: the wall time from a request to `started`, for those that did not wait in a queue; null if there are none.
   * Missing on the manual clock, which waits for sources.
   */
  firstSoundMs?: { median: number | null; p95: number | null; max: number | null }
}

export interface ReplayTotals extends ReplayCounts {
  users: number
}

export interface UserReport extends ReplayCounts {
  /** The name in the lines, or the name of the file if its lines name nobody. */
  user: string
  /** The time of their first request, in ms since the log begins. */
  firstAtMs: number
  /** The first ten playbacks that failed or were refused, each with the time of its request, in ms since the log begins. */
  failures: { requestId: string; atMs: number; code: SpeakerErrorCode; message: string }[]
  /** The first error of the session itself. */
  error?: { code: SpeakerErrorCode; message: string }
}
