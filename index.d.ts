/// <reference types="node" />

import { EventEmitter } from 'node:events'
import { Readable, Writable } from 'node:stream'

/**
 * Plays audio into one output: fetches, decodes, mixes what overlaps, interrupts at once, and reports exactly what was
 * heard. One session per user; thousands fit in a process.
 *
 * Times are milliseconds. Positions and durations are counted in samples at the output, never taken from a wall clock, so
 * they may have fractions (1/48 ms). `positionMs` is a place in the source: it begins at `startMs` and wraps in a loop.
 * `durationMs` is how long a playback has sounded: its samples that were handed over. `unheardMs` is how much of that nobody could
 * hear, because its track was muted or out of the room, or the room was cut off; it is missing if that is nothing.
 *
 * Every call takes effect before it returns, in the order of the calls. A call on a closed session fails with `ERR_CLOSED`;
 * calls that only stop, pause or change something find nothing there and resolve with an empty list. If a fault of this
 * package's own breaks a session, everything live fails with `ERR_INTERNAL`, new requests are refused with that code, and
 * `close` still works.
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
  /**
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`; `ERR_NO_THREADS` if the operating system refuses the threads that all sessions
   * share, which the next session asks for again
   *
   * @example
   * const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: { default: 'mix', 2: 'queue' } })
   */
  constructor(options: SessionOptions)

  /**
   * Sets options for all sessions of the process, those of worker threads included, at any time; what is not given stays as it is.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.configure({ maxSpoolBytes: 512 * 1024 * 1024, network: 'public' })
   */
  static configure(options: ProcessOptions): void

  /**
   * Gives the cache of the process room, which is off until then, and tells what it holds: what one playback, clip or probe has fetched is there
   * for all that ask for the same URL with the same `headers` and `network`, for as long as its server says (RFC 9111, as a cache that is
   * shared), and those that ask at the same time are one fetch. Without `maxBytes` it only tells. See docs/cache.md.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.cache({ maxBytes: 64 * 1024 * 1024 })
   * for (const session of sessions) session.playAudio({ audioUrl: 'https://example.com/jingle.mp3' }) // is fetched once
   */
  static cache(options?: CacheOptions): CacheStats

  /**
   * Decodes a sound once, for any number of playbacks in any session of this thread: `playAudio({ audio: clip })` starts in the next
   * frame and seeks at once, and costs neither a decoder nor a copy. It sounds, sample for sample, as its source does.
   *
   * Resolves when all of it is decoded. Rejects as a playback of the source fails, also where that would have been heard in part
   * (`ERR_TRUNCATED`, `ERR_DECODE`, …); with `ERR_CLIPS_FULL` as soon as it takes more than `maxClipBytes` leaves
   * ({@link ProcessOptions}); with `ERR_ABORTED` if `signal` is aborted first; with `ERR_INVALID_ARGUMENT`, `ERR_ACCESS_DENIED` or
   * `ERR_NO_THREADS`. No session has to exist.
   *
   * @example
   * const chime = await SpeakerSession.clip({ audioUrl: 'chime.wav' })
   * for (const session of sessions) session.playAudio({ audio: chime, stopOther: false })
   */
  static clip(source: ClipSource): Promise<SpeakerClip>

  /**
   * Finds out what a source is, without playing it: container, codec, length, tags, and with `loudness: true` how loud it is, for which all of it is
   * decoded. Servers and files are asked by the same rules as those of a playback (`network`, limits). Rejects as {@link clip} does, if what
   * has to be read can't be played. No session has to exist. See docs/probe.md.
   *
   * @example
   * const { durationMs, tags } = await SpeakerSession.probe('song.flac')
   */
  static probe(source: string | URL | ClipSource, options?: ProbeOptions): Promise<ProbeResult>

  /**
   * Counts over all sessions of the process, those of worker threads included. `sessions` is how many are not closed yet;
   * `broken` how many broke by a fault of this package's own (`ERR_INTERNAL`) since the process began; `clips` and `clipBytes` how
   * many clips there are, those that are being made or are closed and still play included, and how many bytes they hold.
   *
   * @example
   * const { sessions, broken } = SpeakerSession.processStats()
   * if (broken > 0) console.error(`${broken} sessions broke, ${sessions} are open`)
   */
  static processStats(): ProcessStats

  /**
   * What an operator counts, over all sessions of the process, those of worker threads included: counters since the process began, gauges as
   * they are now, and histograms. Cheap enough for each scrape of a monitor; `speaker-session/metrics` hands it to prom-client.
   *
   * @example
   * const { requests, failures, firstFrameLatencyMs } = SpeakerSession.metrics()
   * console.log(requests, failures, firstFrameLatencyMs.sum / firstFrameLatencyMs.count)
   */
  static metrics(): ProcessMetrics

  /**
   * Calls the listener with lines of the log, instead of writing them to standard error: those of all sessions of the process that have no
   * `logger` ({@link SessionOptions}), and those of none. The levels are those of the environment variable `SPEAKER_SESSION_LOG`, and `info`
   * without it. Nobody waits for a listener: up to 1 MiB of lines wait for this thread of JavaScript, and a line says how many more there
   * were. A listener that throws is told of once, by a warning of the process. It does not keep Node alive.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.on('log', ({ level, message, requestId }) => console.log(level, message, requestId))
   */
  static on(type: 'log', listener: (line: LogLine) => void): typeof SpeakerSession
  /** As EventEmitter has it. */
  static on(emitter: any, type: string | symbol, options?: any): any

  /**
   * Calls the listener no longer.
   *
   * @example
   * const listener = ({ message }: { message: string }) => console.log(message)
   * SpeakerSession.on('log', listener)
   * SpeakerSession.off('log', listener)
   */
  static off(type: 'log', listener: (line: LogLine) => void): typeof SpeakerSession

  /** Names the session in lines of the log: 1 for the first of the process. */
  readonly id: number

  /**
   * Opens the output and starts the session's time. If the output is open already it resolves at once, and while it is being
   * opened it settles with the attempt under way. `playAudio` and `advance` connect by themselves.
   * Rejects with `ERR_OUTPUT` or `ERR_JOIN_FAILED` if the output can't be opened, `ERR_CLOSED` after `close`, `ERR_ABORTED` if
   * `signal` is aborted first. The attempt is given up then, unless another `connect` or a playback needs the output too.
   * On the manual clock `connected` keeps its place: what is told of later calls is told once it is known whether the output is open.
   *
   * @example
   * await session.connect({ signal: AbortSignal.timeout(5000) }) // joins before the first sound is wanted
   */
  connect(options?: { signal?: AbortSignal | undefined }): Promise<void>

  /**
   * Plays. The request is entered before this returns, so `playbacks()` shows it at once.
   *
   * The promise settles with the playback's one terminal event, just after it: it resolves on `completed` and `stopped`
   * (being stopped is an outcome, not an error) and rejects with a {@link SpeakerError} on `failed`. A request over a limit
   * fails at once, with `ERR_TOO_MANY_PLAYBACKS` or `ERR_QUEUE_FULL`. A request that is refused has no events and rejects with
   * `ERR_INVALID_ARGUMENT`, `ERR_DUPLICATE_REQUEST`, `ERR_ABORTED`, `ERR_CLOSED` or `ERR_INTERNAL`. Neither changes anything for
   * other playbacks (but see `onDuplicate: 'replace'`). An unhandled rejection does not end the process.
   *
   * The promise also bears the `requestId`, and a promise of whether the playback starts: see {@link Playing}.
   *
   * @example
   * const playing = session.playAudio({ audioUrl: 'https://example.com/hello.mp3', trackId: 2, stopOther: false })
   * playing.catch(({ code, message }) => console.error(code, message))
   * const { outcome, durationMs } = await playing
   */
  playAudio(request: PlayRequest): Playing

  /**
   * Plays what is written to it, for speech that arrives in pieces. A playback like any other: entered before this returns,
   * with the same events and the same policy.
   * @throws {SpeakerError} if the request is refused: `ERR_INVALID_ARGUMENT`, `ERR_DUPLICATE_REQUEST`, `ERR_ABORTED`, `ERR_CLOSED`
   * or `ERR_INTERNAL`
   *
   * @example
   * const speech = session.createStream({ format: 'pcm16', sampleRate: 24000, role: 'voice' })
   * for await (const piece of tts) if (!speech.write(piece)) await once(speech, 'drain')
   * speech.end()
   * const { positionMs } = await speech.finished
   */
  createStream(request: StreamRequest): SpeakerStream

  /**
   * Stops the target: one `requestId`, one track, one group, or everything if none is given; playing, loading and queued alike. What
   * loads or waits ends at once; what sounds fades out over `fadeOutMs`. The frame that begins the fade is sent at once, ahead
   * of its time; the promise resolves without waiting for the end of the fade. Returns the `requestId`s that were stopped; a
   * target that matches nothing is no error. What fades out already is not stopped again and keeps the reason of its first
   * stop, but a shorter fade takes over.
   *
   * A stopped `requestId` is free for a new playback as soon as this call has returned, also while the old playback fades. Both
   * get their own terminal event, and the events of both bear the same `requestId`.
   *
   * A stop of a `requestId` that is not live is not remembered, unless `ahead` is `true`: see {@link StopTarget}.
   *
   * @example
   * await session.stopAudio({ trackId: 1, reason: 'user', fadeOutMs: 200 })
   * await session.stopAudio() // everything
   */
  stopAudio(target?: StopTarget): Promise<StopResult>

  /**
   * Moves a queued playback to another position in its line; one beyond the end is the end. `queued` tells its new position if
   * that is another one, and tells the playback that becomes the first. Nothing changes for a playback that is not queued.
   *
   * @example
   * const { moved } = await session.moveAudio({ requestId: 'sentence 3', queuePosition: 1 }) // the next one
   */
  moveAudio(request: MoveRequest): Promise<MoveResult>

  /**
   * Stops everything on all tracks, queued playbacks included, apart from the roles in `keep`: for barge-in. As quick as
   * `stopAudio`, with its 5 ms fade unless `fadeOutMs` or `afterMs` say otherwise. To interrupt nothing is no error.
   *
   * @example
   * const { groups } = await session.interrupt({ keep: ['ambient'], fadeOutMs: 80 })
   * for (const { group, heardMs } of groups) console.log(`${heardMs} ms of ${group} were heard`)
   */
  interrupt(request?: InterruptRequest): Promise<InterruptResult>

  /**
   * Pauses the target. What sounds falls silent within 5 ms and stands still there; what loads or waits keeps its place in
   * line and, when its turn comes, waits until it is resumed. A paused playback counts for `maxConcurrent` and holds its track.
   * It costs nothing, and on a realtime clock the time of a session in which everything is paused stands still.
   * Returns the `requestId`s that were paused: those that were not before and do not fade out.
   *
   * For a playback that sounds, `paused` is emitted once it is silent; a `resumeAudio` before that takes the pause back, and
   * neither event is emitted.
   *
   * @example
   * const { paused } = await session.pauseAudio({ trackId: 1 })
   */
  pauseAudio(target?: Target): Promise<{ paused: string[] }>

  /**
   * Resumes the target, with a rise over 5 ms. Returns the `requestId`s that were paused before; to resume nothing is no error.
   *
   * @example
   * await session.pauseAudio({ trackId: 1 })
   * const { resumed } = await session.resumeAudio({ trackId: 1 })
   */
  resumeAudio(target?: Target): Promise<{ resumed: string[] }>

  /**
   * Moves the target to another place in its source, exact to the sample. What sounds goes on until that place is loaded,
   * then falls silent within 5 ms and rises there; `sought` is emitted with the first sample of it. What loads, waits or stands
   * still (`paused` was emitted) goes on there: nothing of the old place is heard, also if it is resumed before the new place is
   * loaded. Beyond the end (or that of `durationMs`) the present pass of a loop is over, and the last pass completes. A second
   * seek replaces one that is under way. What fades out is not sought. A place before `startMs` is allowed.
   * Returns the `requestId`s that were sought; to seek nothing is no error.
   * Rejects with `ERR_NOT_SEEKABLE`, and nothing changes, if one of the target's playbacks is a stream, or a download whose length
   * the server did not announce and which is not complete yet.
   *
   * @example
   * await session.seekAudio({ requestId: 'audiobook', positionMs: 90_000 })
   */
  seekAudio(request: SeekRequest): Promise<{ sought: string[] }>

  /**
   * Sets a mark behind everything that was asked for so far, or what of it is named: a request, a track or a group. It is reached when all
   * of that has ended, however it did, the end of a fade included: the event `mark` is emitted just behind the last of their terminal
   * events, then the promise resolves; at once if none of it is live. What is requested later is not waited for. Several marks may have
   * one name; each is reached once, also by `close`. A stream counts as a whole: {@link SpeakerStream.mark} is for what was written to it
   * so far. `record` does not write marks.
   * Rejects with `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`. Nobody has to await it.
   * @param name a non-empty string of well-formed Unicode
   *
   * @example
   * for (const sentence of turn) session.playAudio({ audio: sentence, overlap: 'queue', stopOther: false, group: 'turn 1' })
   * await session.mark('said', { group: 'turn 1' })
   */
  mark(name: string, behind?: Target): Promise<ReachedMark>

  /**
   * Changes the `volume` of the target, in a straight line from its present one. What loads, waits or is paused has the new
   * volume when it sounds; what fades out follows both. Returns the `requestId`s that were changed; to change nothing is no
   * error.
   *
   * @example
   * await session.setVolume({ requestId: 'music', volume: 0.2, fadeMs: 500 })
   */
  setVolume(request: VolumeRequest): Promise<{ changed: string[] }>

  /**
   * Mutes a track, or lifts its mute; its volume stays.
   *
   * In a room that is the mute of the published track, also that of a moderator: whoever sets it last wins. Resolves once that is handed
   * to the output; `muted` and `unmuted` tell when the room has it, and `onMute` says what becomes of what plays there. Before the room
   * is joined, and before the track is published, it is remembered: the track is published muted. A mute of this call is kept in every
   * room that the session joins anew, until this call lifts it. It is no request to play, so `record` does not write it.
   *
   * For other outputs, where tracks are mixed, the track is silent in the mix within 5 ms, what plays on it goes on and counts as unheard
   * (`unheardMs`), and `muted` and `unmuted` are emitted at once, if anything changed. `record` writes it.
   * Rejects with `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.setMuted({ trackId: 1, muted: true })
   */
  setMuted(request: MuteRequest): Promise<void>

  /**
   * A track, whether or not anything plays on it: its volume, its mute, its counts and a tap of it. All of it is the session's, so two calls
   * give two objects that do the same.
   * @param trackId 0–65,535
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * await session.track(1).setVolume({ volume: 0.3, fadeMs: 500 }) // music that plays, and all that follows it
   */
  track(trackId: number): SpeakerTrack

  /**
   * Takes a track (0–65,535) out of the room: for one that is needed no more, as tracks otherwise stay until the session closes. What
   * plays, loads or is queued there is stopped as by `stopAudio` (reason `'unpublished'`), the last sound is sent, and `lingerMs` after
   * it, so that it is heard, the track leaves. Resolves when the room has it out, at once if it is not there; also when the room is lost
   * or the session closed meanwhile. It stays out, in every room that the session joins anew too and whatever `publish` says, until
   * something is to play on it: then it is published again, with the name, source and mute it had, and that waits for its subscriber as
   * `startWhen` says. What is requested right behind this call waits until the old track is out. No `unpublished` is emitted.
   * In a recording (`record`) it is a stop.
   * Rejects with `ERR_REFUSED` if the server does not answer within `connectTimeoutMs`; with `ERR_UNSUPPORTED_OPERATION` for other outputs
   * than `livekit`, `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.unpublish(3) // livekit only
   */
  unpublish(trackId: number): Promise<void>

  /**
   * Sets attributes of this participant, which others in the room see: LiveKit's agents tell what they do as `lk.agent.state`. Keys that
   * are not named stay; an empty string takes its key away. Resolves once the room lists them. Before the room is joined, they are
   * remembered and it resolves at once; whatever resolved is told to every room that is joined anew. The token needs the grant
   * `canUpdateOwnMetadata`. It is no request to play, so `record` does not write it.
   * Rejects with `ERR_REFUSED` if the room does not take it (the grant is missing, or it is more than the server's limit) or does not
   * answer within `connectTimeoutMs`, and the room lists what it did before; with `ERR_UNSUPPORTED_OPERATION` for other outputs than
   * `livekit`, `ERR_JOIN_FAILED` or `ERR_DISCONNECTED` with the room, `ERR_CLOSED`, `ERR_INTERNAL`, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.setAttributes({ 'lk.agent.state': 'speaking' })
   */
  setAttributes(attributes: Record<string, string>): Promise<void>

  /**
   * Sets the metadata of this participant, a text that is not empty; otherwise as {@link setAttributes}.
   *
   * @example
   * await session.setMetadata(JSON.stringify({ language: 'en' }))
   */
  setMetadata(metadata: string): Promise<void>

  /**
   * Sets the name of this participant, a text that is not empty; otherwise as {@link setAttributes}.
   *
   * @example
   * await session.setName('Announcements')
   */
  setName(name: string): Promise<void>

  /**
   * Sends data to all others in the room, or to those of the identities `to`. A string is sent as UTF-8. It joins the room if it is not
   * joined. Resolves once the packet is handed to the transport, which sends a reliable one again until the server confirms it, also when the
   * connection is resumed; nobody tells who received it. What waits until the room is reached, or until the transport has room, goes out in
   * order, and into the next room if one is joined anew; what was handed over to a room that is lost and was not confirmed is lost too.
   * `close` waits up to `lingerMs` for what was handed over to be confirmed, and `close({ drain: true })` for what waits. It is no
   * request to play, so `record` does not write it.
   * Rejects with `ERR_INVALID_ARGUMENT`, also for more than 15 KiB, LiveKit's limit for a packet; with `ERR_REFUSED` if the token
   * lacks the grant `canPublishData`, or the server opens no data channel within `connectTimeoutMs`; with `ERR_QUEUE_FULL` if 1 MiB waits
   * already; with `ERR_UNSUPPORTED_OPERATION` for other outputs than `livekit`, `ERR_JOIN_FAILED` or `ERR_DISCONNECTED` with the room,
   * `ERR_CLOSED`, `ERR_INTERNAL`.
   *
   * @example
   * await session.sendData(JSON.stringify({ state: 'ready' }), { topic: 'state', to: ['alice'] })
   */
  sendData(payload: Uint8Array | string, options?: DataOptions): Promise<void>

  /**
   * Sends a text of up to 512 KiB, as LiveKit's text streams do: in parts, reliably and in order. Resolves once the last part is handed to the
   * transport. A text that was sent in part when the room was lost is sent whole into the next one; otherwise as {@link sendData}.
   *
   * @example
   * await session.sendText('What was said, as text', { topic: 'lk.chat' })
   */
  sendText(text: string, options?: TextOptions): Promise<void>

  /**
   * Calls a method of another participant, as LiveKit's clients do, and resolves with its answer. It joins the room if it is not joined. Rejects
   * with `ERR_RPC`, whose `rpcCode` is LiveKit's: 1400 there is no such method, 1500 it failed, 1501 nobody has taken the call within
   * 7 s, 1502 no answer within `timeoutMs`, 1503 the participant has left, 1504 the answer has more than 15 KiB, or one of the method's
   * own; with `ERR_DISCONNECTED` or `ERR_CLOSED` if the room is lost meanwhile; otherwise as {@link sendData}.
   *
   * @example
   * const answer = await session.performRpc({ to: 'alice', method: 'location', payload: '{}', timeoutMs: 5000 })
   */
  performRpc(request: RpcRequest): Promise<string>

  /**
   * Has a method of this participant be called by others in the room: `handler` returns the answer, of up to 15 KiB. What it throws is told
   * to the caller if it has an integer `rpcCode`, with its `message` (256 bytes) and `rpcData` (15 KiB); anything else is a warning of the
   * process, and 1500 to the caller. One of the same name takes its place. Throws `ERR_INVALID_ARGUMENT`, and `ERR_UNSUPPORTED_OPERATION`
   * for other outputs than `livekit`.
   *
   * @example
   * session.registerRpc('pause', async ({ identity }) => {
   *   const { paused } = await session.pauseAudio()
   *   return JSON.stringify({ identity, paused })
   * })
   */
  registerRpc(method: string, handler: (call: RpcCall) => string | Promise<string>): void

  /**
   * Takes a method away; whoever calls it is told that there is none. To take away none is no error.
   *
   * @example
   * session.unregisterRpc('pause')
   */
  unregisterRpc(method: string): void

  /** This participant as the room lists it; null while no room is joined, and for other outputs than `livekit`. */
  readonly localParticipant: Participant | null

  /**
   * The others in the room, by identity. Empty while no room is joined, and for other outputs than `livekit`; while the room is won back,
   * as it was last. Those who were there when the room was joined are told by no event; `participantJoined`, `participantChanged` and
   * `participantLeft` tell what changes. Hidden participants are not listed, and some servers list who only listens up to 3 s late.
   *
   * @example
   * const agents = session.participants().filter(({ kind }) => kind === 'agent')
   */
  participants(): Participant[]

  /** How the output is connected now. Events that led to it may follow, as each waits for its turn. */
  readonly connection: ConnectionState

  /**
   * Every live playback: what plays or loads, in order of arrival; then what is queued, track by track in order of its turn.
   *
   * @example
   * for (const { requestId, state, positionMs } of session.playbacks()) console.log(requestId, state, positionMs)
   */
  playbacks(): PlaybackInfo[]

  /**
   * Counts since the session began.
   *
   * @example
   * const { playing, queued, lateFrames } = session.stats()
   */
  stats(): SessionStats

  /**
   * Moves a manual clock. Nothing sleeps: resolves when that time has been mixed and handed to the output, after the
   * events in it. A source that is still loading holds the clock until it can play or fails, so the same calls give
   * the same samples; a {@link SpeakerStream} does not, once all that was written to it is decoded.
   *
   * Await it before the next call. A call made while it runs takes effect at once, at the border of a frame that cannot be
   * told beforehand. After `advance(907)` has resolved, the next playback starts at sample 907 × 48 exactly.
   *
   * Rejects with `ERR_UNSUPPORTED_OPERATION` on a realtime clock, `ERR_OUTPUT` if the output can't be opened or written, `ERR_CLOSED`
   * if the session is closed or `close` is called before the time has passed, `ERR_INTERNAL` if the session breaks. It rejects
   * with `ERR_OUTPUT` too, and nothing has moved, if a `memory` or `wav` output holds less (see {@link MemoryOutput} and
   * {@link WavOutput}).
   * @param ms 0 to 86,400,000 (a day)
   *
   * @example
   * const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
   * const chime = session.playAudio({ audioUrl: 'chime.wav' })
   * await session.advance(2000) // at once
   * const { outcome } = await chime
   */
  advance(ms: number): Promise<void>

  /**
   * What the `memory` output holds so far: a copy.
   * @throws {SpeakerError} `ERR_UNSUPPORTED_OPERATION` for other outputs, `ERR_OUTPUT` if there is no memory for the copy
   *
   * @example
   * const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
   * session.playAudio({ audioUrl: 'chime.wav' })
   * await session.advance(100)
   * const { samples, channels } = session.recording() // 4800 samples
   */
  recording(): Recording

  /**
   * Returns a Readable of everything that the output takes from now on: all tracks, after the limiter; or of one track (`trackId`) or playback (`requestId`). For
   * echo cancellation, level meters and recording beside the output. Can be called before `connect`, and any number may exist at once.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_CLOSED`, `ERR_INTERNAL`
   *
   * @example
   * for await (const { frame, atMs } of session.tap({ sampleRate: 16000, channels: 1, frameMs: 10 })) recognizer.write(frame)
   */
  tap(options?: TapOptions): SpeakerTap

  /**
   * Listens to somebody in the room: returns a Readable of what they say from now on, and a source that `playAudio` plays as it is
   * said, in this session or others. Can be called before `connect`, and before they are there; it goes on when they publish their track
   * anew, when they leave and come back, and when the room is joined anew. Only a track that is listened to is subscribed to.
   *
   * The token needs the grant `canSubscribe`: without it the voice fails (`error`) with `ERR_REFUSED`, as it does if the server can't send the
   * track. `destroy` ends it, and so does `close` of the session, with `end` behind the last frame.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_UNSUPPORTED_OPERATION` for other outputs than `livekit`, `ERR_CLOSED`, `ERR_INTERNAL`
   *
   * @example
   * const voice = session.listen({ identity: 'alice', sampleRate: 16000 })
   * for await (const { frame, atMs } of voice) recognizer.write(frame)
   */
  listen(options: ListenOptions): SpeakerVoice

  /**
   * Stops everything (reason `'closed'`), closes the output, and ends the session. On a realtime clock what sounds is
   * faded first; on a manual clock, where no time is left, it ends at the sample it has reached. A `connect` or `advance` that
   * is under way rejects with `ERR_CLOSED`. A room is told that the participant leaves; that takes at most 2 s. A second call
   * settles too.
   * That it resolves is the proof that a `wav` output's file is whole and in its place: it waits for the disk as long as that moves.
   * Rejects with `ERR_OUTPUT` if the file can't be finished, or is not put in its place (see {@link WavOutput}), with `ERR_RECORD` if
   * the recording can't be finished.
   *
   * With `drain: true` nothing is stopped yet. What was accepted goes on to its end, also what loads or is queued; streams that live
   * can be written to; `stopAudio`, `interrupt`, `pauseAudio`, `resumeAudio`, `seekAudio`, `setVolume`, `moveAudio`, `setMuted`, `mark`, `unpublish`
   * and those of {@link track} but `tap` work as before. `playAudio`, `createStream`, `connect`, `advance`, `tap` and `listen` are refused with `ERR_CLOSED`. When nothing lives any
   * more, at once if nothing does, the session is closed as by `close()`; after `withinMs` what is left (what is paused, loops for
   * ever, or is a stream that nobody ends) is stopped with reason `'closed'`. `close()` ends a drain at once, and of two drains the one
   * that ends first holds; every such call settles when the session is closed. A `connect` that is under way goes on if something
   * is to be played.
   *
   * On a manual clock a drain moves the clock, as fast as sources allow, to the end of the last playback and of an `advance` that is
   * under way. As in `advance` it waits for sources, and not for who writes a stream: write and end it before. `withinMs` is time of
   * the session there, and ends where the recording of a `memory` or `wav` output is full.
   *
   * @example
   * await session.close({ drain: true, withinMs: 8000 }) // what was accepted is heard to its end
   */
  close(options?: CloseOptions): Promise<void>

  /**
   * `await using session = …` closes it.
   *
   * @example
   * await using session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
   * await session.advance(100)
   */
  [Symbol.asyncDispose](): Promise<void>
}

export interface SessionOptions {
  /** Where the sound goes. */
  output: WavOutput | PcmOutput | MemoryOutput | NoOutput | LiveKitOutput
  /**
   * What `stopOther: false` does; default `'mix'`. One rule for all tracks, or a rule by track: `{ default: 'mix', 2: 'queue' }`.
   * A request's own `overlap` stands above it.
   */
  overlap?: Overlap | TrackOverlap | undefined
  /**
   * What happens if the `requestId` of a request is live, that is, accepted and not ended or stopped yet; default `'fail'`.
   * - `fail`: the request is refused with `ERR_DUPLICATE_REQUEST`.
   * - `join`: `playAudio` changes nothing and settles as the first call does; `createStream` is refused as with `fail`.
   * - `replace`: the live playback is stopped (reason `'replaced'`, 5 ms fade), and the new one takes its `requestId`. It is
   *   stopped even if the new one is then over a limit.
   */
  onDuplicate?: 'fail' | 'join' | 'replace' | undefined
  /**
   * Playbacks that may load or play at once, paused ones included; 1–1000, default 10. One more place is kept for a
   * {@link Role} `'system'`. What fades out takes no place, but no more than `maxConcurrent` playbacks fade at once: beyond
   * that the one that started first is cut to a fade of 5 ms.
   */
  maxConcurrent?: number | undefined
  /** Playbacks that may be queued, over all tracks; 0–100,000, default 100. */
  maxQueued?: number | undefined
  /**
   * The longest a playback may wait for its turn, in ms; 0–86,400,000, default 0: for ever. Then it fails with
   * `ERR_QUEUE_TIMEOUT`. Counted in the session's time; on a realtime clock in silence too. The wait stands still while
   * everything that holds the track is paused, and while the waiting playback itself is.
   */
  queueTimeoutMs?: number | undefined
  /**
   * How long one playback crosses over to the next, in ms; 0–10,000, default 0. It applies between playbacks of one track
   * that queue (both have `overlap: 'queue'`) and to what a playback with `overlap: 'replace'` replaces. `stopOther: true` and
   * `stopAudio` stay immediate. Of equal power, and at most half of either playback, as far as its length is known as it
   * begins. In a queue the next one begins that much before the end of the present one, or as soon as it has loaded; the end
   * of a stream is not known ahead, so what follows it begins after it. On `replace` the old one goes on until the new one
   * begins, and ends all the same if that never does. A `fadeInMs` that is longer wins. Each playback with overlap `queue` or
   * `replace` then holds 0.4 MB more per second of crossfade and channel.
   */
  crossfadeMs?: number | undefined
  /** The longest a playback may sound, in ms; 1–86,400,000, default 300,000. Then it fails with `ERR_MAX_DURATION`. */
  maxDurationMs?: number | undefined
  /** Lowers the volume of lower roles while a higher one plays; off by default. See {@link Role}. */
  duck?: DuckOptions | undefined
  /** Linear gain on every playback; 0–16, default 1. */
  gain?: number | undefined
  /** Brings every source to one loudness; off by default. See docs/loudness.md. */
  loudness?: LoudnessOptions | false | undefined
  /**
   * Time between a playback's `progress` events, in ms of its sound; 0–86,400,000, default 1000, 0 for none. Every interval is
   * told, also several within a frame.
   */
  progressIntervalMs?: number | undefined
  /**
   * How long a server may send nothing, before its answer (its look-up and redirects included) and within it, in ms;
   * 1–86,400,000, default 10,000. Then the playback fails with `ERR_FETCH_TIMEOUT`; what came is played first. In wall time on a
   * manual clock too. Time in which the process is halted does not count.
   */
  fetchTimeoutMs?: number | undefined
  /**
   * How little a server may send, in bytes per second, averaged over each `fetchTimeoutMs` from the first byte of the body on;
   * 0–1,000,000, default 100, 0 for no least speed. The slowest speech and radio have 700 or more. Then the playback fails with
   * `ERR_FETCH_TIMEOUT`; what came is played first. A body is read as fast as it comes, also while its playback is paused or
   * queued, so only the server and the way to it count.
   */
  minFetchBytesPerSecond?: number | undefined
  /**
   * The longest a source may take from when it is opened to its first sound (40 ms of it, or all of a shorter one), in ms;
   * 0–86,400,000, default 30,000, 0 for ever. Then the playback fails with `ERR_START_TIMEOUT`; what came is played first. With
   * `startMs` the first sound is that of `startMs`; an M4A with its index at the end has to come whole. A source is opened when its
   * playback has its turn, or is the first in line; one that is loaded may be paused or queued for longer. In wall time on a manual
   * clock too. Streams are not concerned: their writer decides.
   */
  startTimeoutMs?: number | undefined
  /**
   * How long a stream that has started may be silent because its writer is behind, in ms; 0–86,400,000, default 0: for ever.
   * Then it fails with `ERR_STALLED`.
   */
  stallTimeoutMs?: number | undefined
  /**
   * Which servers and files `audioUrl` may name; that of the process (`configure`, `SPEAKER_SESSION_NETWORK`) unless it is given. See
   * {@link Network}.
   */
  network?: Network | undefined
  /**
   * A file to which every accepted request is written, for `speaker-session replay`: its time, the audio that came from memory
   * or was written to streams, and these options. A recording that is there is replaced; another file or a pipe is refused. A new
   * file is readable by its owner only. Of http(s) URLs the user and the values of the query, and the values of `headers`, are
   * written as `<masked>`, unless `secrets` is true. The time of a request is the session's time from which it is in force: on a
   * realtime clock counted from when the output was first opened, silence included. If the file can't be written, one `error` event
   * with `ERR_RECORD` is emitted, and everything else goes on.
   */
  record?: string | URL | { path: string | URL; /** Default false. */ secrets?: boolean | undefined } | undefined
  /**
   * Takes the lines of the log that are about this session, instead of standard error and of those who listen to `log`: pino, one of its
   * children, `console`, or anything else with these methods. What is said there holds of it too; see {@link SpeakerSession.on}.
   */
  logger?: Logger | undefined
}

/** Is called as pino is: with what is known of a line, and its text. */
export interface Logger {
  /** `debug` takes these lines if it is missing. */
  trace?(known: LogFields, message: string): unknown
  debug(known: LogFields, message: string): unknown
  info(known: LogFields, message: string): unknown
  warn(known: LogFields, message: string): unknown
  error(known: LogFields, message: string): unknown
}

/** What is known of a line beside its text. There are no secrets in it. */
export interface LogFields {
  /** The part of this package, or of a library below, that says it: `speaker_session::source::spool`. */
  target: string
  /** The session's {@link SpeakerSession.id}; missing for what is of no session, such as lines of shared connections. */
  session?: number
  requestId?: string
  /** Whatever else the line has to say. */
  [field: string]: unknown
}

/** A line of the log. */
export interface LogLine extends LogFields {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  message: string
  /** When it was logged: milliseconds since 1970. */
  time: number
}

/**
 * What a request with `stopOther: false` does:
 * - `mix`: plays at once, together with whatever plays, on the same track too;
 * - `queue`: waits its turn on its own track, behind those of the same `priority` or more; tracks run in parallel; the next one
 *   follows without a gap;
 * - `replace`: takes the place of what plays, loads or waits on the same track; other tracks go on.
 */
export type Overlap = 'mix' | 'queue' | 'replace'

/** A rule by `trackId` (0–65,535), and one for all other tracks. */
export interface TrackOverlap {
  /** Default `'mix'`. */
  default?: Overlap | undefined
  [trackId: number]: Overlap
}

/**
 * What a playback is to its listener, from high to low. While a playback of one role plays, all lower roles are lowered, on all
 * tracks (see {@link DuckOptions}), by the same amount however many play. A playback that starts meanwhile starts at that level.
 * A playback lowers the others while it plays, at volume 0 too, but not while it is queued, loading or paused.
 * One `system` playback has a place of its own above `maxConcurrent`.
 */
export type Role = 'system' | 'voice' | 'media' | 'ambient'

/** How loud sources are to be. What of a source it is known from is in docs/loudness.md: its tags, or a measurement on the way. */
export interface LoudnessOptions {
  /** In LUFS, as EBU R 128 measures it; −50 to −5, default −16. */
  targetLufs?: number | undefined
  /** By how many dB a source is made louder at most; 0–40, default 12. */
  maxGainDb?: number | undefined
}

/** Falls and rises are straight lines of a constant slope: one that is turned back midway needs less time. */
export interface DuckOptions {
  /** By how much, in dB; −60 to 0, default −12. */
  db?: number | undefined
  /** For the whole fall, in ms; 5–60,000, default 50. It begins with the first sample of the higher role. */
  attackMs?: number | undefined
  /** For the whole rise, in ms; 5–60,000, default 300. It begins with the sample after the higher role's last. */
  releaseMs?: number | undefined
}

/**
 * `realtime`: 20 ms of sound every 20 ms. A source that is late is silence, counted in `stats().underruns`.
 * `manual`: time stands still until {@link SpeakerSession.advance}.
 */
export type Clock = 'realtime' | 'manual'

interface OutputBase {
  /** Default `'realtime'`. */
  clock?: Clock | undefined
  /** 1 (default) or 2. Other layouts are mixed down by ITU-R BS.775, as loud as ffmpeg and browsers do; mono is the mean of left and right. */
  channels?: 1 | 2 | undefined
}

/**
 * A WAV file at 48 kHz (at 8 kHz in a {@link SampleFormat} of telephone lines) holding all tracks. It is valid at any time, even if the
 * process dies. Silence in which nothing plays takes no room where the file system has sparse files. It holds 4 GiB: 12.4 h of mono in 16 bits.
 *
 * A file that is there stays until `close`: the new one is written beside it as `<path>.part` (`.part2` and so on if that exists) and
 * takes its place and its permissions then. If the process dies or the disk is full, the old file stays and the new one is
 * left under that name, holding what came before. A file that could not be written once takes nothing more: `close` rejects.
 *
 * The disk is written by threads of its own, which get what was mixed every half second; nothing else waits for it. So `completed` and
 * `started` say that the output took the sample, not that it is on the disk: an error of the disk that is found later is an `error` event,
 * what plays then fails, and `close` rejects. On the manual clock the mix waits for the disk: when `advance` has resolved, all but the
 * last half second is written. In real time 15 s of sound wait at most; what a slow disk has no room for fails with `ERR_OUTPUT`, and
 * its time is silent in the file. A disk that takes nothing for 10 s is an `error` event with `ERR_OUTPUT` too: what plays, `connect`,
 * `advance` or `close` fails, and so does what is played next, until the disk answers; then the file goes on at the right place.
 *
 * No source of the session may be that file, under whatever name: its playback fails with `ERR_FILE`. The file is not replaced
 * then: if something else was played meanwhile, `close` rejects with `ERR_OUTPUT` and says where that is.
 */
export interface WavOutput extends OutputBase {
  type: 'wav'
  /**
   * A path, or a `file:` URL. Links are followed. A device (`/dev/null`) and the empty file behind a descriptor (`/dev/stdout`) are written where they are. A
   * pipe is refused.
   */
  path: string | URL
  /**
   * Whether a file in which nothing sounded is kept; default `true`. With `false` none is made, and one that is there stays as it
   * is.
   */
  keepUnheard?: boolean | undefined
  /** Default `'s16'`. In `'mulaw'` and `'alaw'` the file is one at 8 kHz, and silence takes its room. */
  format?: SampleFormat | undefined
  /**
   * Adds noise of ±1 step (TPDF) before samples are rounded to 16 bits: quiet sound is then not distorted, at the price of a
   * hiss near −93 dBFS. Needs `format: 's16'`; default `false`, so that a lone 16-bit clip passes bit for bit. The same calls on
   * a manual clock give the same noise; silence in which nothing plays stays zero.
   */
  dither?: boolean | undefined
}

/** Frames for a callback, all tracks mixed. */
export interface PcmOutput extends OutputBase {
  type: 'pcm'
  /** In Hz, 8000–192,000; default 48,000, with the formats `'mulaw'` and `'alaw'` 8000, which they need. */
  sampleRate?: number | undefined
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat | undefined
  /** As for {@link WavOutput}. */
  dither?: boolean | undefined
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number | undefined
  /**
   * Whether silence has frames too; default `false`. With `true` one frame follows the other from the moment that the output is opened
   * (`connect`, or the first request) until the session is closed, also while everything is paused: for telephone lines and voice channels
   * that expect a frame every 20 ms. The session's time goes on in silence then, and it mixes 50 times a second. Only time that was lost
   * because the process was halted (`stats().lostFrames`) is left out, since its frames would all come late: `atMs` jumps over it.
   */
  continuous?: boolean | undefined
  /**
   * Called for every frame while something sounds, and in silence only if it is `continuous`; else the last frame before silence is
   * filled up. On a realtime clock at most 64 frames wait for it; more are dropped and counted in `stats().droppedFrames`.
   */
  onFrame: (frame: Buffer, info: FrameInfo) => void
}

/**
 * Keeps everything as 32-bit floats at 48 kHz for {@link SpeakerSession.recording}: for test suites. It holds 4 GiB, which is 6.2 h of
 * mono; silence in which nothing plays counts, but takes no memory.
 */
export interface MemoryOutput extends OutputBase {
  type: 'memory'
}

/**
 * Takes everything and keeps nothing, for whoever wants only the events: a replay of a day, or a test of what becomes of requests. Taps
 * hear it as any other. On the manual clock time in which nothing plays passes at once, and there is no end to what it takes.
 */
export interface NoOutput extends OutputBase {
  type: 'none'
}

/**
 * A LiveKit room, joined as a participant that only publishes: the tracks `speaker` (0), `app_audio` (1), `tts` (2) and those in
 * `trackNames` or `trackSources` when the room is joined, any other (`track_<n>`) when something first plays on it (see `publish`). A
 * track stays published until the session closes, or {@link SpeakerSession.unpublish} takes it out. A playback waits until its track is published, and as a rule until somebody listens to it (see
 * `startWhen`): all of it is sent, and `started` is emitted then. In silence hardly anything is sent: one packet about every 2 s.
 * `close` sends the end of what sounded and keeps the connection for `lingerMs`, so that the last words are heard.
 *
 * A track may be muted, by a moderator or by {@link SpeakerSession.setMuted}; `onMute` says what becomes of what plays on it. If the
 * server takes a track out of the room because the grant to publish is revoked, `unpublished` is emitted, what sounds on it follows
 * `onReconnect`, and what has not begun, or is requested meanwhile, fails with `ERR_PUBLISH_FAILED`. When the grant returns the track
 * is published again (`republished`). A track that is refused does not touch the others.
 *
 * A broken connection is restored, between `reconnecting` and `reconnected` events. If only the signalling is lost, sound goes on
 * without a gap. If sound does not arrive any more, another network path is looked for, for 15 s, in which the room keeps the
 * tracks. After that, or if the server has forgotten the session, the room is joined and the tracks are published anew. There are up to
 * twenty attempts (about a minute; without end while sound arrives), further and further apart and spread over the sessions of the process:
 * at most a hundred a second go to one server. `onReconnect` sets what the mix does while nothing arrives. If all fails, if the server said
 * not to come again, if it refuses every token, or if another session has joined with the same identity meanwhile (the newer one stays:
 * `disconnected` with the reason `duplicateIdentity`), every playback fails with `ERR_DISCONNECTED`, and the next request joins again.
 */
export interface LiveKitOutput {
  type: 'livekit'
  /** 1 (default) or 2. */
  channels?: 1 | 2 | undefined
  /** ws(s) or http(s). */
  url: string
  /**
   * An access token that may join and publish, or a function that returns one and is called each time the room is joined. If it gives
   * the same one as before, or none, while the room is won back, the newer one that the server sent is used.
   */
  token: string | (() => string | Promise<string>)
  /**
   * `connect` (default): tracks 0, 1, 2 and those in `trackNames` and `trackSources` are published when the room is joined, and `connect` resolves when
   * they are, so that others can subscribe before the first sound. `lazy`: a track is published when something first plays on it. A list:
   * these tracks (0–65,535) when the room is joined, any other when something first plays on it.
   */
  publish?: 'lazy' | 'connect' | number[] | undefined
  /**
   * When a published track takes its first samples. `subscribed` (default): when somebody subscribes to it (event `subscribed`), after
   * `subscribeTimeoutMs`, or at once if nobody else is in the room: so the first words are heard whole. `published`: at once.
   */
  startWhen?: 'published' | 'subscribed' | undefined
  /** How long a published track waits for its first subscriber, in ms; 0–86,400,000, default 2000. */
  subscribeTimeoutMs?: number | undefined
  /**
   * What becomes of what plays on a track while that is muted. `continue` (default): time passes, and `unheardMs` tells how much was
   * not heard. `pause`: it falls silent within 5 ms and stands still as by `pauseAudio`, with the events `paused` and `resumed`; what
   * would start there waits, and so does its queue. Such a pause and one of the user's own hold independently.
   */
  onMute?: 'continue' | 'pause' | undefined
  /**
   * How long `close` keeps the connection after the last sound was sent, in ms; 0–10,000, default 500: about as long as the buffer of a
   * listener. If nothing was sent lately it does not wait.
   */
  lingerMs?: number | undefined
  /** Other names than those above, by `trackId`. */
  trackNames?: Record<number, string> | undefined
  /**
   * The source that each track is announced with, by `trackId`; default `microphone`. Listeners may show and mix each source in its own
   * way, and a token may allow some alone (`canPublishSources`, where `screenShareAudio` is called `screen_share_audio`).
   */
  trackSources?: Record<number, 'microphone' | 'screenShareAudio' | 'unknown'> | undefined
  /**
   * Of each track, in bit/s; 6000–510,000, default 48,000, with two `channels` 64,000. More costs little more time to encode. Opus codes
   * sound at every bitrate as it codes music (CELT), so speech below 24,000 sounds coarse.
   */
  bitrate?: number | undefined
  /** Of the Opus encoder, 0–10; default 5. */
  complexity?: number | undefined
  /**
   * Sends nothing in pauses inside a sound either (Opus DTX); default false. A pause is silence, and from `complexity` 7 on what Opus
   * takes for noise too. Between sounds nothing is sent in any case.
   */
  dtx?: boolean | undefined
  /**
   * Each packet repeats the one before it (RFC 2198), and the one before that while the server reports that 3 % or more are lost: so
   * as many losses in a row are not heard, and twice or three times the bit rate is sent. Default true, with two `channels` false, as
   * LiveKit's own clients have it; servers and listeners that can't read it get plain Opus. Opus's in-band FEC is not offered: it would
   * code music as speech too, and take three times as long.
   */
  red?: boolean | undefined
  /**
   * A clip that begins in silence and sounds alone on its track is encoded once for all sessions of the process that play it at the
   * same volume and encode alike; default true. What a listener hears is the same: the packets are those that an encoder of its own
   * would have made. What begins over the clip, a fade, a duck or a change of volume is encoded for the session itself, from that
   * frame on until the track is silent again. False for a track whose packets should depend on nothing else in the process.
   */
  encodeOnce?: boolean | undefined
  /** The ways that media may take to the server; default `'all'`. See {@link IceTransport}. */
  iceTransport?: IceTransport | undefined
  /**
   * The longest that joining the room (with the answer of `token` and the look-up of the server's name), or publishing a track,
   * may take, in ms; 1–86,400,000, default 10,000. Then it fails with `ERR_JOIN_FAILED`, whose message lists what was tried, or
   * what was to play on the track with `ERR_PUBLISH_FAILED`.
   */
  connectTimeoutMs?: number | undefined
  /**
   * What the mix does while nothing arrives in the room. `pause` (default): the session's time stands still, and what plays goes
   * on where it was. `continue`: time passes unheard (`unheardMs`), and its frames are counted in `stats().droppedFrames`. `drop`:
   * every live playback fails with `ERR_DISCONNECTED`. Requests made meanwhile wait for the room. What sounds on a single track that
   * the server has taken out of the room does the same: it stands still, goes on unheard, or fails with `ERR_PUBLISH_FAILED`.
   */
  onReconnect?: 'pause' | 'continue' | 'drop' | undefined
}

/** Somebody in a LiveKit room. */
export interface Participant {
  /** Unique in the room. */
  identity: string
  /** The server's id of this stay in the room: who leaves and comes back has another. */
  sid: string
  name: string
  metadata: string
  attributes: Record<string, string>
  /** `standard` is a person's client; `sip` a caller by telephone. */
  kind: 'standard' | 'agent' | 'sip' | 'ingress' | 'egress' | 'connector' | 'bridge'
  /** What they publish, by name. */
  tracks: ParticipantTrack[]
}

export interface ParticipantTrack {
  /** The server's id of the track. */
  sid: string
  name: string
  kind: 'audio' | 'video'
  source: 'unknown' | 'camera' | 'microphone' | 'screenShare' | 'screenShareAudio'
  muted: boolean
}

/**
 * - `all`: UDP; while that finds no path, one more route is tried each second: TCP to the server, if it offers that, then the
 *   TURN servers that it names, in their order;
 * - `tcp`: only TCP to the server;
 * - `relay`: only the TURN servers.
 *
 * TURN is used over UDP, TCP or TLS. For TLS, as for rooms over wss and sources over https, Mozilla's root certificates are
 * trusted, and those in the file that `NODE_EXTRA_CA_CERTS` names.
 */
export type IceTransport = 'all' | 'tcp' | 'relay'

/**
 * The output for a room of the server named by `LIVEKIT_URL`, with tokens made by `livekit-server-sdk` (to be installed
 * beside this package) from `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`. `name`, `kind` and `attributes` are how the room lists the participant
 * ({@link Participant}); a `kind` other than `standard` says that it is no person: agents take no `agent` for their user.
 * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if one of the three is missing; `ERR_UNSUPPORTED_OPERATION` without that package
 *
 * @example
 * const output = liveKitFromEnv({ room: 'lobby', identity: 'announcements', kind: 'agent' })
 */
export function liveKitFromEnv(
  options: {
    room: string
    identity: string
    name?: string | undefined
    kind?: Participant['kind'] | undefined
    attributes?: Record<string, string> | undefined
  } & Omit<LiveKitOutput, 'type' | 'url' | 'token'>
): LiveKitOutput

/**
 * - `s16`, `f32`: integers of 16 bits and floats of 32
 * - `mulaw`, `alaw`: a byte a sample at 8 kHz, as telephone lines have them (ITU-T G.711): `mulaw` in North America and Japan, and for Twilio;
 *   `alaw` elsewhere
 */
export type SampleFormat = 's16' | 'f32' | 'mulaw' | 'alaw'

export interface FrameInfo {
  /** The session's time of the frame's first sample. It jumps over silence. */
  atMs: number
}

/**
 * What `playAudio` returns: the promise of how the playback ends, with its `requestId`, and `started`.
 *
 * @example
 * const playing = session.playAudio({ audioUrl: 'hello.mp3' })
 * if (await playing.started) lamp.on()
 * const { outcome } = await playing
 */
export interface Playing extends Promise<PlayResult> {
  /** The request's, or one that was made up; `undefined` if the request was refused, for there is no playback then. */
  readonly requestId: string | undefined
  /**
   * Resolves with `true` just after the event `started`: its first sample was handed to the output. With `false` if it ends without a
   * sample, or was refused. It never rejects.
   */
  readonly started: Promise<boolean>
}

export interface PlayRequest {
  /**
   * Unique among the live playbacks of the session (see `onDuplicate`); a non-empty string of well-formed Unicode. Default:
   * `playback-<n>`.
   */
  requestId?: string | undefined
  /**
   * A name that it shares with others, such as that of a turn of several sentences, so that they can be stopped, paused or turned down
   * together (`stopAudio({ group })`); a non-empty string of well-formed Unicode. Their events bear it.
   */
  group?: string | undefined
  /** Anything of the caller's own: each event of the playback bears it, as it is. It is not recorded (`record`). */
  context?: unknown | undefined
  /**
   * An http(s) URL, a `file:` URL, a `data:` URL or a path. Behind an http(s) URL may also be a radio station, an HLS stream or a list of addresses
   * (M3U, PLS; see docs/servers.md). Either this or `audio`.
   */
  audioUrl?: string | URL | undefined
  /**
   * A whole audio file in memory, or with `format` raw samples, which is copied (once for all playbacks that live with the same bytes); a
   * {@link SpeakerClip}; a {@link SpeakerVoice}; or a Readable, a web ReadableStream or another iterable of bytes, a Blob, or a Response of `fetch`, which is
   * read as its sound is played, and closed (`destroy`, `cancel` or `return`) as soon as the playback ends before it does, also
   * while a piece is awaited. A Response that is no success (`ok`) is refused with `ERR_HTTP_STATUS`. If it fails, or can't be read because it is locked or consumed, what came is played, and then the
   * playback fails with `ERR_STREAM`; if it fails with an AbortError, the playback is stopped at once (reason `'aborted'`). It
   * can't be looped. If the request is refused, it is left alone.
   */
  audio?: AudioBytes | SpeakerClip | SpeakerVoice | AudioBody | undefined
  /** The format of bytes; needed for raw samples only. */
  format?: StreamFormat | undefined
  /** As in {@link StreamRequest}. */
  sampleRate?: number | undefined
  /** As in {@link StreamRequest}. */
  channels?: 1 | 2 | undefined
  /** For a Readable or another iterable, in place of the session's, in ms; 0–86,400,000, 0 for ever. */
  stallTimeoutMs?: number | undefined
  /** For a Readable or another iterable; as in {@link StreamRequest}. */
  prebufferMs?: number | PrebufferBounds | undefined
  /** 0–1, default 1. 0 is silence that takes its time. */
  volume?: number | undefined
  /** Linear, on top of `volume`; 0–16, default 1. Peaks over full scale are limited (see docs/limits.md). */
  gain?: number | undefined
  /** In place of the session's; `false` leaves the source as it is. Refused for a voice. */
  loudness?: LoudnessOptions | false | undefined
  /** `true` (default): ends every playing, loading and queued playback on all tracks, then plays. `false`: see {@link Overlap}. */
  stopOther?: boolean | undefined
  /** For `stopOther: false`, in place of the session's rule for the track. */
  overlap?: Overlap | undefined
  /** 0 `speaker` (default), 1 `app_audio`, 2 `tts`, n `track_<n>`; up to 65,535. */
  trackId?: number | undefined
  /** Default `'media'`. */
  role?: Role | undefined
  /**
   * In a queue, a playback waits in front of those with a lower priority and behind those with the same; it never interrupts. An
   * integer, −1000 to 1000, default 0.
   */
  priority?: number | undefined
  /** In place of the session's, in ms; 0–86,400,000, 0 for ever. */
  queueTimeoutMs?: number | undefined
  /**
   * Where in the source it begins, in ms; 0–86,400,000, default 0. Exact to the sample: what is before it is decoded and dropped.
   */
  startMs?: number | undefined
  /**
   * How much of the source is played from there, in ms; 0–86,400,000, default: to its end. A cut inside the source fades over
   * 5 ms. A playback without a single sample is completed without `started`.
   */
  durationMs?: number | undefined
  /**
   * How often it is played in all, 1–1,000,000, or `true` for ever; default `false`, once. With `startMs` and `durationMs`
   * that section is repeated. There is neither a gap nor a fade at the seam; a source that is looped whole is resampled by one
   * filter across it, so it does not click. Nothing to repeat fails with `ERR_EMPTY_SOURCE`.
   */
  loop?: boolean | number | undefined
  /**
   * Rise from silence, in ms; 0–86,400,000, default 0: the source's own first sample is left as it is. A start at another place
   * (`startMs`, a seek) rises over 5 ms.
   */
  fadeInMs?: number | undefined
  /** Fall to silence before its end (in a loop, that of the last pass), in ms; 0–10,000, default 0. Not used by stops. */
  fadeOutMs?: number | undefined
  /**
   * When it is aborted, the playback is stopped as by `stopAudio` (reason `'aborted'`); if it is aborted already, the request is
   * refused with `ERR_ABORTED`. Listened to until the playback ends. The signal of a request that joins another does nothing.
   */
  signal?: AbortSignal | undefined
  /** For http(s): sent with the request to its server; behind redirects to others they are left out. Of the same name they are one, with commas. */
  headers?: AudioHeaders | undefined
  /** The media type, if the server names it wrongly. The content itself decides; this and the extension only help. */
  contentType?: string | undefined
}

/**
 * `pcm16` and `f32` are raw samples, little-endian and interleaved, where ±32,768 and ±1 are full scale; a sample may be split
 * between two writes. So are those of telephone lines: `mulaw` and `alaw` (G.711, a byte a sample at 8 kHz) and `g722` (64 kbit/s, a byte for two
 * samples at 16 kHz). The others are file formats.
 */
export type StreamFormat = 'pcm16' | 'f32' | 'mulaw' | 'alaw' | 'g722' | 'mp3' | 'ogg' | 'wav' | 'flac' | 'aac' | 'm4a' | 'webm'

export interface StreamRequest
  extends Pick<
    PlayRequest,
    | 'requestId' | 'group' | 'context' | 'volume' | 'gain' | 'loudness' | 'stopOther' | 'overlap' | 'trackId' | 'role' | 'priority' | 'queueTimeoutMs'
    | 'startMs' | 'durationMs' | 'fadeInMs' | 'fadeOutMs' | 'signal'
  > {
  /** The format of what is written; needed for raw samples only. In a file format the bytes themselves decide; this only helps. */
  format?: StreamFormat | undefined
  /** In Hz, 8000–192,000. Needed for `pcm16` and `f32`; of the formats of telephone lines it is known; refused for file formats. */
  sampleRate?: number | undefined
  /** Of raw samples, default 1, and 1 of `g722`; refused for file formats. */
  channels?: 1 | 2 | undefined
  /** In place of the session's, in ms; 0–86,400,000, 0 for ever. */
  stallTimeoutMs?: number | undefined
  /**
   * How much of the stream is gathered before it is heard, and before it goes on after a silence of its writer, in ms; 40–5,000, default 40.
   * With bounds it begins with `minMs`, and each silence of the writer adds as much as would have covered it, unless that would be more than
   * `maxMs`: then it was a rest, and nothing changes. What has ended is not waited for.
   */
  prebufferMs?: number | PrebufferBounds | undefined
}

/**
 * A playback whose bytes are written. It starts as soon as 40 ms of sound are there, or less if it is ended. While the writer is
 * behind it is silent (`stalled`), faded over 5 ms, and goes on in the same way.
 *
 * `write` and `end` take bytes in any array ({@link AudioBytes}), and text only with the encoding by which it holds bytes (`'base64'`, `'base64url'`,
 * `'hex'`, `'latin1'`); they throw `ERR_INVALID_ARGUMENT` for anything else, and a stream that is piped what is none fails. `write` calls back when
 * the bytes were taken: beside Node's own queue the stream holds a second of raw samples, or 256 KiB of a
 * file format, also while the playback waits for its turn. After `end` what was written is played, and `finish` is emitted when it
 * was. `destroy` stops the playback (reason `'destroyed'`), or with an AbortError (reason `'aborted'`); `destroy` with another error
 * fails it with `ERR_STREAM` after what was written.
 *
 * When the playback ends before that, the stream is destroyed with the error of the playback if it failed, and else with
 * `ERR_ENDED`, a {@link SpeakerError} that bears what was heard (after `destroy` it does not, for that is not known yet): it was
 * stopped, or it has completed (`durationMs`, the end of a file) and more might have been written. So `pipeline`, `stream.finished`,
 * `events.once` and the callbacks of writes reject or get that error; who begins to wait for `drain` with `events.once` when the
 * stream is closed gets it too, by another `error` event. Whoever waits for `drain` otherwise should listen for `close` as well. An
 * `error` event that nobody listens to does not end the process. If the playback completes after `end` was called, `finish` is
 * emitted, whatever is left over.
 *
 * A manual clock does not wait for the writer: what was written before `advance` is heard in it, silence follows.
 */
export interface SpeakerStream extends Writable {
  readonly requestId: string
  /** What {@link SpeakerSession.playAudio} returns. */
  readonly finished: Playing
  /**
   * Sets a mark behind what was written so far: with raw samples it is reached at the very sample, when all of that was heard. Also when the
   * stream is silent because nothing was written behind it (up to 32 ms of it are then held back by the resampler, for what follows), when
   * it is flushed, and when it ends. In a file format no sample can be told from a byte, so there it is reached with a flush or the end.
   * Otherwise as {@link SpeakerSession.mark}.
   *
   * @example
   * speech.write(sentence)
   * const { atMs } = await speech.mark('first sentence')
   */
  mark(name: string): Promise<ReachedMark>
  /**
   * Drops what was written and not heard yet, faded over 5 ms; resolves when that is done. What is written next, which may be at
   * once, begins with a new sample, or in a file format with a new file.
   *
   * @example
   * speech.write(sentence)
   * await speech.flush() // what the user does not want to hear any more
   */
  flush(): Promise<void>
  /**
   * How the stream is doing at this moment; `undefined` once its playback is over.
   *
   * @example
   * const ahead = speech.stats()?.bufferedMs ?? 0
   */
  stats(): StreamStats | undefined
}

export interface StreamStats {
  /** What is decoded and was not heard yet, in ms. What was written and is not decoded is not counted. */
  bufferedMs: number
  /** How much it gathers before it is heard or goes on, in ms: see {@link StreamRequest.prebufferMs}; 0 until its turn. */
  prebufferMs: number
  /** How often its writer was late. */
  underruns: number
}

/** Between how much and how much is gathered of a stream, in ms. */
export interface PrebufferBounds {
  /** At first, and again once half a minute was in time; 40–5,000, default 40. */
  minMs?: number | undefined
  /** `minMs`–5,000; default 500, or `minMs` if that is more. */
  maxMs?: number | undefined
}

/** What {@link SpeakerSession.track} returns. It can be used before anything plays there. */
export interface SpeakerTrack {
  readonly id: number
  /** As the room lists it; for other outputs what a room would by default: `speaker`, `app_audio`, `tts`, `track_<n>`. */
  readonly name: string
  /**
   * Changes the volume of the track, for what plays on it and for all that will: it multiplies with the playbacks' own. In a straight line
   * from the present level over `fadeMs` of the session's time, or at once if nothing of the track sounded in the sample before. It stays
   * when the room is lost and joined anew.
   * Rejects with `ERR_INVALID_ARGUMENT`, `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke.
   *
   * @example
   * await session.track(1).setVolume({ volume: 0.3, fadeMs: 500 })
   */
  setVolume(change: TrackVolume): Promise<void>
  /**
   * Brings the track to one side, for what plays on it and for all that will: the other channel is turned down in a straight line, and the sound of
   * neither goes to the other. In everything else like `setVolume`.
   * Rejects with `ERR_INVALID_ARGUMENT`, also if the output has one channel, `ERR_CLOSED`, `ERR_INTERNAL`.
   *
   * @example
   * const session = new SpeakerSession({ output: { type: 'memory', channels: 2 } })
   * await session.track(1).setPan({ pan: -0.5, fadeMs: 200 })
   */
  setPan(change: TrackPan): Promise<void>
  /**
   * The same as {@link SpeakerSession.setMuted} of this track.
   *
   * @example
   * await session.track(1).setMuted(true)
   */
  setMuted(muted: boolean): Promise<void>
  /**
   * What the track does at this moment, and counts since the session began.
   *
   * @example
   * const { playing, queued, bufferedMs } = session.track(1).stats()
   */
  stats(): TrackStats
  /**
   * The same as {@link SpeakerSession.tap} with this `trackId`.
   *
   * @example
   * const frames = session.track(1).tap({ format: 'f32' })
   * frames.on('data', ({ frame, atMs }) => console.log(atMs, frame.length))
   */
  tap(options?: Omit<TapOptions, 'trackId' | 'requestId'>): SpeakerTap
}

/** What is missing stays as it is; one of `volume` and `gain` is needed. */
export interface TrackVolume {
  /** 0–1; 1 until it is set. */
  volume?: number | undefined
  /** Linear, on top of `volume`; 0–4 (12 dB), 1 until it is set. Peaks over full scale are limited. */
  gain?: number | undefined
  /** How long the change takes, in ms; 0–86,400,000, default 5. */
  fadeMs?: number | undefined
}

export interface TrackPan {
  /** -1 is the left channel alone, 1 the right one; 0, both as they are, until it is set. */
  pan: number
  /** How long the change takes, in ms; 0–86,400,000, default 5. */
  fadeMs?: number | undefined
}

export interface TrackStats {
  /** Frames of 20 ms that had something of the track in them, at volume 0 too. */
  frames: number
  /** How often a source on it was not there in time (realtime clock). */
  underruns: number
  /** How much is decoded ahead of what plays, in ms: the least of all its playbacks; 0 if nothing plays. */
  bufferedMs: number
  /** Those that fade out included. */
  playing: number
  loading: number
  queued: number
  /** Not counted in the three above. */
  paused: number
}

export interface TapOptions {
  /**
   * Only this playback, which lives (`undefined` is refused): what it gives to the mix, behind its volume and its track's, and in front of the limiter. In real time it may have begun
   * when this is called. The tap ends when the playback is over. Not beside `trackId`.
   */
  requestId?: string
  /**
   * Only this track, 0–65,535; default: everything. In a room it is what is sent of the track. For other outputs it is what the track
   * gives to the mix, behind its volume and in front of the limiter: 32-bit floats may exceed ±1, 16 bits are clipped there.
   */
  trackId?: number
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat | undefined
  /** As for {@link WavOutput}. */
  dither?: boolean | undefined
  /** In Hz, 8000–192,000; default 48,000, or the 8000 that the formats of telephone lines need. */
  sampleRate?: number | undefined
  /** Default: the session's. Mono is the mean of left and right. */
  channels?: 1 | 2 | undefined
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number | undefined
}

export interface TapFrame extends FrameInfo {
  frame: Buffer
}

/**
 * A Readable in object mode of the frames that the output took. For a room it is the plain sum of the tracks, as a listener hears
 * them together: 32-bit floats may exceed ±1, 16 bits are clipped there. What is not sent is not in it: while a room is cut off,
 * or of a track that the server mutes.
 *
 * Silence produces no frames. Each frame has its time, so a reader that needs a continuous signal fills what lies between two
 * frames with zeros, and is right again after every loss. The last frame before silence is filled up with zeros. On a realtime
 * clock it is emitted at once, and sound that begins before its end comes after it: to keep every time exact, use a `frameMs` of
 * 10 or 20 there.
 *
 * 64 frames wait for the reader. On a realtime clock frames that find no room are lost. On a manual clock `advance` waits for the
 * reader while something that reads is attached (`for await`, `pipe`, a `data` listener), so do not await `advance` inside that
 * loop; while nothing is attached, frames are lost there too.
 *
 * `destroy` ends it, and so does `close` of the session, with `end` after the last frame. It does not keep Node alive.
 */
export interface SpeakerTap extends Readable {
  /** Frames that were lost because they were not read in time. */
  readonly dropped: number
  read(): TapFrame | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<TapFrame>
}

/** Whom {@link SpeakerSession.listen} listens to, and what the frames are like. */
export interface ListenOptions {
  /** A non-empty string of well-formed Unicode: how the room names them ({@link Participant.identity}). */
  identity: string
  /** The name of their track. Default: their microphone, or else the first audio track that they publish. */
  trackName?: string | undefined
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat | undefined
  /** As for {@link WavOutput}. */
  dither?: boolean | undefined
  /** In Hz, 8000–192,000; default 48,000, or the 8000 that the formats of telephone lines need. */
  sampleRate?: number | undefined
  /** Default 1, whatever is sent. */
  channels?: 1 | 2 | undefined
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number | undefined
}

/**
 * What somebody in the room says: a Readable in object mode of frames, for each of which `atMs` is the session's time when it came, or
 * would have come on a network that held nothing up. Like {@link SpeakerTap} it produces no frames in silence, its last frame before a silence is
 * filled up with zeros, 64 frames wait for the reader, and those that find no room are lost (`dropped`).
 *
 * What is lost on the way is taken from the copies that packets bear (RED, in-band FEC), or made up for up to 100 ms, and then it is silence.
 * Sound is heard as late as the network is uneven, and cut or stretched by whole periods of the voice where that changes; within a
 * sound `atMs` goes on with the samples.
 *
 * As `audio` of `playAudio` it needs no reader. It is live: it begins with what is said next, what is said while it is paused is not heard, and a
 * silence is no underrun. `startMs`, `durationMs`, `fadeOutMs`, `loop` and the options of streams are refused beside it
 * (`ERR_INVALID_ARGUMENT`), and so is all of it in a session with `record`, for it can't be replayed (`ERR_UNSUPPORTED_OPERATION`). It completes
 * when the voice ends.
 */
export interface SpeakerVoice extends Readable {
  /** Frames that were lost because they were not read in time. */
  readonly dropped: number
  /** How well they are heard. */
  stats(): VoiceStats
  read(): TapFrame | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<TapFrame>
}

/** What a voice has come to. Counts since it was made; a participant may have published several tracks since. */
export interface VoiceStats {
  /** Packets that came, each counted once. */
  receivedPackets: number
  /** Packets that have not come so far. */
  lostPackets: number
  /** Packets that came too late to be heard. */
  latePackets: number
  /** Packets that were heard though they were lost, from a copy in a later one. */
  recoveredPackets: number
  /** How much was made up, in ms. */
  concealedMs: number
  /** How much later the last sound was handed on than a packet that nothing held up would have been, in ms. */
  delayMs: number
  /** How unevenly packets arrive, in ms (RFC 3550 §6.4.1). */
  jitterMs: number
  /** How often a playback of it had nothing to play in the middle of a sound. */
  underruns: number
}

/** A mark that was reached. */
export interface ReachedMark {
  name: string
  /** The session's time at which it was. */
  atMs: number
}

/** How much of a playback was handed over and heard. */
export interface Heard {
  /** How long it sounded. */
  durationMs: number
  /** Where in the source it was then. */
  positionMs: number
  /**
   * How much of `durationMs` nobody could hear: its track was muted or out of the room, or the room was cut off. Exact at the
   * moment that the session was told of it. Missing if it is nothing.
   */
  unheardMs?: number
}

export type PlayResult =
  | ({ requestId: string; outcome: 'completed' } & Heard)
  | ({ requestId: string; outcome: 'stopped'; reason: string } & Heard)

export interface CloseOptions {
  /** Lets what was accepted play to its end first; default `false`. */
  drain?: boolean | undefined
  /**
   * With `drain`: after how long what is left is stopped, in ms; 1–86,400,000, default 30,000. By the wall on a realtime clock, in
   * silence too.
   */
  withinMs?: number | undefined
}

export interface MuteRequest {
  /** 0–65,535. */
  trackId: number
  muted: boolean
}

/**
 * - `new`: the output was never open, and is not being opened;
 * - `connecting`: it is being opened;
 * - `connected`: it is open;
 * - `reconnecting`: the room is being won back; sound may go on meanwhile;
 * - `disconnected`: it could not be opened, or was lost for good; the next request opens it anew;
 * - `closed`: the session is closed. Until `close` has resolved, the connection is what it is.
 *
 * Outputs other than `livekit` are `connected` until the session is closed.
 */
export type ConnectionState = 'new' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'closed'

/**
 * One request, every live playback of one track or of one group, or everything if none is given. More than one is refused, and so is one that is
 * there and `undefined`: whoever has lost an id does not mean everything.
 */
export interface Target {
  /** Well-formed Unicode. */
  requestId?: string
  /** 0–65,535. */
  trackId?: number
  /** Well-formed Unicode. */
  group?: string
}

export interface SeekRequest extends Target {
  /** From the start of the source, in ms; 0 to 86,400,000 (a day). */
  positionMs: number
}

export interface VolumeRequest extends Target {
  /** 0–1, in place of the request's. Its `gain` stays. */
  volume: number
  /** How long the change takes, in ms; 0–86,400,000, default 5. */
  fadeMs?: number | undefined
}

export interface StopTarget extends Target {
  /**
   * The `reason` of the `stopped` event; default `'stopped'`. The session's own reasons are `'replaced'`, `'aborted'`,
   * `'destroyed'`, `'interrupted'`, `'unpublished'` and `'closed'`.
   */
  reason?: string | undefined
  /** Fall to silence, in ms; 0–86,400,000, default 5. */
  fadeOutMs?: number | undefined
  /**
   * For a `requestId` that is not live: `true` remembers the stop for 5 s, and a request of that id within them ends at once as
   * `stopped`, with this reason, and stops nothing else. For messages that may overtake each other on their way. It is not
   * remembered if the id ended within the last 5 s. Counted in the session's time; on a realtime clock in silence too.
   * Default `false`: a stop of an id that is not live has no effect.
   */
  ahead?: boolean | undefined
}

export interface StopResult {
  /** The `requestId`s that this call stopped. */
  stopped: string[]
}

export interface InterruptRequest {
  /** The roles that go on; default none. */
  keep?: Role[] | undefined
  /** The `reason` of the `stopped` events; default `'interrupted'`. */
  reason?: string | undefined
  /** Fall to silence, in ms; 0–86,400,000, default 5. */
  fadeOutMs?: number | undefined
  /**
   * How long what sounds goes on before it falls, in ms of the session's time; 0–86,400,000, default 0. What comes to its own end by then is
   * `completed`; what loads or waits is stopped at once, and the tracks are free at once. A stop ends it sooner.
   */
  afterMs?: number | undefined
}

export interface InterruptResult {
  /** The session's time at the call, in ms: frames from there on hold nothing of these playbacks but the fade. */
  atMs: number
  /**
   * The playbacks that this call stopped, in the order of `playbacks()`, each with its place in its source at the call. Its
   * `stopped` event has the place where it ended, the fade included.
   */
  interrupted: { requestId: string; group?: string; trackId: number; role: Role; positionMs: number }[]
  /**
   * The groups of these playbacks, and how much was heard of each until the call, in ms: the sum over all that was played with that `group`
   * in this session, also of what ended before; what was `unheardMs` is left out. What ended is remembered of
   * the 64 groups in which something ended last.
   */
  groups: { group: string; heardMs: number }[]
}

export interface MoveRequest {
  requestId: string
  /** Its position in the line of its track, 1 is next; 1–100,000. */
  queuePosition: number
}

export interface MoveResult {
  /** True if the playback was queued, and so stands at that position now. */
  moved: boolean
}

/**
 * Bytes in memory. Samples in an Int16Array (`pcm16`) or a Float32Array (`f32`) are bytes where `format` says so; other arrays of numbers wider
 * than a byte are refused, and so is text: `Buffer.from(text, 'base64')` are the bytes of a text in base64.
 */
export type AudioBytes = Uint8Array | Uint8ClampedArray | Int8Array | Int16Array | Float32Array | DataView | ArrayBuffer | SharedArrayBuffer

/**
 * What gives bytes piece by piece: a Readable, a web ReadableStream or another iterable, as an array or a generator, a Blob, or a Response of
 * `fetch`, whose body is consumed.
 */
export type AudioBody = AsyncIterable<AudioBytes> | Iterable<AudioBytes> | AudioBlob | AudioResponse

/** Headers by name, or pairs of both: a Map, or the Headers of `fetch`. What is undefined is left out. */
export type AudioHeaders = Record<string, string | number | undefined> | Iterable<readonly [string, string | number | undefined]>

/** A Blob or a File, as Node and browsers have it. */
export interface AudioBlob {
  readonly size: number
  readonly type: string
  stream(): ReadableStream
  arrayBuffer(): Promise<ArrayBuffer>
}

/** What `fetch` resolves with. */
export interface AudioResponse {
  readonly ok: boolean
  readonly status: number
  readonly body: AsyncIterable<Uint8Array> | ReadableStream | null
  readonly bodyUsed: boolean
}

/** What {@link SpeakerSession.clip} is made from: either `audioUrl` or `audio`. */
export interface ClipSource {
  /** An http(s) URL, a `file:` URL, a `data:` URL or a path. */
  audioUrl?: string | URL | undefined
  /**
   * A whole audio file in memory, or with `format` raw samples, which is copied; or what gives the bytes, 256 MiB at most
   * (`ERR_SOURCE_TOO_LARGE`).
   */
  audio?: AudioBytes | AudioBody | undefined
  /** As in {@link PlayRequest}. */
  format?: StreamFormat | undefined
  /** As in {@link StreamRequest}. */
  sampleRate?: number | undefined
  /** As in {@link StreamRequest}. */
  channels?: 1 | 2 | undefined
  /** As in {@link PlayRequest}. */
  headers?: AudioHeaders | undefined
  /** As in {@link PlayRequest}. */
  contentType?: string | undefined
  /** As in {@link SessionOptions}. */
  fetchTimeoutMs?: number | undefined
  /** As in {@link SessionOptions}. */
  minFetchBytesPerSecond?: number | undefined
  /** As in {@link SessionOptions}. It counts while the clip is made; the clip plays in any session. */
  network?: Network | undefined
  /** Gives the clip up with `ERR_ABORTED` when it is aborted before the clip is made. */
  signal?: AbortSignal | undefined
}

export interface ProbeOptions {
  /** Measures how loud it is, and counts how long; default false. */
  loudness?: boolean | undefined
}

/** What {@link SpeakerSession.probe} found. */
export interface ProbeResult {
  /** How the bytes are packed: `'wav'`, `'w64'`, `'aiff'`, `'au'`, `'caf'`, `'amr'`, `'flac'`, `'ogg'`, `'mp4'`, `'mpeg'`, `'adts'`, `'loas'`, `'matroska'`, `'mpegts'`; others may follow. Of several files one behind the other, the first. */
  container: string
  /** How samples are written: `'pcm_s16le'`, `'mp3'`, `'opus'`, `'aac'`, … */
  codec: string
  /** Of the first sample, in Hz; 0 if there is none. */
  sampleRate: number
  /** Of the first sample; 0 if there is none. */
  channels: number
  /** How long it is; `null` if that can't be known before its end, as of a live stream. */
  durationMs: number | null
  /** True if its samples were counted, or the file states their number; false if the length is estimated by the bit rate, or not known. */
  exact: boolean
  /** What its tags say. */
  tags: ProbeTags
  /** If it was asked for. */
  loudness?: {
    /** As EBU R 128 measures it (ITU-R BS.1770-5), of its own channels, to 0.1 LU; `null` of silence. */
    integratedLufs: number | null
    /** The highest true peak, in dB over full scale; `null` of silence. */
    truePeakDb: number | null
    /** How loud its tags say that it is: −18 LUFS less `REPLAYGAIN_TRACK_GAIN`, or −23 LUFS less `R128_TRACK_GAIN`; `null` if none does. */
    taggedLufs: number | null
  }
}

/** What there is of these. What they say is somebody else's, 4 KiB of each at most. */
export interface ProbeTags {
  title?: string
  artist?: string
  album?: string
  albumArtist?: string
  track?: string
  date?: string
  genre?: string
  comment?: string
}

/**
 * A decoded sound, made by {@link SpeakerSession.clip}. It belongs to the thread that made it: a worker thread makes its own. Its memory
 * is given back once it is closed, or nobody holds it any more, and nothing of it plays or waits.
 */
export interface SpeakerClip {
  /** How long it is, in ms; exact to the sample. 0 once it is closed. */
  readonly durationMs: number
  /** 1, or 2 if its source has more than one channel; 0 once it is closed. */
  readonly channels: 0 | 1 | 2
  /**
   * What it takes of `maxClipBytes`: 192,000 a second if its source is mono, else 576,000, for mono and stereo sessions; and the file, if
   * that was given as bytes. 0 once it is closed.
   */
  readonly bytes: number
  /**
   * Lets it go. What plays or waits goes on; a later request for it rejects with `ERR_CLOSED`. A second call does nothing.
   *
   * @example
   * const chime = await SpeakerSession.clip({ audioUrl: 'chime.wav' })
   * chime.close()
   */
  close(): void
  /** The same. */
  [Symbol.dispose](): void
}

export interface PlaybackInfo {
  requestId: string
  /** Missing if the request had none. */
  group?: string
  trackId: number
  role: Role
  /**
   * `'paused'` is told instead of any of the first three, and of what stands still because its track is muted (`onMute`) or out of
   * the room. `'stopping'`: it fades out, or goes on until what replaces it begins
   * (`crossfadeMs`).
   */
  state: 'queued' | 'loading' | 'playing' | 'paused' | 'stopping'
  /** Its place in its source. */
  positionMs: number
  /** Its position in the line of its track, 1 is next; only while it waits there. */
  queuePosition?: number
}

export interface ProcessOptions {
  /**
   * How many bytes of downloads are kept at most, in memory and in temporary files, over all sessions: an integer from 1048576 (1 MiB)
   * to 1099511627776 (1 TiB); 1073741824 (1 GiB) until it is set. A playback keeps what it has downloaded until it ends, because it
   * may be sought. Where no room is left, downloads wait for it; the last fourth is for playbacks that are about to wait and have
   * downloaded less than 8 MiB. One that has nothing left to play and gets no room for `fetchTimeoutMs` fails with `ERR_SPOOL_FULL`. A
   * lower number than is kept drops nothing.
   */
  maxSpoolBytes?: number | undefined
  /**
   * How many bytes all clips of the process may hold: an integer from 0 to 1099511627776 (1 TiB); 268435456 (256 MiB) until it is set:
   * 23 minutes of mono sources, or 7 of stereo ones. A lower number than is held drops nothing.
   */
  maxClipBytes?: number | undefined
  /**
   * Which servers and files `audioUrl` may name, for sessions and clips without a `network` of their own, from their next request on; what
   * the environment variable `SPEAKER_SESSION_NETWORK` says until it is set (`any`, `public` or an object as JSON), else `'any'`.
   */
  network?: Network | undefined
}

export interface CacheOptions {
  /**
   * How many bytes it may take, in memory: an integer from 0 to 1099511627776 (1 TiB); 0 until it is set. 0 turns it off and empties it; what is
   * being read is read to its end. A body larger than a fourth of it is not kept. Without it nothing changes.
   */
  maxBytes?: number
}

/** What the cache holds, and what it came to since the process began. */
export interface CacheStats {
  maxBytes: number
  /** What is kept, what is being fetched, and what somebody still reads. */
  bytes: number
  /** How many bodies are kept. */
  entries: number
  /** Requests that were answered from memory, without a question to a server. */
  hits: number
  /** Requests that were answered by a fetch which another one had begun. */
  joined: number
  /** Requests that were answered from memory after a server was asked (304). */
  revalidated: number
  /** Requests that a server answered, or that failed. Those that pass the cache by are not counted. */
  misses: number
}

/**
 * Which servers and files sources may be at. What is not among them fails with `ERR_URL_BLOCKED`. It is judged by the address that is
 * really connected to, and on every redirect; docs/network.md says how.
 *
 * - `'any'`: all servers but link-local addresses and those of clouds' own services (metadata), and all files
 * - `'public'`: servers at public addresses, and no files
 * - an object: the same as `'public'`, with exceptions
 */
export type Network = 'any' | 'public' | NetworkRules

/**
 * Exceptions from `network: 'public'`. A server is a host (`minio`), all below a domain (`*.example.com`), an address (`10.0.0.1`, `::1`) or
 * a range of them (`10.0.0.0/8`); at one port alone if that stands behind it (`minio:9000`, `[::1]:9000`, `10.0.0.0/8:9000`).
 */
export interface NetworkRules {
  /** Servers that may be reached, wherever they are, unless `deny` has them too; none by default. */
  allow?: string[] | undefined
  /** Servers that may not be reached; none by default. */
  deny?: string[] | undefined
  /** Whether `audioUrl` may be a path or a `file:` URL; default false. */
  files?: boolean | undefined
}

export interface ProcessStats {
  /** Sessions that are not closed. */
  sessions: number
  /** How often a session broke by a fault of this package's own: 0, or please report it. */
  broken: number
  /** Clips that hold memory, or will when they are made. */
  clips: number
  /** How many bytes they hold, of `maxClipBytes`. */
  clipBytes: number
}

export interface ProcessMetrics extends ProcessStats {
  /** Requests and streams that were taken: as many as ended and are live. */
  requests: number
  /** Playbacks that started. */
  started: number
  completed: number
  stopped: number
  failed: number
  /** `failed` by code; codes that never came are missing. */
  failures: { [Code in SpeakerErrorCode]?: number }
  /** How often an output or a room could not be opened, was lost for good or took no frame, or a track was refused or taken out. */
  outputErrors: number
  /** How often the connection to a room was lost and `reconnecting` was emitted. */
  reconnects: number
  /** As in {@link SessionStats}. */
  underruns: number
  /** As in {@link SessionStats}. */
  lateFrames: number
  /** As in {@link SessionStats}. */
  lostFrames: number
  /** As in {@link SessionStats}. */
  droppedFrames: number
  /** Faults of this package's own: 0, or please report them. Each ended a source, a session or nothing. */
  panics: number
  /** The {@link SpeakerSession.cache}. */
  cache: CacheStats
  /** Playbacks that load, play, stand still or fade out now. */
  active: number
  /** Playbacks that wait for their turn now. */
  queued: number
  /** From a request to its first sample, of those that started: the time in line included. On the manual clock in the session's time. */
  firstFrameLatencyMs: Histogram
  /** How long playbacks sounded that have ended, however they ended; those that never started are left out. */
  durationMs: Histogram
}

export interface Histogram {
  count: number
  /** Of all values. */
  sum: number
  /** In order of their bounds, which never change while the process runs. */
  buckets: { /** The upper bound, included. */ upto: number; /** How many values are no larger. */ count: number }[]
}

export interface DataOptions {
  /** What it is about, for whoever receives it. */
  topic?: string | undefined
  /**
   * `true` (default): sent again until it arrives, and in order. `false`: sent once, and nothing waits for it when it is lost; if it is
   * larger than 1,300 bytes it takes several packets on the network, each of which may be lost.
   */
  reliable?: boolean | undefined
  /** The identities of those who are to receive it; all others if missing. */
  to?: string[] | undefined
}

export interface TextOptions {
  /** What it is about: LiveKit's clients take texts by their topic. */
  topic?: string | undefined
  /** The identities of those who are to receive it; all others if missing. */
  to?: string[] | undefined
  /** What else is said of it. */
  attributes?: Record<string, string> | undefined
}

export interface RpcRequest {
  /** The identity of the participant. */
  to: string
  method: string
  /** Up to 15 KiB; empty by default. */
  payload?: string | undefined
  /** How long the answer may take; 15,000 by default. */
  timeoutMs?: number | undefined
}

export interface RpcCall {
  /** The same for the caller. */
  requestId: string
  /** Who calls; null if they are hidden. */
  identity: string | null
  payload: string
  /** How long the caller waits for the answer. */
  timeoutMs: number
}

export interface SessionStats {
  /** The session's time. On a realtime clock it stands still while the session is idle, and catches up with the next sound. */
  timeMs: number
  /** Those that fade out included. */
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
  /**
   * Frames that were mixed more than 20 ms after they were due, when the next one was due already, because the machine or the process was busy (realtime clock). One or two
   * in a row are seldom heard in a room; many say that this machine has too much to do.
   */
  lateFrames: number
  /** Frames that were given up because the process was halted for over half a second. */
  lostFrames: number
  /**
   * Packets that were sent into the room as they had been encoded for another session, or for this one before: of clips that sounded
   * alone. See `encodeOnce` of {@link LiveKitOutput}.
   */
  sharedPackets: number
  /** Packets of data and texts that others sent and that were left out, because 4 MiB waited for this thread of JavaScript; 1 MiB of lossy ones. */
  droppedData: number
  /** How well the room receives; missing until the server has reported it. */
  link?: LinkStats
}

export interface LinkStats {
  /** The server's rating of what arrives. */
  quality?: 'excellent' | 'good' | 'poor' | 'lost'
  /** The fraction of packets lost, 0–1, from the last receiver report (RFC 3550); every 10 s while something is sent. */
  loss?: number
  /** How unevenly packets arrive. */
  jitterMs?: number
  /** Time to the server and back; up to 20 ms too long, because reports are read when a frame is due. */
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
  trackId: number
  /** The request's; missing if it had none. */
  group?: string
  /** The request's own, as it was given; missing if it had none. */
  context?: any
}

/**
 * Every accepted request ends in exactly one of `completed`, `stopped` and `failed`. Events are emitted in the order of their `seq`,
 * and none before the sample that it is about was handed to the output.
 */
export interface SpeakerEvents {
  /**
   * It waits in its track's queue; `queuePosition` 1 is next. Emitted on arrival, when that becomes 1, and with its new one when
   * `moveAudio` moves it; not when it changes otherwise (see `playbacks()`).
   */
  queued: [event: PlaybackEvent & { queuePosition: number }]
  /**
   * Its first sample was handed to the output; never before `connected`. Not emitted for a playback without a single sample. `latencyMs` is
   * how long after the request that was, the time in line included, on the manual clock in the session's time; `firstByteMs` how long
   * after the request the first byte of its source was there: missing on the manual clock, and for a clip or a voice.
   */
  started: [event: PlaybackEvent & { latencyMs: number; firstByteMs?: number }]
  /**
   * Emitted every `progressIntervalMs` of its sound, with its place in the source; for all playbacks in order of time, and never
   * after its terminal event.
   */
  progress: [event: PlaybackEvent & { positionMs: number }]
  /** It is silent and stands still, for its track or on request; or it was paused before it began. */
  paused: [event: PlaybackEvent & { positionMs: number }]
  /** It goes on. */
  resumed: [event: PlaybackEvent & { positionMs: number }]
  /** A stream that has started is silent from here on, until its writer goes on; emitted once each time. */
  stalled: [event: PlaybackEvent & { positionMs: number }]
  /**
   * What a radio station says of what it plays from here on, to the frame: `title` (missing if nothing has one), `url`, a page or a picture
   * that belongs to it, and the `station`'s name. The first one, with the name alone, comes behind `started`.
   */
  metadata: [event: PlaybackEvent & { title?: string; url?: string; station?: string }]
  /** It goes on from this place in its source; or it will begin there. */
  sought: [event: PlaybackEvent & { positionMs: number }]
  /** Its last sample was handed to the output. */
  completed: [event: PlaybackEvent & Heard]
  /** It was ended early, after it had sounded for `durationMs`, the fade included. */
  stopped: [event: PlaybackEvent & Heard & { reason: string }]
  /** It ended with an error, after it had sounded for `durationMs`. */
  failed: [event: PlaybackEvent & Heard & { code: SpeakerErrorCode; message: string }]
  /** What was asked for before a mark has ended, or what was written before it to a stream was heard: see {@link SpeakerSession.mark}. */
  mark: [event: SpeakerEvent & { name: string }]
  /** The output is open. */
  connected: [event: SpeakerEvent]
  /** The connection to the room is lost and being restored; see {@link LiveKitOutput}. */
  reconnecting: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** The connection is restored. */
  reconnected: [event: SpeakerEvent]
  /** The output is closed, or lost for good. */
  disconnected: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** A track was muted, by a moderator or by `setMuted`; in a room `onMute` says what becomes of what plays on it. */
  muted: [event: SpeakerEvent & { trackId: number }]
  /** The track is not muted any more. */
  unmuted: [event: SpeakerEvent & { trackId: number }]
  /**
   * Somebody listens to the track for the first time since it was published. `identity` is told only if exactly one other participant
   * is in the room, because the server names nobody.
   */
  subscribed: [event: SpeakerEvent & { trackId: number; identity?: string }]
  /** The server took the track out of the room: the grant to publish was revoked. See {@link LiveKitOutput}. */
  unpublished: [event: SpeakerEvent & { trackId: number; message: string; code: SpeakerErrorCode }]
  /** The track is in the room again. */
  republished: [event: SpeakerEvent & { trackId: number }]
  /** Somebody else has come into the room. After a room was joined anew, also who came meanwhile. */
  participantJoined: [event: SpeakerEvent & { participant: Participant }]
  /** Somebody else changed their name, metadata, attributes or tracks: as they are now. */
  participantChanged: [event: SpeakerEvent & { participant: Participant }]
  /** Somebody else has left the room: as they were last. */
  participantLeft: [event: SpeakerEvent & { participant: Participant }]
  /**
   * Somebody in the room has sent data to all or to this participant: `identity` is theirs, or null if the server itself or somebody hidden
   * sent it. A room is asked for data only while somebody listens to this event, or once `sendData` was called.
   */
  data: [event: SpeakerEvent & { identity: string | null; topic: string | null; payload: Buffer; reliable: boolean }]
  /**
   * Somebody in the room has sent a text to all or to this participant (LiveKit's text streams), of up to 1 MiB with its attributes: told
   * when it is whole. One that is longer, or has no end when the room is lost, is not told. A room is asked for texts as for `data`.
   */
  text: [event: SpeakerEvent & { identity: string | null; topic: string | null; text: string; attributes: Record<string, string> }]
  /**
   * The machine or the process has too little time for this session (realtime clock): five frames or more were mixed too late within a
   * second, or some were given up because the process was halted. Emitted at most once a second, with what was counted since the last
   * time: frames as in {@link SessionStats}, and by how much the latest of them was late, in ms. If it comes of many sessions, this
   * process has more to do than its cores can.
   */
  overloaded: [event: SpeakerEvent & { lateFrames: number; lostFrames: number; lateMs: number }]
  /**
   * The output failed, and with it everything live (told once as long as it goes on); or the session broke (`ERR_INTERNAL`); or only the recording failed
   * (`ERR_RECORD`). Not thrown if nobody listens.
   */
  error: [event: SpeakerEvent & { code: SpeakerErrorCode; message: string }]
  /**
   * Every event, with its name as `type`, before those who listen to it by its name; an `error` too. For logs. It asks a room neither for
   * `data` nor for `text`.
   */
  event: [event: AnyEvent]
}

/** What the event `event` bears. */
export type AnyEvent = {
  [Type in Exclude<keyof SpeakerEvents, 'event'>]: { type: Type } & SpeakerEvents[Type][0]
}[Exclude<keyof SpeakerEvents, 'event'>]

/**
 * `closed`: by `close`. `signalClose`: the signalling connection was lost. `mediaFailure`: no sound arrives. `joinFailure`: the
 * room could not be joined, or a track not be published. The others are the server's.
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

/**
 * Neither its message nor a `cause` from this package has secrets in it (tokens, values of headers, users and query values of URLs): they are shown
 * as `<masked>`. Values and texts from elsewhere are cut to 200 characters.
 */
export class SpeakerError extends Error {
  /**
   * For whoever stands in for a session, in tests of their own.
   *
   * @example
   * const error = new SpeakerError('ERR_CLOSED', 'the session is closed', { requestId: 'hello' })
   */
  constructor(code: SpeakerErrorCode, message: string, details?: SpeakerErrorDetails)
  readonly name: 'SpeakerError'
  readonly code: SpeakerErrorCode
  /**
   * What led to it. An error of the system or of a library: `code` and `errno` are Node's for the system's, such as `ECONNREFUSED`. With
   * `ERR_STREAM` what the stream or the iterable failed with, and with `ERR_ABORTED`, and `ERR_ENDED` by a signal, the signal's `reason`: that very
   * object, whatever is in it, so it is not shown where the error is printed. The event `failed` has none.
   */
  readonly cause?: any
  /** With `ERR_ACCESS_DENIED`, as Node's own error: what is missing, and for what. */
  readonly permission?: 'FileSystemRead' | 'FileSystemWrite'
  readonly resource?: string
  /** With `ERR_RPC`: LiveKit's code or the method's own, and what the method said beside its message. */
  readonly rpcCode?: number
  readonly rpcData?: string
  /** The playback that failed, or with `ERR_ENDED` the one that ended; not for refused requests. */
  readonly requestId?: string
  /** How long it had sounded. */
  readonly durationMs?: number
  /** Where in its source it was. */
  readonly positionMs?: number
  /** How much of `durationMs` nobody could hear; missing if it is nothing. */
  readonly unheardMs?: number
}

/** What a {@link SpeakerError} bears beside its code and message. */
export type SpeakerErrorDetails = Partial<
  Pick<SpeakerError, 'cause' | 'permission' | 'resource' | 'rpcCode' | 'rpcData' | 'requestId' | 'durationMs' | 'positionMs' | 'unheardMs'>
>

/** Stable. docs/errors.md says what to do about each. */
export type SpeakerErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_ACCESS_DENIED'
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
  | 'ERR_URL_BLOCKED'
  | 'ERR_SOURCE_TOO_LARGE'
  | 'ERR_SPOOL_FULL'
  | 'ERR_CLIPS_FULL'
  | 'ERR_EMPTY_SOURCE'
  | 'ERR_TRUNCATED'
  | 'ERR_UNSUPPORTED_FORMAT'
  | 'ERR_NOT_SEEKABLE'
  | 'ERR_DECODE'
  | 'ERR_STREAM'
  | 'ERR_ENDED'
  | 'ERR_STALLED'
  | 'ERR_START_TIMEOUT'
  | 'ERR_OUTPUT'
  | 'ERR_RECORD'
  | 'ERR_JOIN_FAILED'
  | 'ERR_PUBLISH_FAILED'
  | 'ERR_REFUSED'
  | 'ERR_RPC'
  | 'ERR_DISCONNECTED'
  | 'ERR_INTERNAL'
  | 'ERR_NO_THREADS'
  | 'ERR_UNSUPPORTED_OPERATION'
