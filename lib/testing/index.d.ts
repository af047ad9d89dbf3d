import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'

import type { AnyEvent, MemoryOutput, NoOutput, PcmOutput, Recording, SessionOptions, SpeakerSession, SpeakerTap, WavOutput } from '../..'

/**
 * Tools for test suites to play something and to check what was heard. They need nothing but Node, and no test runner: functions that make
 * something for one test take the context of that test, as node:test and vitest pass it, and clean up when it ends.
 */

/** Samples, as `recording()` and {@link readWav} return them. */
export interface Sound {
  /** In Hz. */
  sampleRate: number
  channels: number
  /** Interleaved; ±1 is full scale. */
  samples: Float32Array
}

/** A recording, or the samples of one channel at 48 kHz. */
export type Heard = Sound | Recording | Float32Array

/** The context of a test: functions registered with it are called when the test ends. */
export type TestContext = { after(done: () => unknown): void } | { onTestFinished(done: () => unknown): void }

/**
 * Returns a sine, as a mono WAV file of 16 bits or as its raw samples. Its first sample is 0. At 0 Hz it is silence.
 * @param hz its frequency; tones 100 Hz apart or more can be told from each other by {@link tonesIn}
 * @param ms its length
 */
export function tone(hz: number, ms: number, options?: ToneOptions): Buffer

export interface ToneOptions {
  /** In Hz, 1000–192,000; default 48,000. */
  sampleRate?: number | undefined
  /** 0–1; default 0.3, so that three fit into full scale. */
  amplitude?: number | undefined
  /** `'pcm16'`: only the samples, as a stream takes them; default `'wav'`. */
  format?: 'wav' | 'pcm16' | undefined
}

/** Returns a WAV file of 16 bits, of interleaved samples from −1 to 1; values beyond are clipped. Default: 48,000 Hz, one channel. */
export function wavFile(samples: Float32Array | Float64Array | number[], sampleRate?: number, channels?: number): Buffer

/**
 * Reads a WAV file of 16 bits or floats of 32, by its path or its bytes.
 * @throws {SpeakerError} `ERR_INVALID_ARGUMENT` if it is something else, or its header does not fit it
 */
export function readWav(file: string | Uint8Array): Sound

/**
 * Returns the amplitude of a frequency between two times in ms, by default throughout: exact where that is a whole number of its periods. For a
 * recording of two channels it is the mean of both, or that of one `channel` (0 or 1).
 */
export function level(heard: Heard, hz: number, fromMs?: number, toMs?: number, options?: { channel?: number }): number

/**
 * Returns which of these frequencies sounded when, in order of time: for each sound its begin and end, within 2 ms, and its amplitude in
 * the middle. Where a sound is faded for longer than 20 ms, it begins or ends at the threshold.
 *
 * @example
 * const { session } = testSession({ overlap: 'queue' }, t)
 * for (const hz of [440, 880]) session.playAudio({ audio: tone(hz, 500), stopOther: false })
 * await finish(session)
 * tonesIn(session.recording(), [440, 880]) // [{ hz: 440, fromMs: 0, toMs: 500, level: 0.3 }, { hz: 880, fromMs: 500, toMs: 1000, level: 0.3 }]
 */
export function tonesIn(heard: Heard, frequencies: number[], options?: TonesOptions): { hz: number; fromMs: number; toMs: number; level: number }[]

export interface TonesOptions {
  /** The minimum amplitude of a tone, 0.0001–1; default 0.05. Where a tone at full scale is cut, others within 200 Hz of it seem to sound at up to that. */
  threshold?: number | undefined
  /** 0 or 1; default: the mean of both. */
  channel?: number | undefined
}

/** Returns when anything sounded, exact to the sample, with the peak and the RMS of each sound. */
export function soundsIn(heard: Heard, options?: SoundsOptions): { fromMs: number; toMs: number; peak: number; rms: number }[]

export interface SoundsOptions {
  /** The level up to which a sample is silence, 0–1; default 0.001 (−60 dBFS). */
  threshold?: number | undefined
  /** The longest silence that is still part of the sound, in ms; default 20. */
  pauseMs?: number | undefined
  /** 0 or 1; default: the mean of both. */
  channel?: number | undefined
}

/** Records what a session plays from now on, with any output, by a tap. On a manual clock it need not be read meanwhile. */
export function recordTap(session: SpeakerSession, options?: { trackId?: number; sampleRate?: number; channels?: 1 | 2 }): {
  tap: SpeakerTap
  /** The recording so far, from the session's time 0 on. */
  recording(): Sound
}

/**
 * Returns a session into memory on the manual clock, unless `options` say otherwise, without `progress` events. It is closed when the test ends.
 */
export function testSession(
  options?: Omit<SessionOptions, 'output'> & { output?: Partial<MemoryOutput> | NoOutput | WavOutput | PcmOutput },
  t?: TestContext
): {
  session: SpeakerSession
  /** All events so far. */
  events: AnyEvent[]
  /** The events of one playback. */
  of(requestId: string): AnyEvent[]
}

/** Advances a session on the manual clock until nothing lives in it. */
export function finish(session: SpeakerSession): Promise<void>

/**
 * Starts an HTTP server on loopback that misbehaves as asked. It ends with the test, or by `close`; one without a test does not keep the
 * process alive.
 *
 * @example
 * const server = await flakyServer({
 *   '/good.wav': tone(440, 1000),
 *   '/cut.wav': { body: tone(440, 1000), cutAfter: 20_000 },
 *   '/moody.wav': [{ status: 503 }, tone(440, 1000)]
 * }, t)
 * session.playAudio({ audioUrl: `${server.url}/cut.wav` })
 *
 * @param answers by path, without the query; of several the first one first, and the last one from then on; other paths are 404. Or one answer to any request
 */
export function flakyServer(
  answers: Record<string, ServerAnswer | ServerAnswer[]> | ((request: IncomingMessage, response: ServerResponse) => unknown),
  t?: TestContext
): Promise<FlakyServer>

/** A body, or a description of the answer. */
export type ServerAnswer = Uint8Array | string | {
  body?: Uint8Array | string
  /** Default 200, with `redirect` 302. */
  status?: number
  headers?: OutgoingHttpHeaders
  /** The time in which nothing is sent, not even a status, in ms; default 0. */
  delayMs?: number
  /** Sends this many bytes at a time. */
  drip?: Drip
  /** Cuts the connection after this many bytes of the body, all of which was announced. */
  cutAfter?: number
  /** Sends this many bytes of the body, and then nothing more; at 0 nothing at all. */
  hangAfter?: number
  /** The target of a redirect. */
  redirect?: string
}

export interface Drip {
  bytes: number
  everyMs: number
}

export interface FlakyServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** The requests received, in order. */
  readonly requests: { method: string; path: string; headers: IncomingHttpHeaders }[]
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Sends a body as slowly as `drip` of an answer; for a function that answers. */
export function drip(response: ServerResponse, body: Uint8Array, how: Drip): void
