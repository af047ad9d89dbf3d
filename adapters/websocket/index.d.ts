/// <reference types="node" />

import type {
  CloseOptions, InterruptRequest, InterruptResult, SampleFormat, SessionOptions, SpeakerSession, SpeakerStream, StreamRequest, Target
} from '../..'

/** An open WebSocket, such as one of `ws`. If it has no `addEventListener` for its events, call `receive` and `close`. */
export interface LineSocket {
  send(text: string): unknown
  /** The number of bytes that wait to be sent. */
  readonly bufferedAmount: number
  /** 1 while it is open. */
  readonly readyState: number
  addEventListener?(type: 'message' | 'close', listener: (event: any) => void): unknown
}

/** The messages of a telephone service: {@link acs}, {@link twilio}, or your own. */
export interface LineCodec {
  format: SampleFormat
  /** The sample rate, in Hz. */
  sampleRate: number
  /** Returns the message for a frame of 20 ms. */
  audio(data: Buffer): string
  /** Returns the message that clears the far end's buffer. */
  clear(): string
  /** Returns the message for a mark, if the service supports marks. */
  mark?(name: string): string
  /** Returns the name of the mark that a message acknowledges, if it does. */
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
  /** As for `PcmOutput`; default `false`: nothing is sent during silence. */
  continuous?: boolean | undefined
  /**
   * The sound that may wait in the socket, in ms; 20–60,000, default 1000. Further frames are dropped and counted: on a phone, late sound
   * stays late.
   */
  maxBufferedMs?: number | undefined
  /** Default `'realtime'`. */
  clock?: 'realtime' | 'manual' | undefined
  /** The options of the session, without an output. */
  session?: Omit<SessionOptions, 'output'> | undefined
}

/**
 * A session that speaks into a phone call: each 20 ms of its mix is a message on the socket, in the format of the call's service.
 *
 * When the socket closes, everything is stopped (reason `'disconnected'`) and the session is closed. Closing the line does not
 * close the socket.
 *
 * @example
 * const line = new SpeakerLine({ socket, codec: twilio({ streamSid }), session: { overlap: 'queue' } })
 * const speech = line.session.createStream({ format: 'pcm16', sampleRate: 24000, role: 'voice', stopOther: false })
 * recognizer.on('partial', () => line.interrupt())
 */
export class SpeakerLine {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if the socket is not open; and the errors of the session's constructor */
  constructor(options: LineOptions)

  /** The session that plays into the call. */
  readonly session: SpeakerSession

  /**
   * Interrupts the session, and at once clears the far end's buffer: neither a fade nor a frame that was under way is sent after that. The
   * results are those of `session.interrupt`, except that `heardMs` does not include sound that was mixed and not sent.
   *
   * With `fadeOutMs` or `afterMs`, or if a role in `keep` plays, sound follows the interruption: then the far end's buffer is not cleared, and
   * it plays what it is sent. `session.interrupt` never clears it.
   */
  interrupt(request?: InterruptRequest): Promise<InterruptResult>

  /**
   * Sets a mark behind all requests so far, behind those of a target, or behind the bytes written to a stream so far (`session.mark`,
   * `stream.mark`). If the service supports marks, it is sent after the last of that sound, and the promise resolves with `true` when the far end
   * acknowledges it, after playing or clearing that sound; otherwise when the last of that sound was sent. It resolves with `false` if the line or
   * the socket is closed before. It rejects like `session.mark`.
   */
  mark(name: string, behind?: Target | SpeakerStream): Promise<boolean>

  /**
   * Takes a message of the far end, for a socket without events: a text, its bytes or the object. Returns true if it was about a mark of this
   * line. Ignores anything but JSON.
   */
  receive(message: unknown): boolean

  /** `droppedFrames`: the number of frames that were not sent, because too much waited in the socket (`maxBufferedMs`) or it was closed. */
  stats(): { droppedFrames: number }

  /** Closes the session, like `session.close`. */
  close(options?: CloseOptions): Promise<void>

  /** `await using line = …` closes it. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface RealtimeSpeechOptions {
  /** The socket to the model. */
  socket: LineSocket
  /** The line that it speaks into. Either this or `session` is required. */
  line?: SpeakerLine | undefined
  /** The session that it speaks into, with any output. */
  session?: SpeakerSession | undefined
  /** Options of the stream of each item. Default: `role: 'voice'`, `stopOther: false`, `overlap: 'queue'`. */
  stream?: Omit<StreamRequest, 'requestId' | 'group' | 'format' | 'sampleRate' | 'channels'> | undefined
  /** `true` (default): `input_audio_buffer.speech_started` interrupts. */
  interrupts?: boolean | undefined
}

/**
 * Plays the speech of a model of OpenAI's Realtime API, in the format `audio/pcm` (24 kHz), which is the API's default: each item is a stream of
 * its own, whose `group` is the id of the item, and plays after the earlier ones. When the user interrupts, the model gets the duration that was
 * heard (`conversation.item.truncate`), so that it knows what it has not said; also if an item is stopped otherwise, or fails.
 *
 * A model sends faster than real time; the stream buffers the rest. When the socket closes, the audio that has arrived is played.
 *
 * @example
 * const model = new WebSocket('wss://api.openai.com/v1/realtime?model=gpt-realtime', { headers })
 * model.once('open', () => new RealtimeSpeech({ socket: model, line }))
 */
export class RealtimeSpeech {
  /** @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if the socket is not open */
  constructor(options: RealtimeSpeechOptions)

  /**
   * Takes an event of the server, for a socket without events: a text, its bytes or the object. Returns true if it was about speech. Ignores
   * anything but JSON. Throws the errors of `createStream`, if `stream` is invalid; with a socket's events that is a process warning, once per item.
   */
  receive(event: unknown): boolean

  /**
   * Interrupts (`line.interrupt`, or else `session.interrupt`), reports to the model how much of each item was heard, in whole ms, and cancels
   * responses that are still being generated. `speech_started` does the same by itself, except that the server cancels. With `afterMs` the
   * reported duration is the one heard until the call.
   */
  interrupt(request?: InterruptRequest): Promise<void>
}
