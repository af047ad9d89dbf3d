/// <reference types="node" />

import type {
  CloseOptions, InterruptRequest, InterruptResult, SampleFormat, SessionOptions, SpeakerSession, SpeakerStream, StreamRequest, Target
} from '../..'

/** An open WebSocket, such as one of `ws`. What it tells by events is heard if it has `addEventListener`, else call `receive` and `close`. */
export interface LineSocket {
  send(text: string): unknown
  /** How many bytes wait to be sent. */
  readonly bufferedAmount: number
  /** 1 while it is open. */
  readonly readyState: number
  addEventListener?(type: 'message' | 'close', listener: (event: any) => void): unknown
}

/** What a telephone service is sent, and what it answers: {@link acs}, {@link twilio}, or your own. */
export interface LineCodec {
  format: SampleFormat
  /** In Hz. */
  sampleRate: number
  /** The message for a frame of 20 ms. */
  audio(data: Buffer): string
  /** The message that has the far end throw away what it was sent and has not played. */
  clear(): string
  /** The message for a mark, if the service knows marks. */
  mark?(name: string): string
  /** The name of the mark that a message says was played, if it does. */
  reached?(message: any): string | undefined
}

/**
 * Azure Communication Services, bidirectional media streaming: PCM of 16 bits in `AudioData`, and `StopAudio`.
 * @param options `sampleRate` is that of the call's `audioFormat`, 16000 (default) or 24000
 */
export function acs(options?: { sampleRate?: 16000 | 24000 | undefined }): LineCodec

/**
 * Twilio, bidirectional Media Streams (`<Connect><Stream>`): µ-law at 8 kHz in `media`, with `clear` and `mark`.
 * @param options `streamSid` is that of Twilio's `start` message
 */
export function twilio(options: { streamSid: string }): LineCodec

export interface LineOptions {
  socket: LineSocket
  codec: LineCodec
  /** As for `PcmOutput`; default `false`: nothing is sent in silence. */
  continuous?: boolean | undefined
  /**
   * How much sound may wait in the socket, in ms; 20–60,000, default 1000. Frames that find more waiting are left out and counted: on a phone, what
   * is late stays late.
   */
  maxBufferedMs?: number | undefined
  /** Default `'realtime'`. */
  clock?: 'realtime' | 'manual' | undefined
  /** The options of the session, without an output. */
  session?: Omit<SessionOptions, 'output'> | undefined
}

/**
 * A session that speaks into a phone call: each 20 ms of what it mixes is a message on the socket, as the call's service takes it.
 *
 * When the socket is closed, everything is stopped (reason `'disconnected'`) and the session is closed. Closing the line does not
 * close the socket.
 *
 * @example
 * const line = new SpeakerLine({ socket, codec: twilio({ streamSid }), session: { overlap: 'queue' } })
 * const speech = line.session.createStream({ format: 'pcm16', sampleRate: 24000, role: 'voice', stopOther: false })
 * recognizer.on('partial', () => line.interrupt())
 */
export class SpeakerLine {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if the socket is not open; and what the constructor of a session throws */
  constructor(options: LineOptions)

  /** What plays into the call. */
  readonly session: SpeakerSession

  /**
   * Interrupts the session, and at once has the far end throw away what it was sent and has not played: neither a fade nor a frame that
   * was under way is sent behind that. The results are those of `session.interrupt`, apart from `heardMs`: there, what was mixed and not sent is
   * left out.
   *
   * With `fadeOutMs` or `afterMs`, or if a role in `keep` sounds, something is to be heard behind the interruption: then the far end is told nothing,
   * and plays what it is sent. `session.interrupt` never tells it anything.
   */
  interrupt(request?: InterruptRequest): Promise<InterruptResult>

  /**
   * Sets a mark behind everything that was asked for so far, behind what of it is named, or behind what was written to a stream so far (`session.mark`,
   * `stream.mark`). Where the service knows marks, it is sent behind the last of that sound, and the promise resolves with `true` when the far end
   * says that it has played it, or has thrown it away for an interruption; else when the last of that sound was sent. With `false` if the line is
   * closed, or the socket, before. Rejects as `session.mark`.
   */
  mark(name: string, behind?: Target | SpeakerStream): Promise<boolean>

  /**
   * Takes a message of the far end, for a socket without events: a text, its bytes or the object. Returns true if it was about a mark of this
   * line. What is no JSON is left alone.
   */
  receive(message: unknown): boolean

  /** `droppedFrames`: how many were not sent, because too much waited in the socket (`maxBufferedMs`) or it was closed. */
  stats(): { droppedFrames: number }

  /** Closes the session, as `session.close`. */
  close(options?: CloseOptions): Promise<void>

  /** `await using line = …` closes it. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface RealtimeSpeechOptions {
  /** The socket to the model. */
  socket: LineSocket
  /** The line that it speaks into. Either this or `session`. */
  line?: SpeakerLine | undefined
  /** The session that it speaks into, whatever its output is. */
  session?: SpeakerSession | undefined
  /** For the stream of each item. Default: `role: 'voice'`, `stopOther: false`, `overlap: 'queue'`. */
  stream?: Omit<StreamRequest, 'requestId' | 'group' | 'format' | 'sampleRate' | 'channels'> | undefined
  /** Whether `input_audio_buffer.speech_started` interrupts; default `true`. */
  interrupts?: boolean | undefined
}

/**
 * Plays what a model of OpenAI's Realtime API says, in the format `audio/pcm` (24 kHz), which is the API's default: each item is a stream of its own,
 * whose `group` is the id of the item, and plays behind the ones before it. When the user interrupts, the model is told how much of it was
 * heard (`conversation.item.truncate`), so that it knows what it has not said; also if an item is stopped otherwise, or fails.
 *
 * A model sends faster than one listens; what waits is kept by the stream. When the socket is closed, what came is played.
 *
 * @example
 * const model = new WebSocket('wss://api.openai.com/v1/realtime?model=gpt-realtime', { headers })
 * model.once('open', () => new RealtimeSpeech({ socket: model, line }))
 */
export class RealtimeSpeech {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if the socket is not open */
  constructor(options: RealtimeSpeechOptions)

  /**
   * Takes an event of the server, for a socket without events: a text, its bytes or the object. Returns true if it was about speech. What is no
   * JSON is left alone. Throws what `createStream` does, if `stream` can't be used; of a socket with events that is a warning of the process, once an item.
   */
  receive(event: unknown): boolean

  /**
   * Interrupts (`line.interrupt`, or else `session.interrupt`), tells the model how much of each item was heard, in whole ms, and cancels responses that
   * are still being made. On `speech_started` the same happens by itself, but for the cancelling, which is the server's. With `afterMs` it is what
   * was heard until the call.
   */
  interrupt(request?: InterruptRequest): Promise<void>
}
