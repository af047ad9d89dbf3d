import type { LiveKitOutput, MemoryOutput, NoOutput, PcmOutput, SessionOptions, SpeakerErrorCode, SpeakerSession, WavOutput } from '../..'

/**
 * Plays the requests of a log of one user or many, each user's in a session of their own, and returns what each heard. docs/replay.md says
 * what a log looks like.
 *
 * All lines are checked before anything plays, and read again as they are played: of a log only the places of its lines are held. A session is
 * made for its user's first line and closed behind the last. On the manual clock nothing sleeps, and the same log gives the same report.
 *
 * Rejects with `ERR_INVALID_ARGUMENT` if an option or a line is wrong (`day.jsonl:7: Expected …`) or a file can't be read, and nothing was
 * played; with `ERR_ABORTED` if `signal` is aborted; with what `output`, `onSession` or `onUser` throws. What goes wrong in a session is in the
 * report of its user, and the others go on.
 *
 * @example
 * const { totals, users } = await replay({ log: 'day.jsonl' })
 * const worst = users.filter(({ codes }) => codes.ERR_FETCH_FAILED)
 */
export function replay(options: ReplayOptions): Promise<ReplayReport>

/** Either `log` or `requests`. */
export interface ReplayOptions {
  /** Files of requests, one JSON object a line; of a folder, those in it that end in `.jsonl`, in order of their names. */
  log?: string | string[] | undefined
  /** The same lines as objects. Paths are relative to the working directory, audio from memory is in base64. */
  requests?: Iterable<object> | undefined
  /** Plays only these users of the log. */
  users?: string[] | undefined
  /** Options of every session, in place of those in the log. */
  options?: Omit<SessionOptions, 'output' | 'record'> | undefined
  /**
   * What each session plays into, or a function that returns it for a user; default `{ type: 'none' }`. A room needs `clock: 'realtime'`. A
   * WAV file needs a function, unless one user is played.
   */
  output?: (ReplayOutput | ((user: string) => ReplayOutput)) | undefined
  /**
   * `manual` (default): as fast as can be mixed, `atOnce` users at the same time. `realtime`: all users at the same time, each of their
   * requests when the log says.
   */
  clock?: 'manual' | 'realtime' | undefined
  /** How many sessions play at the same time, 1–100,000; default 32, in real time all. */
  atOnce?: number | undefined
  /** Ends the replay. */
  signal?: AbortSignal | undefined
  /**
   * Called with each session before anything is played, to listen to its events and taps. Times of the session are `offsetMs` later in the
   * log. Playbacks that the log does not ask for are not in the report. The `context` of those it asks for is this package's own.
   */
  onSession?: ((session: SpeakerSession, user: string, offsetMs: number) => void) | undefined
  /** Called when a user is done, with their session, which is closed; awaited before another user begins in their place. */
  onUser?: ((report: UserReport, session: SpeakerSession) => void | Promise<void>) | undefined
}

/** An output without its clock. */
export type ReplayOutput = Omit<WavOutput, 'clock'> | Omit<PcmOutput, 'clock'> | Omit<MemoryOutput, 'clock'> | Omit<NoOutput, 'clock'> | LiveKitOutput

export interface ReplayReport {
  totals: ReplayTotals
  /** In the order in which they come in the log. */
  users: UserReport[]
}

/** Counts of playbacks, and what became of them. Times are in ms. */
export interface ReplayCounts {
  /** How many were requested. */
  plays: number
  completed: number
  stopped: number
  failed: number
  /** Requests that were no playback: of an id that was live, or of a session that was lost. */
  refused: number
  /** How many failed or were refused, by the code of their error. */
  codes: { [code in SpeakerErrorCode]?: number }
  /**
   * For how long something sounded, however much at once: between `started` and the end, less pauses and mutes of the track. A playback
   * at volume 0 sounds too, and a stream that waits for its writer.
   */
  heardMs: number
  /** For how long two or more sounded at once. */
  overlapMs: number
  /** Playbacks of which nobody heard anything: they ended before they began, or while their track was muted. */
  unheard: number
  /** How much of all playbacks nobody could hear (`unheardMs` of their events). */
  unheardMs: number
  /** Playbacks that waited in line. */
  waited: number
  /** For how long, in all. */
  waitedMs: number
  /** The longest wait. */
  longestWaitMs: number
  /**
   * In real time: how long it took from a request to `started`, by the wall, for those that did not wait in line; null if there are none.
   * Missing on the manual clock, which waits for sources.
   */
  firstSoundMs?: { median: number | null; p95: number | null; max: number | null }
}

export interface ReplayTotals extends ReplayCounts {
  users: number
}

export interface UserReport extends ReplayCounts {
  /** As the lines name them, or the file in which nobody is named. */
  user: string
  /** When their first request was made, in ms since the log begins. */
  firstAtMs: number
  /** The first ten of those that failed or were refused, with when they were requested, in ms since the log begins. */
  failures: { requestId: string; atMs: number; code: SpeakerErrorCode; message: string }[]
  /** What went wrong in the session itself, first of all. */
  error?: { code: SpeakerErrorCode; message: string }
}
