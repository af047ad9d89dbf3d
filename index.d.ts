/// <reference types="node" />

import { EventEmitter } from 'node:events'
import { Readable, Writable } from 'node:stream'

/**
 * Plays audio into one output: fetches, decodes, mixes what overlaps, interrupts at once, and reports exactly what was
 * heard. One session per user; thousands fit in a process.
 *
 * Times are milliseconds. Positions and durations are counted in samples at the output, never taken from a wall clock, so
 * they may have fractions (1/48 ms). `positionMs` is a place in the source: it begins at `startMs` and wraps in a loop.
 * `durationMs` is how long a playback has sounded: its samples that were handed to the output. `unheardMs` is the part of that which nobody could
 * hear, because its track was muted or out of the room, the room was cut off, or an encoded output had no listeners; it is missing if there is none.
 *
 * Every call takes effect before it returns, in the order of the calls. A call on a closed session fails with `ERR_CLOSED`;
 * calls that only stop, pause or change something find nothing there and resolve with an empty list. If an internal error of this
 * package breaks a session, everything live fails with `ERR_INTERNAL`, new requests are refused with that code, and
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
   * share; the next session tries to start them again
   *
   * @example
   * const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: { default: 'mix', 2: 'queue' } })
   */
  constructor(options: SessionOptions)

  /**
   * Sets options for all sessions of the process, including those of worker threads, at any time; an option that is not given stays as it is.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.configure({ maxSpoolBytes: 512 * 1024 * 1024, network: 'public' })
   */
  static configure(options: ProcessOptions): void

  /**
   * Sets the size of the process-wide HTTP cache, which is off by default, and returns its counts. What one playback, clip or probe has fetched is
   * shared by all requests for the same URL with the same `headers` and `network`, for as long as its server allows (RFC 9111, as a shared
   * cache), and requests at the same time share one fetch. Without `maxBytes` it only returns the counts. See docs/cache.md.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.cache({ maxBytes: 64 * 1024 * 1024 })
   * for (const session of sessions) session.playAudio({ audioUrl: 'https://example.com/jingle.mp3' }) // is fetched once
   */
  static cache(options?: CacheOptions): CacheStats

  /**
   * Decodes a sound once, for any number of playbacks in any session of this thread: `playAudio({ audio: clip })` starts in the next
   * frame and seeks at once, and needs neither a decoder nor a copy. The clip sounds, sample for sample, like its source.
   *
   * Resolves when all of it is decoded. Rejects as a playback of the source fails, also where a playback would have been heard in part
   * (`ERR_TRUNCATED`, `ERR_DECODE`, …); with `ERR_CLIPS_FULL` as soon as it needs more than `maxClipBytes` has left
   * ({@link ProcessOptions}); with `ERR_ABORTED` if `signal` is aborted first; with `ERR_INVALID_ARGUMENT`, `ERR_ACCESS_DENIED` or
   * `ERR_NO_THREADS`. No session has to exist.
   *
   * @example
   * const chime = await SpeakerSession.clip({ audioUrl: 'chime.wav' })
   * for (const session of sessions) session.playAudio({ audio: chime, stopOther: false })
   */
  static clip(source: ClipSource): Promise<SpeakerClip>

  /**
   * Reads what a source is, without playing it: container, codec, length, tags, and with `loudness: true` its loudness, for which all of it is
   * decoded. Servers and files are accessed by the same rules as those of a playback (`network`, limits). Rejects as {@link clip} does, if the
   * part that has to be read can't be played. No session has to exist. See docs/probe.md.
   *
   * @example
   * const { durationMs, tags } = await SpeakerSession.probe('song.flac')
   */
  static probe(source: string | URL | ClipSource, options?: ProbeOptions): Promise<ProbeResult>

  /**
   * Makes a session that goes on with what another one described, maybe in another process: {@link describe}, {@link handOver}. `options` are those of a
   * session; the described ones apply where they say nothing, but `output` is never described, nor are `network`, `record` and `logger`. It returns at
   * once and begins as {@link adopt} does; {@link adopted} holds the promises. See docs/hand-over.md.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also for a description of another version; `ERR_ACCESS_DENIED`, `ERR_NO_THREADS`,
   * `ERR_UNSUPPORTED_OPERATION` with `record`
   *
   * @example
   * const session = SpeakerSession.restore(description, { output: liveKitFromEnv({ room: 'lobby', identity: 'speaker' }) })
   * session.on('completed', ({ requestId }) => console.log(`${requestId} was heard to its end`))
   */
  static restore(description: SessionDescription, options: SessionOptions): SpeakerSession

  /**
   * Returns counts over all sessions of the process, including those of worker threads. `sessions` is the number of sessions that are not closed
   * yet; `broken` the number that broke by an internal error (`ERR_INTERNAL`) since the process began; `clips` and `clipBytes` the number of clips,
   * including those that are being made and closed ones that still play, and the bytes they hold.
   *
   * @example
   * const { sessions, broken } = SpeakerSession.processStats()
   * if (broken > 0) console.error(`${broken} sessions broke, ${sessions} are open`)
   */
  static processStats(): ProcessStats

  /**
   * Returns the share of the media threads' time that was used in the last second, and what is left up to `maxLoad` ({@link ProcessOptions}).
   * See docs/operations.md.
   *
   * @example
   * const { load, maxLoad } = SpeakerSession.capacity()
   * const isReady = load < maxLoad // answers a load balancer's health check
   */
  static capacity(): Capacity

  /**
   * Returns metrics for monitoring, over all sessions of the process, including those of worker threads: counters since the process began, gauges
   * of the present, and histograms. Cheap enough for every scrape of a monitor; `speaker-session/metrics` passes them to prom-client.
   *
   * @example
   * const { requests, failures, firstFrameLatencyMs } = SpeakerSession.metrics()
   * console.log(requests, failures, firstFrameLatencyMs.sum / firstFrameLatencyMs.count)
   */
  static metrics(): ProcessMetrics

  /**
   * Calls the listener with lines of the log, instead of writing them to standard error: the lines of all sessions of the process that have no
   * `logger` ({@link SessionOptions}), and those that belong to no session. The levels are those of the environment variable
   * `SPEAKER_SESSION_LOG`, `info` without it. Logging never blocks on a listener: up to 1 MiB of lines wait for this thread of JavaScript, and a
   * line reports how many more were dropped. A listener that throws is reported once, by a warning of the process. It does not keep Node alive.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * SpeakerSession.on('log', ({ level, message, requestId }) => console.log(level, message, requestId))
   */
  static on(type: 'log', listener: (line: LogLine) => void): typeof SpeakerSession
  /** EventEmitter's own static method. */
  static on(emitter: any, type: string | symbol, options?: any): any

  /**
   * Removes the listener.
   *
   * @example
   * const listener = ({ message }: { message: string }) => console.log(message)
   * SpeakerSession.on('log', listener)
   * SpeakerSession.off('log', listener)
   */
  static off(type: 'log', listener: (line: LogLine) => void): typeof SpeakerSession

  /** The number of the session in lines of the log: 1 for the first of the process. */
  readonly id: number

  /**
   * Opens the output and starts the session's time. If the output is open already it resolves at once, and while it is being
   * opened it settles with the attempt in progress. `playAudio` and `advance` connect by themselves.
   * Rejects with `ERR_OUTPUT` or `ERR_JOIN_FAILED` if the output can't be opened, `ERR_OVERLOADED` if the process refuses more
   * ({@link ProcessOptions}), `ERR_CLOSED` after `close`, `ERR_ABORTED` if
   * `signal` is aborted first. The attempt is given up then, unless another `connect` or a playback needs the output too.
   * On the manual clock `connected` keeps its place in the order: events of later calls are emitted once it is known whether the output is open.
   *
   * @example
   * await session.connect({ signal: AbortSignal.timeout(5000) }) // joins before the first sound is wanted
   */
  connect(options?: { signal?: AbortSignal | undefined }): Promise<void>

  /**
   * Plays a source. The request is registered before this returns, so `playbacks()` lists it at once.
   *
   * The promise settles with the playback's one terminal event, just after it: it resolves on `completed` and `stopped`
   * (being stopped is an outcome, not an error) and rejects with a {@link SpeakerError} on `failed`. A request over a limit
   * fails at once, with `ERR_TOO_MANY_PLAYBACKS` or `ERR_QUEUE_FULL`. A request that is refused has no events and rejects with
   * `ERR_INVALID_ARGUMENT`, `ERR_DUPLICATE_REQUEST`, `ERR_ABORTED`, `ERR_CLOSED` or `ERR_INTERNAL`. Neither changes anything for
   * other playbacks (but see `onDuplicate: 'replace'`). An unhandled rejection does not end the process.
   *
   * The promise also has the `requestId`, and a promise of whether the playback starts: see {@link Playing}.
   *
   * @example
   * const playing = session.playAudio({ audioUrl: 'https://example.com/hello.mp3', trackId: 2, stopOther: false })
   * playing.catch(({ code, message }) => console.error(code, message))
   * const { outcome, durationMs } = await playing
   */
  playAudio(request: PlayRequest): Playing

  /**
   * Creates a stream that plays the bytes written to it, for speech that arrives in pieces. It is a playback like any other: registered before
   * this returns, with the same events and the same rules.
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
   * Stops the target: one `requestId`, one track, one group, or everything if none is given; playing, loading and queued alike. Loading
   * and queued playbacks end at once; playing ones fade out over `fadeOutMs`. The frame that begins the fade is sent at once, ahead
   * of its time; the promise resolves without waiting for the end of the fade. Returns the `requestId`s that were stopped; a
   * target that matches nothing is no error. A playback that fades out already is not stopped again and keeps the reason of its first
   * stop, but a shorter fade takes over.
   *
   * A stopped `requestId` is free for a new playback as soon as this call has returned, also while the old playback fades. Both
   * get their own terminal event, and the events of both have the same `requestId`.
   *
   * A stop of a `requestId` that is not live is not remembered, unless `ahead` is `true`: see {@link StopTarget}.
   *
   * @example
   * await session.stopAudio({ trackId: 1, reason: 'user', fadeOutMs: 200 })
   * await session.stopAudio() // everything
   */
  stopAudio(target?: StopTarget): Promise<StopResult>

  /**
   * Moves a queued playback to another position in the queue of its track; a position beyond the end is the end. `queued` is emitted with its new
   * position if that has changed, and for the playback that becomes the first. Nothing changes for a playback that is not queued.
   *
   * @example
   * const { moved } = await session.moveAudio({ requestId: 'sentence 3', queuePosition: 1 }) // the next one
   */
  moveAudio(request: MoveRequest): Promise<MoveResult>

  /**
   * Stops everything on all tracks, including queued playbacks, except the roles in `keep`: for barge-in. As fast as
   * `stopAudio`, with its 5 ms fade unless `fadeOutMs` or `afterMs` say otherwise. Interrupting nothing is no error.
   *
   * @example
   * const { groups } = await session.interrupt({ keep: ['ambient'], fadeOutMs: 80 })
   * for (const { group, heardMs } of groups) console.log(`${heardMs} ms of ${group} were heard`)
   */
  interrupt(request?: InterruptRequest): Promise<InterruptResult>

  /**
   * Pauses the target. Playing playbacks become silent within 5 ms and keep their place there; loading and queued ones keep their place in
   * the queue and, when their turn comes, wait until they are resumed. A paused playback counts for `maxConcurrent` and holds its track.
   * It costs nothing, and on a realtime clock the time of a session in which everything is paused stands still.
   * Returns the `requestId`s that were paused: those that were not paused before and do not fade out.
   *
   * For a playing playback, `paused` is emitted once it is silent; a `resumeAudio` before that takes the pause back, and
   * neither event is emitted.
   *
   * @example
   * const { paused } = await session.pauseAudio({ trackId: 1 })
   */
  pauseAudio(target?: Target): Promise<{ paused: string[] }>

  /**
   * Resumes the target, fading in over 5 ms. Returns the `requestId`s that were paused before; resuming nothing is no error.
   *
   * @example
   * await session.pauseAudio({ trackId: 1 })
   * const { resumed } = await session.resumeAudio({ trackId: 1 })
   */
  resumeAudio(target?: Target): Promise<{ resumed: string[] }>

  /**
   * Moves the target to another place in its source, exact to the sample. A playing playback goes on until that place is loaded,
   * then fades out within 5 ms and fades in there; `sought` is emitted with its first sample there. A loading, queued or paused playback
   * (`paused` was emitted) goes on there: nothing of the old place is heard, even if it is resumed before the new place is
   * loaded. Seeking beyond the end (or that of `durationMs`) ends the present pass of a loop, and completes the last pass. A second
   * seek replaces one in progress. Playbacks that fade out are not sought. A place before `startMs` is allowed.
   * Returns the `requestId`s that were sought; seeking nothing is no error.
   * Rejects with `ERR_NOT_SEEKABLE`, and nothing changes, if one of the target's playbacks is a stream, or a download whose length
   * the server did not announce and which is not complete yet.
   *
   * @example
   * await session.seekAudio({ requestId: 'audiobook', positionMs: 90_000 })
   */
  seekAudio(request: SeekRequest): Promise<{ sought: string[] }>

  /**
   * Sets a mark behind everything requested so far, or the part of it that is named: a request, a track or a group. It is reached when all
   * of that has ended, for whatever reason, including the end of a fade: the event `mark` is emitted right after the last of their terminal
   * events, then the promise resolves; at once if none of it is live. Later requests are not waited for. Several marks may have
   * the same name; each is reached once, also by `close`. A stream counts as a whole: use {@link SpeakerStream.mark} for what was written to it
   * so far. `record` does not write marks.
   * Rejects with `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`. The promise need not be awaited.
   * @param name a non-empty string of well-formed Unicode
   *
   * @example
   * for (const sentence of turn) session.playAudio({ audio: sentence, overlap: 'queue', stopOther: false, group: 'turn 1' })
   * await session.mark('said', { group: 'turn 1' })
   */
  mark(name: string, behind?: Target): Promise<ReachedMark>

  /**
   * Changes the `volume` of the target, in a straight line from its present one. A loading, queued or paused playback has the new
   * volume when it sounds; one that fades out follows both. Returns the `requestId`s that were changed; changing nothing is no
   * error.
   *
   * @example
   * await session.setVolume({ requestId: 'music', volume: 0.2, fadeMs: 500 })
   */
  setVolume(request: VolumeRequest): Promise<{ changed: string[] }>

  /**
   * Mutes or unmutes a track; its volume stays.
   *
   * In a room this mutes the published track, as a moderator can too: the last change wins. Resolves once the change is handed
   * to the output; `muted` and `unmuted` are emitted when the room has it, and `onMute` determines what happens to playbacks on the track. Before
   * the room is joined, and before the track is published, the mute is remembered: the track is published muted. A mute by this call is kept in
   * every room that the session joins anew, until this call lifts it. It is no request to play, so `record` does not write it.
   *
   * For other outputs, where tracks are mixed, the track is silent in the mix within 5 ms, its playbacks go on and count as unheard
   * (`unheardMs`), and `muted` and `unmuted` are emitted at once, if anything changed. `record` writes it.
   * Rejects with `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.setMuted({ trackId: 1, muted: true })
   */
  setMuted(request: MuteRequest): Promise<void>

  /**
   * Returns a track, whether or not anything plays on it: its volume, mute, counts and tap. All state is the session's, so two calls
   * return two objects that do the same.
   * @param trackId 0–65,535
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * await session.track(1).setVolume({ volume: 0.3, fadeMs: 500 }) // music that plays, and all that follows it
   */
  track(trackId: number): SpeakerTrack

  /**
   * Unpublishes a track (0–65,535): for a track that is no longer needed, as tracks otherwise stay until the session closes. Its playing,
   * loading and queued playbacks are stopped as by `stopAudio` (reason `'unpublished'`), the last sound is sent, and `lingerMs` after
   * it, so that it is heard, the track leaves the room. Resolves when the room has removed it, at once if it is not published; also when the room
   * is lost or the session closed meanwhile. It stays unpublished, also in every room that the session joins anew and whatever `publish` says, until
   * something is to play on it: then it is published again, with the name, source and mute it had, and waits for its subscriber according to
   * `startWhen`. Requests made right after this call wait until the old track is removed. No `unpublished` is emitted.
   * In a recording (`record`) it is a stop.
   * Rejects with `ERR_REFUSED` if the server does not answer within `connectTimeoutMs`; with `ERR_UNSUPPORTED_OPERATION` for other outputs
   * than `livekit`, `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.unpublish(3) // livekit only
   */
  unpublish(trackId: number): Promise<void>

  /**
   * Sets attributes of this participant, which others in the room see: LiveKit's agents publish their state as `lk.agent.state`. Keys that
   * are not named stay; an empty string removes its key. Resolves once the room lists them. Before the room is joined, they are
   * remembered and it resolves at once; attributes that were set are sent to every room that is joined anew. The token needs the grant
   * `canUpdateOwnMetadata`. It is no request to play, so `record` does not write it.
   * Rejects with `ERR_REFUSED` if the room does not accept them (the grant is missing, or they exceed the server's limit) or does not
   * answer within `connectTimeoutMs`, and the room keeps the old ones; with `ERR_UNSUPPORTED_OPERATION` for other outputs than
   * `livekit`, `ERR_JOIN_FAILED` or `ERR_DISCONNECTED` with the room, `ERR_CLOSED`, `ERR_INTERNAL`, `ERR_INVALID_ARGUMENT`.
   *
   * @example
   * await session.setAttributes({ 'lk.agent.state': 'speaking' })
   */
  setAttributes(attributes: Record<string, string>): Promise<void>

  /**
   * Sets the metadata of this participant, a non-empty text; otherwise as {@link setAttributes}.
   *
   * @example
   * await session.setMetadata(JSON.stringify({ language: 'en' }))
   */
  setMetadata(metadata: string): Promise<void>

  /**
   * Sets the name of this participant, a non-empty text; otherwise as {@link setAttributes}.
   *
   * @example
   * await session.setName('Announcements')
   */
  setName(name: string): Promise<void>

  /**
   * Sends data to all others in the room, or to those with the identities `to`. A string is sent as UTF-8. Joins the room if it is not
   * joined. Resolves once the packet is handed to the transport, which sends a reliable one again until the server confirms it, also when the
   * connection is resumed; there is no confirmation by the recipients. Packets that wait until the room is joined, or until the transport has
   * space, are sent in order, and into the next room if one is joined anew; packets handed to a room that is lost before they are confirmed are lost
   * too. `close` waits up to `lingerMs` for packets handed over to be confirmed, and `close({ drain: true })` for waiting ones. It is no
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
   * Sends a text of up to 512 KiB as a LiveKit text stream: in parts, reliably and in order. Resolves once the last part is handed to the
   * transport. A text that was sent in part when the room was lost is sent whole into the next one; otherwise as {@link sendData}.
   *
   * @example
   * await session.sendText('What was said, as text', { topic: 'lk.chat' })
   */
  sendText(text: string, options?: TextOptions): Promise<void>

  /**
   * Calls a method of another participant, as LiveKit's clients do, and resolves with its answer. Joins the room if it is not joined. Rejects
   * with `ERR_RPC`, whose `rpcCode` is LiveKit's: 1400 there is no such method, 1500 it failed, 1501 the call was not acknowledged within
   * 7 s, 1502 no answer within `timeoutMs`, 1503 the participant has left, 1504 the answer has more than 15 KiB, or one of the method's
   * own; with `ERR_DISCONNECTED` or `ERR_CLOSED` if the room is lost meanwhile; otherwise as {@link sendData}.
   *
   * @example
   * const answer = await session.performRpc({ to: 'alice', method: 'location', payload: '{}', timeoutMs: 5000 })
   */
  performRpc(request: RpcRequest): Promise<string>

  /**
   * Registers a method of this participant that others in the room can call: `handler` returns the answer, of up to 15 KiB. An error it throws is
   * sent to the caller if it has an integer `rpcCode`, with its `message` (256 bytes) and `rpcData` (15 KiB); any other error is a warning of the
   * process, and 1500 for the caller. A method of the same name is replaced. Throws `ERR_INVALID_ARGUMENT`, and `ERR_UNSUPPORTED_OPERATION`
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
   * Removes a method; callers get the error that there is none. Removing one that does not exist is no error.
   *
   * @example
   * session.unregisterRpc('pause')
   */
  unregisterRpc(method: string): void

  /** This participant as the room lists it; null while no room is joined, and for other outputs than `livekit`. */
  readonly localParticipant: Participant | null

  /**
   * Returns the others in the room, by identity. Empty while no room is joined, and for other outputs than `livekit`; while the connection is being
   * restored, the last known list. There is no event for those who were there when the room was joined; `participantJoined`, `participantChanged` and
   * `participantLeft` report changes. Hidden participants are not listed, and some servers list participants that only listen up to 3 s late.
   *
   * @example
   * const agents = session.participants().filter(({ kind }) => kind === 'agent')
   */
  participants(): Participant[]

  /** The present state of the connection to the output. Events that led to it may follow, as each is emitted in its turn. */
  readonly connection: ConnectionState

  /** The address at which an `http` output is served: `http://127.0.0.1:41233/`. Undefined until it is open, and for other outputs. */
  readonly url: string | undefined

  /**
   * Returns every live playback: playing and loading ones in order of arrival; then queued ones, track by track in order of their turn.
   *
   * @example
   * for (const { requestId, state, positionMs } of session.playbacks()) console.log(requestId, state, positionMs)
   */
  playbacks(): PlaybackInfo[]

  /**
   * Returns counts since the session began.
   *
   * @example
   * const { playing, queued, lateFrames } = session.stats()
   */
  stats(): SessionStats

  /**
   * Advances a manual clock. Nothing sleeps: it resolves when that time has been mixed and handed to the output, after the
   * events in it. A source that is still loading holds the clock until it can play or fails, so the same calls give
   * the same samples; a {@link SpeakerStream} does not, once all that was written to it is decoded.
   *
   * Await it before the next call. A call made while it runs takes effect at once, at a frame boundary that can't be
   * predicted. After `advance(907)` has resolved, the next playback starts at sample 907 × 48 exactly.
   *
   * Rejects with `ERR_UNSUPPORTED_OPERATION` on a realtime clock, `ERR_OUTPUT` if the output can't be opened or written, `ERR_CLOSED`
   * if the session is closed or `close` is called before the time has passed, `ERR_INTERNAL` if the session breaks. It also rejects
   * with `ERR_OUTPUT`, without advancing, if that would exceed the capacity of a `memory` or `wav` output (see {@link MemoryOutput} and
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
   * Returns a copy of the recording of the `memory` output so far.
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
   * Returns a Readable of the encoded mix, for one listener of a `stream` or `http` output: it begins with the headers of its format, then gives the sound
   * from `burstMs` before the call on, as fast as it is mixed. Opens the output, as `connect` does. `close` ends it after the last sound; destroying it
   * ends it alone. A reader that is slow delays nobody: one that is ten seconds behind continues with the newest sound (`droppedMs`). Only
   * a manual clock waits for whoever reads.
   * @throws {SpeakerError} `ERR_UNSUPPORTED_OPERATION` for other outputs, `ERR_CLOSED`, `ERR_INTERNAL`
   *
   * @example
   * const http = require('node:http')
   * const radio = new SpeakerSession({ output: { type: 'stream', codec: 'mp3' } })
   * const server = http.createServer((request, response) => {
   *   const stream = radio.audioStream()
   *   response.setHeader('Content-Type', stream.contentType)
   *   pipeline(stream, response).catch(() => {}) // the listener has left
   * })
   */
  audioStream(): SpeakerAudioStream

  /**
   * Listens to a participant in the room: returns a Readable of what they say from now on, which is also a source that `playAudio` plays live, in
   * this session or others. Can be called before `connect`, and before they are there; it goes on when they publish their track
   * anew, when they leave and come back, and when the room is joined anew. Only tracks that are listened to are subscribed to.
   *
   * The token needs the grant `canSubscribe`: without it the voice fails (`error`) with `ERR_REFUSED`, as it does if the server can't send the
   * track. `destroy` ends it, and so does `close` of the session, with `end` after the last frame.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, `ERR_UNSUPPORTED_OPERATION` for other outputs than `livekit`, `ERR_CLOSED`, `ERR_INTERNAL`
   *
   * @example
   * const voice = session.listen({ identity: 'alice', sampleRate: 16000 })
   * for await (const { frame, atMs } of voice) recognizer.write(frame)
   */
  listen(options: ListenOptions): SpeakerVoice

  /**
   * Stops everything (reason `'closed'`), closes the output, and ends the session. On a realtime clock playing playbacks fade out
   * first; on a manual clock, where no time is left, they end at the sample they have reached. A `connect` or `advance` in
   * progress rejects with `ERR_CLOSED`. In a room, the participant leaves; that takes at most 2 s. A second call
   * settles too.
   * If it resolves, the file of a `wav` output is complete and in its place: it waits for the disk as long as that makes progress.
   * Rejects with `ERR_OUTPUT` if the file can't be finished, or is not put in its place (see {@link WavOutput}), with `ERR_RECORD` if
   * the recording can't be finished.
   *
   * With `drain: true` nothing is stopped yet. Accepted playbacks go on to their end, including loading and queued ones; live streams
   * can be written to; `stopAudio`, `interrupt`, `pauseAudio`, `resumeAudio`, `seekAudio`, `setVolume`, `moveAudio`, `setMuted`, `mark`,
   * `unpublish` and the methods of {@link track} except `tap` work as before. `playAudio`, `createStream`, `connect`, `advance`, `tap` and `listen`
   * are refused with `ERR_CLOSED`. When nothing is live any more, at once if nothing is, the session is closed as by `close()`; after `withinMs`
   * the rest (paused playbacks, endless loops, streams that nobody ends) is stopped with reason `'closed'`. `close()` ends a drain at once, and of
   * two drains the one that ends first holds; every such call settles when the session is closed. A `connect` in progress goes on if something
   * is to be played.
   *
   * On a manual clock a drain advances the clock, as fast as sources allow, to the end of the last playback and of an `advance` in
   * progress. As in `advance` it waits for sources, but not for the writer of a stream: write and end it before. `withinMs` is in the
   * session's time there, and ends where the recording of a `memory` or `wav` output is full.
   *
   * @example
   * await session.close({ drain: true, withinMs: 8000 }) // what was accepted is heard to its end
   */
  close(options?: CloseOptions): Promise<void>

  /**
   * Describes, at the present sample, what plays, loads and waits, and the settings of tracks, as JSON from which {@link restore} or {@link adopt} goes
   * on. It changes nothing. The description holds URLs with their `headers` and sound: keep it secret. Sources that can't be opened again
   * are named in `unrestorable`. Once the session is closed nothing plays in it. See docs/hand-over.md.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`
   *
   * @example
   * const description = session.describe()
   * fs.writeFileSync('session.json', JSON.stringify(description), { mode: 0o600 })
   */
  describe(options?: DescribeOptions): SessionDescription

  /**
   * Ends everything with the reason `'handedOver'` and resolves with its description at the sample where it begins to fall silent: where
   * {@link restore} or {@link adopt} makes it rise over the same `fadeMs`, both sum to what one session would have given. What would end before that is
   * heard to its end here instead. The session takes requests as before: close it with `drain: true`, so that the fall is heard.
   *
   * With `whenReplaced` nothing happens until another session joins the room with this one's identity; then it resolves with the description at
   * the last sample before the server ended this one. Otherwise its playbacks would fail.
   *
   * Rejects with `ERR_INVALID_ARGUMENT`, with `ERR_UNSUPPORTED_OPERATION` (`whenReplaced` with another output than `livekit`, or a second time), or with
   * `ERR_CLOSED` if the session is closed before it was replaced.
   *
   * @example
   * const description = await session.handOver({ afterMs: 100 }) // the successor has so long to get ready
   * successor.send(description)
   * await session.close({ drain: true })
   */
  handOver(options?: HandOverOptions): Promise<SessionDescription>

  /**
   * Goes on with what another session described, beside what plays here: for a session that is connected already, so that nothing has to be
   * waited for. Playbacks that played start as soon as they are loaded, and those of a {@link handOver} not before its time; they keep their place, volume,
   * fades and what is left of `maxDurationMs`. Paused ones stay paused, queued ones keep their order and what is left of `queueTimeoutMs`. `stopOther`,
   * `maxConcurrent` and `maxQueued` are not applied. Volumes, pans and mutes of tracks are set.
   *
   * Returns a promise for each of `playbacks`, as `playAudio` does, in their order; events are as for new requests, and `durationMs` in them counts what was
   * heard before, too.
   * @throws {SpeakerError} `ERR_INVALID_ARGUMENT`, also if a `requestId` is live; `ERR_ACCESS_DENIED`, `ERR_CLOSED`, `ERR_UNSUPPORTED_OPERATION` with `record`
   *
   * @example
   * const results = await Promise.allSettled(session.adopt(description))
   */
  adopt(description: SessionDescription): Playing[]

  /**
   * The promises of all playbacks that this session has adopted, those of {@link restore} included.
   *
   * @example
   * await Promise.allSettled(session.adopted)
   */
  readonly adopted: Playing[]

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
  /** The destination of the sound. */
  output: WavOutput | PcmOutput | MemoryOutput | NoOutput | StreamOutput | HttpOutput | LiveKitOutput
  /**
   * The effect of `stopOther: false`; default `'mix'`. One rule for all tracks, or a rule by track: `{ default: 'mix', 2: 'queue' }`.
   * A request's own `overlap` takes precedence.
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
   * The number of playbacks that may load or play at once, including paused ones; 1–1000, default 10. One more place is reserved for a
   * {@link Role} `'system'`. Playbacks that fade out take no place, but no more than `maxConcurrent` of them fade at once: beyond
   * that the one that started first is cut to a fade of 5 ms.
   */
  maxConcurrent?: number | undefined
  /** The number of playbacks that may be queued, over all tracks; 0–100,000, default 100. */
  maxQueued?: number | undefined
  /**
   * The longest time a playback may be queued, in ms; 0–86,400,000, default 0: no limit. Then it fails with
   * `ERR_QUEUE_TIMEOUT`. Counted in the session's time; on a realtime clock in silence too. The count stands still while
   * everything that holds the track is paused, and while the queued playback itself is.
   */
  queueTimeoutMs?: number | undefined
  /**
   * The length of the crossfade from one playback to the next, in ms; 0–10,000, default 0. It applies between playbacks of one track
   * that queue (both have `overlap: 'queue'`) and to what a playback with `overlap: 'replace'` replaces. `stopOther: true` and
   * `stopAudio` stay immediate. The crossfade is of equal power, and at most half of either playback, as far as its length is known when it
   * begins. In a queue the next one begins that much before the end of the present one, or as soon as it has loaded; the end
   * of a stream is not known ahead, so the next one begins after it. On `replace` the old one goes on until the new one
   * begins, and ends all the same if that never does. A longer `fadeInMs` wins. Each playback with overlap `queue` or
   * `replace` then holds 0.4 MB more per second of crossfade and channel.
   */
  crossfadeMs?: number | undefined
  /** The longest a playback may sound, in ms; 1–86,400,000, default 300,000. Then it fails with `ERR_MAX_DURATION`. */
  maxDurationMs?: number | undefined
  /** Lowers the volume of lower roles while a higher one plays; off by default. See {@link Role}. */
  duck?: DuckOptions | undefined
  /** Linear gain on every playback; 0–16, default 1. */
  gain?: number | undefined
  /** Brings every source to the same loudness; off by default. See docs/loudness.md. */
  loudness?: LoudnessOptions | false | undefined
  /**
   * The interval between a playback's `progress` events, in ms of its sound; 0–86,400,000, default 1000, 0 for none. An event is emitted for every
   * interval, even for several within a frame.
   */
  progressIntervalMs?: number | undefined
  /**
   * The longest time a server may send nothing, before its response (including DNS lookup and redirects) and within it, in ms;
   * 1–86,400,000, default 10,000. Then the playback fails with `ERR_FETCH_TIMEOUT`; what has arrived is played first. In wall time on a
   * manual clock too. Time in which the process is suspended does not count.
   */
  fetchTimeoutMs?: number | undefined
  /**
   * The minimum rate at which a server has to send, in bytes per second, averaged over each `fetchTimeoutMs` from the first byte of the body on;
   * 0–1,000,000, default 100, 0 for no minimum. The slowest speech and radio have 700 or more. Below it the playback fails with
   * `ERR_FETCH_TIMEOUT`; what has arrived is played first. A body is read as fast as it comes, also while its playback is paused or
   * queued, so only the server and the network count.
   */
  minFetchBytesPerSecond?: number | undefined
  /**
   * The longest time from opening a source to its first sound (40 ms of it, or all of a shorter one), in ms;
   * 0–86,400,000, default 30,000, 0 for no limit. Then the playback fails with `ERR_START_TIMEOUT`; what has arrived is played first. With
   * `startMs` the first sound is that of `startMs`; an M4A with its index at the end has to be downloaded whole. A source is opened when its
   * playback has its turn, or is first in the queue; a loaded one may be paused or queued for longer. In wall time on a manual
   * clock too. Streams are exempt: their writer decides.
   */
  startTimeoutMs?: number | undefined
  /**
   * The longest time a stream that has started may be silent because its writer is behind, in ms; 0–86,400,000, default 0: no limit.
   * Then it fails with `ERR_STALLED`.
   */
  stallTimeoutMs?: number | undefined
  /**
   * The servers and files that `audioUrl` may name; default: that of the process (`configure`, `SPEAKER_SESSION_NETWORK`). See
   * {@link Network}.
   */
  network?: Network | undefined
  /**
   * A file to which every accepted request is written, for `speaker-session replay`: its time, the audio that came from memory
   * or was written to streams, and these options. An existing recording is replaced; any other file or a pipe is refused. A new
   * file is readable by its owner only. The user and the query values of http(s) URLs, and the values of `headers`, are
   * written as `<masked>`, unless `secrets` is true. The time of a request is the session's time from which it is in force: on a
   * realtime clock counted from when the output was first opened, silence included. If the file can't be written, one `error` event
   * with `ERR_RECORD` is emitted, and everything else goes on.
   */
  record?: string | URL | { path: string | URL; /** Default false. */ secrets?: boolean | undefined } | undefined
  /**
   * Receives the log lines of this session, instead of standard error and the listeners of `log`: pino, one of its
   * children, `console`, or anything else with these methods. The rules of {@link SpeakerSession.on} apply to it too.
   */
  logger?: Logger | undefined
}

/** A logger that is called like pino: with the fields of a line, and its text. */
export interface Logger {
  /** If it is missing, `debug` takes these lines. */
  trace?(known: LogFields, message: string): unknown
  debug(known: LogFields, message: string): unknown
  info(known: LogFields, message: string): unknown
  warn(known: LogFields, message: string): unknown
  error(known: LogFields, message: string): unknown
}

/** The fields of a log line beside its text. They contain no secrets. */
export interface LogFields {
  /** The part of this package, or of a library below, that logged it: `speaker_session::source::spool`. */
  target: string
  /** The session's {@link SpeakerSession.id}; missing for lines that belong to no session, such as those of shared connections. */
  session?: number
  requestId?: string
  /** Further fields of the line. */
  [field: string]: unknown
}

/** A line of the log. */
export interface LogLine extends LogFields {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  message: string
  /** The time at which it was logged: milliseconds since 1970. */
  time: number
}

/**
 * The effect of a request with `stopOther: false`:
 * - `mix`: plays at once, together with whatever plays, on the same track too;
 * - `queue`: waits for its turn on its own track, behind those of the same or a higher `priority`; tracks run in parallel; the next one
 *   follows without a gap;
 * - `replace`: replaces the playing, loading and queued playbacks of the same track; other tracks go on.
 */
export type Overlap = 'mix' | 'queue' | 'replace'

/** A rule by `trackId` (0–65,535), and one for all other tracks. */
export interface TrackOverlap {
  /** Default `'mix'`. */
  default?: Overlap | undefined
  [trackId: number]: Overlap
}

/**
 * The importance of a playback to its listener, from high to low. While a playback of one role plays, all lower roles are ducked, on all
 * tracks (see {@link DuckOptions}), by the same amount however many play. A playback that starts meanwhile starts at that level.
 * A playback ducks the others while it plays, at volume 0 too, but not while it is queued, loading or paused.
 * One `system` playback has a place of its own above `maxConcurrent`.
 */
export type Role = 'system' | 'voice' | 'media' | 'ambient'

/** The loudness that sources are brought to. docs/loudness.md describes how that of a source is known: from its tags, or by measuring it. */
export interface LoudnessOptions {
  /** In LUFS, as EBU R 128 measures it; −50 to −5, default −16. */
  targetLufs?: number | undefined
  /** The largest gain applied to a quiet source, in dB; 0–40, default 12. */
  maxGainDb?: number | undefined
}

/** Attack and release are straight lines of constant slope: one that is reversed midway takes less time. */
export interface DuckOptions {
  /** The change of level, in dB; −60 to 0, default −12. */
  db?: number | undefined
  /** The duration of the whole attack, in ms; 5–60,000, default 50. It begins with the first sample of the higher role. */
  attackMs?: number | undefined
  /** The duration of the whole release, in ms; 5–60,000, default 300. It begins with the sample after the higher role's last. */
  releaseMs?: number | undefined
}

/**
 * `realtime`: 20 ms of sound every 20 ms. A source that is late is replaced by silence, counted in `stats().underruns`.
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
 * A WAV file at 48 kHz (at 8 kHz in a {@link SampleFormat} of telephone lines) that contains all tracks, mixed. It is valid at any time, even if the
 * process dies. Silence in which nothing plays takes no space where the file system has sparse files. It holds 4 GiB: 12.4 h of mono in 16 bits.
 *
 * An existing file stays until `close`: the new one is written beside it as `<path>.part` (`.part2` and so on if that exists), and
 * then takes its place and its permissions. If the process dies or the disk is full, the old file stays and the new one is
 * left under that name, with what was written until then. A file that could not be written once is not written further: `close` rejects.
 *
 * The disk is written by separate threads, which get the mix every half second; nothing else waits for it. So `completed` and
 * `started` mean that the output took the sample, not that it is on the disk: a disk error that is found later is an `error` event,
 * current playbacks then fail, and `close` rejects. On the manual clock the mix waits for the disk: when `advance` has resolved, all but the
 * last half second is written. In real time at most 15 s of sound wait; what a slow disk has no space for fails with `ERR_OUTPUT`, and
 * its time is silent in the file. A disk that takes nothing for 10 s is an `error` event with `ERR_OUTPUT` too: current playbacks, `connect`,
 * `advance` or `close` fail, and so do new playbacks, until the disk answers; then the file goes on at the right place.
 *
 * No source of the session may be that file, under whatever name: its playback fails with `ERR_FILE`. The file is not replaced
 * then: if something else was played meanwhile, `close` rejects with `ERR_OUTPUT`, and its message says where that is.
 */
export interface WavOutput extends OutputBase {
  type: 'wav'
  /**
   * A path, or a `file:` URL. Links are followed. A device (`/dev/null`) and the empty file behind a descriptor (`/dev/stdout`) are written in
   * place. A pipe is refused.
   */
  path: string | URL
  /**
   * Keeps a file in which nothing sounded; default `true`. With `false` none is made, and an existing one stays as it
   * is.
   */
  keepUnheard?: boolean | undefined
  /** Default `'s16'`. In `'mulaw'` and `'alaw'` the file is at 8 kHz, and silence takes space. */
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
   * Emits frames in silence too; default `false`. With `true` one frame follows the other from the moment that the output is opened
   * (`connect`, or the first request) until the session is closed, also while everything is paused: for telephone lines and voice channels
   * that expect a frame every 20 ms. The session's time then goes on in silence, and it mixes 50 times a second. Only time that was lost
   * because the process was suspended (`stats().lostFrames`) is left out, since its frames would all come late: `atMs` jumps over it.
   */
  continuous?: boolean | undefined
  /**
   * Called for every frame while something sounds, and in silence only if it is `continuous`; otherwise the last frame before silence is
   * padded with silence. On a realtime clock at most 64 frames wait for it; more are dropped and counted in `stats().droppedFrames`.
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
 * Discards the sound, for use of the events alone: a replay of a day, or a test of request handling. Taps
 * receive it as with any other output. On the manual clock time in which nothing plays passes at once, and there is no limit to its length.
 */
export interface NoOutput extends OutputBase {
  type: 'none'
}

/** The options of outputs that encode the mix for any number of listeners. */
interface EncodedBase extends OutputBase {
  /**
   * `opus`: Ogg Opus (`audio/ogg`), the smallest, for browsers (Safari since 18.4) and players. `mp3`: MP3 at a constant bitrate (`audio/mpeg`), which
   * everything plays. `wav`: samples of 16 bits at 48 kHz in a WAV without an end (`audio/wav`), as a loopback to other programs.
   */
  codec: 'opus' | 'mp3' | 'wav'
  /**
   * In bit/s; 6000–510,000, default 64,000 for mono and 96,000 for stereo, with `mp3` 128,000 and 192,000, and the nearest bitrate that MP3 has (32,000
   * to 320,000). Not with `wav`.
   */
  bitrate?: number | undefined
  /**
   * The sound before its arrival that a listener gets at once, in ms; 0–5000, default 500. Players fill a buffer before they begin: with
   * it they begin at once, and are behind by as much. With 0 they begin when their buffer has filled in real time, and are behind by its length.
   */
  burstMs?: number | undefined
  /** The sound that is sent at a time, in ms, a multiple of 20; 20–500, default 100. Less is heard sooner, and costs more for each listener. */
  chunkMs?: number | undefined
}

/**
 * An endless encoded stream of the mix, for the program's own HTTP server, or any other destination: {@link SpeakerSession.audioStream}. Each
 * sound is encoded once for all listeners, and nothing while there is none. As with a radio, time goes on without listeners: playbacks
 * complete, and what nobody could hear is counted in `unheardMs`. While there are listeners silence is sent too, so that players do not stall.
 */
export interface StreamOutput extends EncodedBase {
  type: 'stream'
}

/**
 * The same, served by a HTTP server of its own, at {@link SpeakerSession.url}: each GET is a listener. The server starts when the output is opened (`connect`,
 * or the first request), which fails with `ERR_OUTPUT` if the port is taken, and ends with the session. It does not keep Node alive.
 */
export interface HttpOutput extends EncodedBase {
  type: 'http'
  /** The address or name to listen at; default `'127.0.0.1'`, which only this machine reaches. Everybody who reaches it may listen. */
  host?: string | undefined
  /** 0–65,535; default 0, any port that is free. */
  port?: number | undefined
  /** The path of the stream, with its `/`; default `'/'`. Others are answered with 404. */
  path?: string | undefined
}

/**
 * A LiveKit room, joined as a participant that only publishes: the tracks `speaker` (0), `app_audio` (1), `tts` (2) and those in
 * `trackNames` or `trackSources` when the room is joined, any other (`track_<n>`) when something first plays on it (see `publish`). A
 * track stays published until the session closes, or {@link SpeakerSession.unpublish} removes it. A playback waits until its track is published,
 * and normally until somebody subscribes to it (see `startWhen`): all of it is sent, and `started` is emitted then. In silence hardly anything is
 * sent: one packet about every 2 s. `close` sends the end of what sounded and keeps the connection for `lingerMs`, so that the last words are heard.
 *
 * A track may be muted, by a moderator or by {@link SpeakerSession.setMuted}; `onMute` determines what happens to its playbacks. If the
 * server removes a track from the room because the grant to publish is revoked, `unpublished` is emitted, its playing playbacks follow
 * `onReconnect`, and those that have not begun, or are requested meanwhile, fail with `ERR_PUBLISH_FAILED`. When the grant returns the track
 * is published again (`republished`). A refused track does not affect the others.
 *
 * A broken connection is restored, between `reconnecting` and `reconnected` events. If only the signalling is lost, sound goes on
 * without a gap. If sound does not arrive any more, another network path is searched for, for 15 s, during which the room keeps the
 * tracks. After that, or if the server has forgotten the session or is shut down, the room is joined and the tracks are published anew. There are up to
 * twenty attempts (about a minute; without limit while sound arrives), at increasing intervals and spread over the sessions of the process:
 * at most a hundred a second go to one server. `onReconnect` sets what the mix does while nothing arrives. If all fail, if the server asked
 * not to reconnect, if it refuses every token, or if another session has joined with the same identity meanwhile (the newer one stays:
 * `disconnected` with the reason `duplicateIdentity`), every playback fails with `ERR_DISCONNECTED`, and the next request joins again.
 */
export interface LiveKitOutput {
  type: 'livekit'
  /** 1 (default) or 2. */
  channels?: 1 | 2 | undefined
  /** ws(s) or http(s). */
  url: string
  /**
   * An access token that may join and publish, or a function that returns one and is called each time the room is joined. If it returns
   * the same one as before, or none, during a reconnect, the newer one that the server sent is used.
   */
  token: string | (() => string | Promise<string>)
  /**
   * `connect` (default): tracks 0, 1, 2 and those in `trackNames` and `trackSources` are published when the room is joined, and `connect` resolves when
   * they are, so that others can subscribe before the first sound. `lazy`: a track is published when something first plays on it. A list:
   * these tracks (0–65,535) are published when the room is joined, any other when something first plays on it.
   */
  publish?: 'lazy' | 'connect' | number[] | undefined
  /**
   * The moment when a published track takes its first samples. `subscribed` (default): when somebody subscribes to it (event `subscribed`), after
   * `subscribeTimeoutMs`, or at once if nobody else is in the room: so the first words are heard whole. `published`: at once.
   */
  startWhen?: 'published' | 'subscribed' | undefined
  /** The longest time a published track waits for its first subscriber, in ms; 0–86,400,000, default 2000. */
  subscribeTimeoutMs?: number | undefined
  /**
   * What happens to playbacks on a track while it is muted. `continue` (default): time passes, and `unheardMs` reports how much was
   * not heard. `pause`: they become silent within 5 ms and pause as by `pauseAudio`, with the events `paused` and `resumed`; playbacks
   * that would start there wait, and so does its queue. Such a pause and one by `pauseAudio` are independent.
   */
  onMute?: 'continue' | 'pause' | undefined
  /**
   * The time for which `close` keeps the connection after the last sound was sent, in ms; 0–10,000, default 500: about as long as the buffer of a
   * listener. If nothing was sent lately it does not wait.
   */
  lingerMs?: number | undefined
  /** Names in place of those above, by `trackId`. */
  trackNames?: Record<number, string> | undefined
  /**
   * The source with which each track is announced, by `trackId`; default `microphone`. Listeners may show and mix each source in its own
   * way, and a token may allow only some (`canPublishSources`, where `screenShareAudio` is called `screen_share_audio`).
   */
  trackSources?: Record<number, 'microphone' | 'screenShareAudio' | 'unknown'> | undefined
  /**
   * The Opus bitrate of each track, in bit/s; 6000–510,000, default 48,000, with two `channels` 64,000. A higher one takes little more time to encode.
   * Opus encodes at every bitrate in its music mode (CELT), so speech below 24,000 sounds coarse.
   */
  bitrate?: number | undefined
  /** The complexity of the Opus encoder, 0–10; default 5. */
  complexity?: number | undefined
  /**
   * Also sends nothing in pauses within a sound (Opus DTX); default false. A pause is silence, and from `complexity` 7 also what Opus
   * classifies as noise. Between sounds nothing is sent in any case.
   */
  dtx?: boolean | undefined
  /**
   * Each packet repeats the one before it (RFC 2198), and the one before that while the server reports that 3 % or more are lost: so
   * as many losses in a row are not heard, and twice or three times the bit rate is sent. Default true, with two `channels` false, as
   * in LiveKit's own clients; servers and listeners that can't read it get plain Opus. Opus's in-band FEC is not offered: it would
   * encode music as speech too, and take three times as long.
   */
  red?: boolean | undefined
  /**
   * A clip that begins in silence and sounds alone on its track is encoded once for all sessions of the process that play it at the
   * same volume with the same encoder settings; default true. Listeners hear no difference: the packets are those that an encoder of its own
   * would have made. If something begins over the clip, or a fade, a duck or a change of volume does, the session encodes by itself from that
   * frame on until the track is silent again. False for a track whose packets should not depend on other sessions of the process.
   */
  encodeOnce?: boolean | undefined
  /** The network paths that media may take to the server; default `'all'`. See {@link IceTransport}. */
  iceTransport?: IceTransport | undefined
  /**
   * The longest time for joining the room (including the answer of `token` and the DNS lookup of the server), or for publishing a track,
   * in ms; 1–86,400,000, default 10,000. Then it fails with `ERR_JOIN_FAILED`, whose message lists what was tried, or
   * the playbacks on the track fail with `ERR_PUBLISH_FAILED`.
   */
  connectTimeoutMs?: number | undefined
  /**
   * The behaviour of the mix while nothing arrives in the room. `pause` (default): the session's time stands still, and playbacks continue
   * where they were. `continue`: time passes unheard (`unheardMs`), and its frames are counted in `stats().droppedFrames`. `drop`:
   * every live playback fails with `ERR_DISCONNECTED`. Requests made meanwhile wait for the room. The same holds for playing playbacks of a single
   * track that the server has removed from the room: they pause, go on unheard, or fail with `ERR_PUBLISH_FAILED`.
   */
  onReconnect?: 'pause' | 'continue' | 'drop' | undefined
}

/** A participant in a LiveKit room. */
export interface Participant {
  /** Unique in the room. */
  identity: string
  /** The server's id of this stay in the room: after leaving and coming back it is another one. */
  sid: string
  name: string
  metadata: string
  attributes: Record<string, string>
  /** `standard` is a person's client; `sip` a telephone caller. */
  kind: 'standard' | 'agent' | 'sip' | 'ingress' | 'egress' | 'connector' | 'bridge'
  /** The published tracks, by name. */
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
 * - `all`: UDP; while no path is found there, one more route is tried each second: TCP to the server, if it offers that, then the
 *   TURN servers that it names, in their order;
 * - `tcp`: only TCP to the server;
 * - `relay`: only the TURN servers.
 *
 * TURN is used over UDP, TCP or TLS. For TLS, as for rooms over wss and sources over https, Mozilla's root certificates are
 * trusted, and those in the file that `NODE_EXTRA_CA_CERTS` names.
 */
export type IceTransport = 'all' | 'tcp' | 'relay'

/**
 * Returns the output for a room of the server named by `LIVEKIT_URL`, with tokens made by `livekit-server-sdk` (to be installed
 * beside this package) from `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`. `name`, `kind` and `attributes` describe the participant in the room
 * ({@link Participant}); a `kind` other than `standard` marks it as no person: agents take no `agent` for their user.
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
 * - `s16`, `f32`: 16-bit integers and 32-bit floats
 * - `mulaw`, `alaw`: one byte per sample at 8 kHz, as on telephone lines (ITU-T G.711): `mulaw` in North America and Japan, and for Twilio;
 *   `alaw` elsewhere
 */
export type SampleFormat = 's16' | 'f32' | 'mulaw' | 'alaw'

export interface FrameInfo {
  /** The session's time of the frame's first sample. It jumps over silence. */
  atMs: number
}

/**
 * The return value of `playAudio`: the promise of how the playback ends, with its `requestId`, and `started`.
 *
 * @example
 * const playing = session.playAudio({ audioUrl: 'hello.mp3' })
 * if (await playing.started) lamp.on()
 * const { outcome } = await playing
 */
export interface Playing extends Promise<PlayResult> {
  /** The request's, or a generated one; `undefined` if the request was refused, because there is no playback then. */
  readonly requestId: string | undefined
  /**
   * Resolves with `true` just after the event `started`: its first sample was handed to the output. Resolves with `false` if it ends without a
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
   * A name shared with other playbacks, such as the sentences of a turn, so that they can be stopped, paused or turned down
   * together (`stopAudio({ group })`); a non-empty string of well-formed Unicode. It is part of their events.
   */
  group?: string | undefined
  /** Any value of the caller's: it is part of each event of the playback, unchanged. It is not recorded (`record`). */
  context?: unknown | undefined
  /**
   * An http(s) URL, a `file:` URL, a `data:` URL or a path. An http(s) URL may also be that of a radio station, an HLS stream or a playlist
   * (M3U, PLS; see docs/servers.md). Either this or `audio`.
   */
  audioUrl?: string | URL | undefined
  /**
   * A whole audio file in memory, or with `format` raw samples, which is copied (once for all live playbacks of the same bytes); a
   * {@link SpeakerClip}; a {@link SpeakerVoice}; or a Readable, a web ReadableStream or another iterable of bytes, a Blob, or a Response of `fetch`,
   * which is read as its sound is played, and closed (`destroy`, `cancel` or `return`) as soon as the playback ends before it does, even
   * while a piece is awaited. A Response that is no success (`ok`) is refused with `ERR_HTTP_STATUS`. If it fails, or can't be read because it is
   * locked or consumed, what has arrived is played, and then the playback fails with `ERR_STREAM`; if it fails with an AbortError, the playback is
   * stopped at once (reason `'aborted'`). It can't be looped. If the request is refused, it is left untouched.
   */
  audio?: AudioBytes | SpeakerClip | SpeakerVoice | AudioBody | undefined
  /** The format of the bytes; required for raw samples only. */
  format?: StreamFormat | undefined
  /** As in {@link StreamRequest}. */
  sampleRate?: number | undefined
  /** As in {@link StreamRequest}. */
  channels?: 1 | 2 | undefined
  /** For a Readable or another iterable, in place of the session's, in ms; 0–86,400,000, 0 for ever. */
  stallTimeoutMs?: number | undefined
  /** For a Readable or another iterable; as in {@link StreamRequest}. */
  prebufferMs?: number | PrebufferBounds | undefined
  /** 0–1, default 1. At 0 it plays silently. */
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
  /** The longest time in the queue, in place of the session's, in ms; 0–86,400,000, 0 for ever. */
  queueTimeoutMs?: number | undefined
  /**
   * The place in the source at which it begins, in ms; 0–86,400,000, default 0. Exact to the sample: what is before it is decoded and dropped.
   */
  startMs?: number | undefined
  /**
   * The length of the part of the source that is played from there, in ms; 0–86,400,000, default: to its end. A cut inside the source fades out over
   * 5 ms. A playback without a single sample is completed without `started`.
   */
  durationMs?: number | undefined
  /**
   * The total number of passes, 1–1,000,000, or `true` for ever; default `false`, once. With `startMs` and `durationMs`
   * that section is repeated. There is neither a gap nor a fade at the seam; a source that is looped whole is resampled by one
   * filter across it, so it does not click. An empty section fails with `ERR_EMPTY_SOURCE`, also one that a seek left,
   * once its turn comes again.
   */
  loop?: boolean | number | undefined
  /**
   * Fade-in from silence, in ms; 0–86,400,000, default 0: the source's own first sample is left as it is. A start at another place
   * (`startMs`, a seek) fades in over 5 ms.
   */
  fadeInMs?: number | undefined
  /** Fade-out to silence before its end (in a loop, that of the last pass), in ms; 0–10,000, default 0. Not used by stops. */
  fadeOutMs?: number | undefined
  /**
   * When it is aborted, the playback is stopped as by `stopAudio` (reason `'aborted'`); if it is aborted already, the request is
   * refused with `ERR_ABORTED`. It is listened to until the playback ends. The signal of a request that joins another has no effect.
   */
  signal?: AbortSignal | undefined
  /** For http(s): sent with the request to its server, but not to other servers after a redirect. Values of the same name are joined with commas. */
  headers?: AudioHeaders | undefined
  /** The media type, if the server states it wrongly. The content itself decides; this and the extension are only hints. */
  contentType?: string | undefined
}

/**
 * `pcm16` and `f32` are raw samples, little-endian and interleaved, where ±32,768 and ±1 are full scale; a sample may be split
 * between two writes. The formats of telephone lines are raw samples too: `mulaw` and `alaw` (G.711, one byte per sample at 8 kHz) and `g722`
 * (64 kbit/s, one byte for two samples at 16 kHz). The others are file formats.
 */
export type StreamFormat = 'pcm16' | 'f32' | 'mulaw' | 'alaw' | 'g722' | 'mp3' | 'ogg' | 'wav' | 'flac' | 'aac' | 'm4a' | 'webm'

export interface StreamRequest
  extends Pick<
    PlayRequest,
    | 'requestId' | 'group' | 'context' | 'volume' | 'gain' | 'loudness' | 'stopOther' | 'overlap' | 'trackId' | 'role' | 'priority' | 'queueTimeoutMs'
    | 'startMs' | 'durationMs' | 'fadeInMs' | 'fadeOutMs' | 'signal'
  > {
  /** The format of what is written; required for raw samples only. For a file format the bytes themselves decide; this is only a hint. */
  format?: StreamFormat | undefined
  /** In Hz, 8000–192,000. Required for `pcm16` and `f32`; known for the formats of telephone lines; refused for file formats. */
  sampleRate?: number | undefined
  /** The channels of raw samples, default 1, and always 1 for `g722`; refused for file formats. */
  channels?: 1 | 2 | undefined
  /** In place of the session's, in ms; 0–86,400,000, 0 for ever. */
  stallTimeoutMs?: number | undefined
  /**
   * The amount of the stream that is buffered before it is heard, and before it goes on after a stall of its writer, in ms; 40–5,000, default 40.
   * With bounds it begins with `minMs`, and each stall of the writer adds as much as would have covered it, unless that would be more than
   * `maxMs`: then it was a rest, and nothing changes. After the end nothing more is waited for.
   */
  prebufferMs?: number | PrebufferBounds | undefined
}

/**
 * A playback whose bytes are written. It starts as soon as 40 ms of sound are there, or less if it is ended. While the writer is
 * behind it is silent (`stalled`), with a 5 ms fade out, and fades in again.
 *
 * `write` and `end` take bytes in any array ({@link AudioBytes}), and text only with an encoding that holds bytes (`'base64'`, `'base64url'`,
 * `'hex'`, `'latin1'`); they throw `ERR_INVALID_ARGUMENT` for anything else, and a stream into which anything else is piped fails. `write` calls
 * back when the bytes were taken: beside Node's own queue the stream buffers a second of raw samples, or 256 KiB of a
 * file format, also while the playback is queued. After `end` what was written is played, and `finish` is emitted when it
 * was. `destroy` stops the playback (reason `'destroyed'`), or with an AbortError (reason `'aborted'`); `destroy` with another error
 * fails it with `ERR_STREAM` after what was written.
 *
 * When the playback ends before that, the stream is destroyed with the error of the playback if it failed, and otherwise with
 * `ERR_ENDED`, a {@link SpeakerError} with how much was heard (not after `destroy`, for it is not known yet): it was
 * stopped, or it has completed (`durationMs`, the end of a file) and more might have been written. So `pipeline`, `stream.finished`,
 * `events.once` and the callbacks of writes reject or get that error; `events.once(stream, 'drain')` called when the
 * stream is closed already gets it too, by another `error` event. If you wait for `drain` in another way, listen for `close` as well. An
 * `error` event without a listener does not end the process. If the playback completes after `end` was called, `finish` is
 * emitted, whatever is left over.
 *
 * A manual clock does not wait for the writer: what was written before `advance` is heard in it, then silence.
 */
export interface SpeakerStream extends Writable {
  readonly requestId: string
  /** The same promise as {@link SpeakerSession.playAudio} returns. */
  readonly finished: Playing
  /**
   * Sets a mark after what was written so far: with raw samples it is reached at the exact sample, when all of that was heard. Also when the
   * stream is silent because nothing was written after it (up to 32 ms of sound are then held back by the resampler, for what follows), when
   * it is flushed, and when it ends. In a file format bytes can't be mapped to samples, so the mark is reached with a flush or the end.
   * Otherwise as {@link SpeakerSession.mark}.
   *
   * @example
   * speech.write(sentence)
   * const { atMs } = await speech.mark('first sentence')
   */
  mark(name: string): Promise<ReachedMark>
  /**
   * Drops what was written and not heard yet, with a 5 ms fade; resolves when that is done. What is written next, possibly at
   * once, begins with a new sample, or in a file format with a new file.
   *
   * @example
   * speech.write(sentence)
   * await speech.flush() // what the user does not want to hear any more
   */
  flush(): Promise<void>
  /**
   * Returns the present counts of the stream; `undefined` once its playback is over.
   *
   * @example
   * const ahead = speech.stats()?.bufferedMs ?? 0
   */
  stats(): StreamStats | undefined
}

export interface StreamStats {
  /** The decoded sound that was not heard yet, in ms. What was written and is not decoded is not counted. */
  bufferedMs: number
  /** The amount that is buffered before it is heard or goes on, in ms: see {@link StreamRequest.prebufferMs}; 0 until its turn. */
  prebufferMs: number
  /** The number of times its writer was late. */
  underruns: number
}

/** The bounds of how much of a stream is buffered, in ms. */
export interface PrebufferBounds {
  /** The initial amount, and again once half a minute was in time; 40–5,000, default 40. */
  minMs?: number | undefined
  /** The maximum, `minMs`–5,000; default 500, or `minMs` if that is more. */
  maxMs?: number | undefined
}

/** A track of a session, as {@link SpeakerSession.track} returns it. It can be used before anything plays there. */
export interface SpeakerTrack {
  readonly id: number
  /** The name in the room; for other outputs the default name: `speaker`, `app_audio`, `tts`, `track_<n>`. */
  readonly name: string
  /**
   * Changes the volume of the track, for its present and all its future playbacks: it multiplies with their own. In a straight line
   * from the present level over `fadeMs` of the session's time, or at once if nothing of the track sounded in the sample before. It stays
   * when the room is lost and joined anew.
   * Rejects with `ERR_INVALID_ARGUMENT`, `ERR_CLOSED` after `close`, `ERR_INTERNAL` if the session broke.
   *
   * @example
   * await session.track(1).setVolume({ volume: 0.3, fadeMs: 500 })
   */
  setVolume(change: TrackVolume): Promise<void>
  /**
   * Pans the track, for its present and all its future playbacks: the other channel is turned down in a straight line, and neither channel is
   * mixed into the other. In everything else like `setVolume`.
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
   * Returns the present state of the track, and counts since the session began.
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

/** A change of a track's volume. Missing values stay as they are; one of `volume` and `gain` is required. */
export interface TrackVolume {
  /** 0–1; 1 until it is set. */
  volume?: number | undefined
  /** Linear, on top of `volume`; 0–4 (12 dB), 1 until it is set. Peaks over full scale are limited. */
  gain?: number | undefined
  /** How long the change takes, in ms; 0–86,400,000, default 5. */
  fadeMs?: number | undefined
}

export interface TrackPan {
  /** -1 is the left channel alone, 1 the right one; 0, both unchanged, until it is set. */
  pan: number
  /** How long the change takes, in ms; 0–86,400,000, default 5. */
  fadeMs?: number | undefined
}

export interface TrackStats {
  /** Frames of 20 ms in which something of the track was mixed, at volume 0 too. */
  frames: number
  /** The number of times a source on it was late (realtime clock). */
  underruns: number
  /** The sound that is decoded ahead of the present place, in ms: the minimum over all its playbacks; 0 if nothing plays. */
  bufferedMs: number
  /** Including those that fade out. */
  playing: number
  loading: number
  queued: number
  /** Not counted in the three above. */
  paused: number
}

export interface TapOptions {
  /**
   * Only this live playback (`undefined` is refused): what it adds to the mix, after its volume and its track's, and before the limiter. In real time
   * it may have begun when this is called. The tap ends when the playback is over. Not together with `trackId`.
   */
  requestId?: string
  /**
   * Only this track, 0–65,535; default: everything. In a room it is what is sent of the track. For other outputs it is what the track
   * adds to the mix, after its volume and before the limiter: 32-bit floats may exceed ±1, 16 bits are clipped there.
   */
  trackId?: number
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat | undefined
  /** As for {@link WavOutput}. */
  dither?: boolean | undefined
  /** In Hz, 8000–192,000; default 48,000, or 8000 for the formats of telephone lines, which require it. */
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
 * or of a track that is muted in the room.
 *
 * Silence produces no frames. Each frame has its time, so a reader that needs a continuous signal fills the time between two
 * frames with zeros, and stays in step after every loss. The last frame before silence is padded with zeros. On a realtime
 * clock it is emitted at once, and sound that begins before its end comes after it: to keep every time exact, use a `frameMs` of
 * 10 or 20 there.
 *
 * Up to 64 frames wait for the reader. On a realtime clock further frames are lost. On a manual clock `advance` waits for the
 * reader while one is attached (`for await`, `pipe`, a `data` listener), so do not await `advance` inside that
 * loop; while none is attached, frames are lost there too.
 *
 * `destroy` ends it, and so does `close` of the session, with `end` after the last frame. It does not keep Node alive, except that the tap of a
 * playback (`requestId`) does until its `end`, which comes just after the playback's.
 */
export interface SpeakerTap extends Readable {
  /** Frames that were lost because they were not read in time. */
  readonly dropped: number
  read(): TapFrame | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<TapFrame>
}

/**
 * The encoded mix, as bytes, for one listener: see {@link SpeakerSession.audioStream}. Up to ten seconds wait for a slow reader, of which one copy
 * exists for all. On a manual clock `advance` waits for the reader while one is attached (`for await`, `pipe`, a `data` listener), so do not
 * await `advance` inside that loop.
 *
 * Its end comes after the last sound of the session. It does not keep Node alive.
 */
export interface SpeakerAudioStream extends Readable {
  /** The content type for a response: `audio/ogg; codecs=opus`, `audio/mpeg` or `audio/wav`. */
  readonly contentType: string
  /** The sound that was left out because it was not read in time, in ms. The stream has no gap there: players continue with what follows. */
  readonly droppedMs: number
}

/** The participant that {@link SpeakerSession.listen} listens to, and the format of the frames. */
export interface ListenOptions {
  /** A non-empty string of well-formed Unicode: their identity in the room ({@link Participant.identity}). */
  identity: string
  /** The name of their track. Default: their microphone, or otherwise the first audio track that they publish. */
  trackName?: string | undefined
  /** Default `'s16'`; little-endian, interleaved. */
  format?: SampleFormat | undefined
  /** As for {@link WavOutput}. */
  dither?: boolean | undefined
  /** In Hz, 8000–192,000; default 48,000, or 8000 for the formats of telephone lines, which require it. */
  sampleRate?: number | undefined
  /** Default 1, whatever is received. */
  channels?: 1 | 2 | undefined
  /** Length of a frame in ms, 10–100, a whole number of samples; default 20. */
  frameMs?: number | undefined
}

/**
 * The voice of a participant in the room: a Readable in object mode of frames, for each of which `atMs` is the session's time when it arrived, or
 * would have arrived on a network without jitter. Like {@link SpeakerTap} it produces no frames in silence, its last frame before a silence is
 * padded with zeros, 64 frames wait for the reader, and further ones are lost (`dropped`).
 *
 * Lost packets are recovered from the copies in later packets (RED, in-band FEC), or concealed for up to 100 ms, followed by silence.
 * The delay follows the jitter of the network, and sound is cut or stretched by whole periods of the voice where that changes; within a
 * sound `atMs` goes on with the samples.
 *
 * As `audio` of `playAudio` it needs no reader. It is live: it begins with what is said next, what is said while it is paused is not heard, and
 * silence is no underrun. `startMs`, `durationMs`, `fadeOutMs`, `loop` and the options of streams are refused beside it
 * (`ERR_INVALID_ARGUMENT`), and so is any such playback in a session with `record`, for it can't be replayed (`ERR_UNSUPPORTED_OPERATION`). It
 * completes when the voice ends.
 */
export interface SpeakerVoice extends Readable {
  /** Frames that were lost because they were not read in time. */
  readonly dropped: number
  /** Returns counts of how well they are received. */
  stats(): VoiceStats
  read(): TapFrame | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<TapFrame>
}

/** Reception counts of a voice since it was made; the participant may have published several tracks since. */
export interface VoiceStats {
  /** Packets that arrived, each counted once. */
  receivedPackets: number
  /** Packets that have not arrived so far. */
  lostPackets: number
  /** Packets that arrived too late to be heard. */
  latePackets: number
  /** Lost packets that were heard from a copy in a later one. */
  recoveredPackets: number
  /** The duration of concealed sound, in ms. */
  concealedMs: number
  /** The delay of the last sound compared with a packet that nothing held up, in ms. */
  delayMs: number
  /** The interarrival jitter of packets, in ms (RFC 3550 §6.4.1). */
  jitterMs: number
  /** The number of times a playback of it had nothing to play in the middle of a sound. */
  underruns: number
}

/** A mark that was reached. */
export interface ReachedMark {
  name: string
  /** The session's time at which it was reached. */
  atMs: number
}

/** The part of a playback that was handed over and heard. */
export interface Heard {
  /** The time for which it sounded. */
  durationMs: number
  /** The place in the source at which it ended. */
  positionMs: number
  /**
   * The part of `durationMs` that nobody could hear: its track was muted or out of the room, the room was cut off, or nobody listened to a
   * `stream` or `http` output. Exact as of the
   * moment when the session was informed. Missing if there is none.
   */
  unheardMs?: number
}

export type PlayResult =
  | ({ requestId: string; outcome: 'completed' } & Heard)
  | ({ requestId: string; outcome: 'stopped'; reason: string } & Heard)

export interface CloseOptions {
  /** Plays everything accepted to its end first; default `false`. */
  drain?: boolean | undefined
  /**
   * With `drain`: the time after which the rest is stopped, in ms; 1–86,400,000, default 30,000. In wall time on a realtime clock, in
   * silence too.
   */
  withinMs?: number | undefined
}

export interface DescribeOptions {
  /** The largest source in memory that is described, in bytes (a third more as base64); 0–268,435,456, default 1,048,576. Larger ones are `unrestorable`. */
  maxBufferBytes?: number | undefined
}

export interface HandOverOptions extends DescribeOptions {
  /** The length of the fall to silence, in ms; 5–1000, default 20. */
  fadeMs?: number | undefined
  /**
   * When it begins, in ms from now; 0–5000, default 0. Playbacks go on until then, and the description tells where they will be: the successor has so long to
   * receive it and to open the sources. What loads or waits is stopped at once.
   */
  afterMs?: number | undefined
  /** Waits until the room gives this session's place to another one with its identity; default `false`. Neither `fadeMs` nor `afterMs` may stand beside it. */
  whenReplaced?: boolean | undefined
}

/** What a session plays, as JSON. Its fields may be read; it is made by `describe` and `handOver` alone. It holds secrets: URLs, their headers, sound. */
export interface SessionDescription {
  /** The version of this form. Another one is refused. */
  version: 1
  /** The session's time that is described. */
  atMs: number
  /** When, in ms since 1970, and how the successor rises from silence; only of a `handOver` with a fade. */
  handOver?: { atMs: number; afterMs: number; fadeMs: number }
  /** The options of the session, as given, with the channels of its output. */
  options: Omit<SessionOptions, 'output' | 'network' | 'record' | 'logger'> & { channels?: 1 | 2 }
  /** Those that play and load, in order of arrival, then those that wait, in order of their turn. */
  playbacks: DescribedPlayback[]
  tracks: DescribedTrack[]
  /** What can't go on elsewhere. */
  unrestorable: UnrestorablePlayback[]
}

/** A playback: its request, with what is left of it, and how far it is. */
export interface DescribedPlayback {
  requestId: string
  group?: string
  /** As far as JSON can hold it; left out otherwise. */
  context?: unknown
  trackId: number
  role: Role
  overlap?: Overlap
  priority: number
  volume: number
  gain: number
  loudness?: LoudnessOptions | false
  /** A URL, or an absolute path. */
  audioUrl?: string
  /** In place of `audioUrl`: the bytes in base64. */
  audio?: string
  contentType?: string
  headers?: Record<string, string>
  startMs: number
  durationMs?: number
  /** The passes that are left, this one included. */
  loop: boolean | number
  fadeInMs?: number
  fadeOutMs: number
  /** What is left of it. */
  queueTimeoutMs?: number
  state: PlaybackInfo['state']
  /** Only while it waits in line. */
  queuePosition?: number
  /** Its place in its source. */
  positionMs: number
  /** How much of it was heard. */
  heardMs: number
  /** Fades under way, by the time that was heard of it. */
  ramps?: { volume?: DescribedRamp; rise?: DescribedRamp; cross?: DescribedRamp; stop?: DescribedRamp }
  /** Why it is being stopped. */
  stopReason?: string
}

/** A level that changes from `from` to `to`, beginning when `atMs` of the playback were heard. */
export interface DescribedRamp {
  from: number
  to: number
  atMs: number
  lengthMs: number
  curve?: 'equalPower'
}

export interface DescribedTrack {
  trackId: number
  volume: number
  gain: number
  pan: number
  muted: boolean
  /** The rest of a fade to `volume` and `gain`. */
  volumeFade?: { from: number; restMs: number }
  /** The rest of a fade to `pan`, from these levels of the left and the right channel. */
  panFade?: { from: [number, number]; restMs: number }
}

export interface UnrestorablePlayback {
  requestId: string
  /**
   * - `stream`: of createStream, a Readable, an iterable, a Blob or a Response;
   * - `voice`: a voice that was listened to;
   * - `tooLarge`: bytes of more than `maxBufferBytes`;
   * - `clipClosed`: a clip of bytes that was closed;
   * - `duplicate`: it fades out, and a newer playback has its `requestId`.
   */
  reason: 'stream' | 'voice' | 'tooLarge' | 'clipClosed' | 'duplicate'
  positionMs: number
  heardMs: number
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
 * - `reconnecting`: the connection to the room is being restored; sound may go on meanwhile;
 * - `disconnected`: it could not be opened, or was lost for good; the next request opens it anew;
 * - `closed`: the session is closed. Until `close` has resolved, it is one of the others.
 *
 * Outputs other than `livekit` are `connected` until the session is closed.
 */
export type ConnectionState = 'new' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'closed'

/**
 * One request, every live playback of one track or of one group, or everything if none is given. More than one is refused, and so is one that is
 * present but `undefined`: losing an id must not mean everything.
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
   * `'destroyed'`, `'interrupted'`, `'unpublished'`, `'handedOver'` and `'closed'`.
   */
  reason?: string | undefined
  /** The duration of the fade-out, in ms; 0–86,400,000, default 5. */
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
  /** The roles that keep playing; default none. */
  keep?: Role[] | undefined
  /** The `reason` of the `stopped` events; default `'interrupted'`. */
  reason?: string | undefined
  /** The duration of the fade-out, in ms; 0–86,400,000, default 5. */
  fadeOutMs?: number | undefined
  /**
   * The time for which playing playbacks go on before they fade, in ms of the session's time; 0–86,400,000, default 0. Those that end by then are
   * `completed`; loading and queued ones are stopped at once, and the tracks are free at once. A stop ends it sooner.
   */
  afterMs?: number | undefined
}

export interface InterruptResult {
  /** The session's time at the call, in ms: frames from there on contain only the fade of these playbacks. */
  atMs: number
  /**
   * The playbacks that this call stopped, in the order of `playbacks()`, each with its place in its source at the call. Its
   * `stopped` event has the place where it ended, including the fade.
   */
  interrupted: { requestId: string; group?: string; trackId: number; role: Role; positionMs: number }[]
  /**
   * The groups of these playbacks, and how much was heard of each until the call, in ms: the sum over all playbacks of that `group`
   * in this session, including ended ones, without `unheardMs`. Ended playbacks are remembered for
   * the 64 groups in which something ended last.
   */
  groups: { group: string; heardMs: number }[]
}

export interface MoveRequest {
  requestId: string
  /** Its position in the queue of its track, 1 is next; 1–100,000. */
  queuePosition: number
}

export interface MoveResult {
  /** True if the playback was queued, and so is at that position now. */
  moved: boolean
}

/**
 * Bytes in memory. Samples in an Int16Array (`pcm16`) or a Float32Array (`f32`) count as bytes where `format` says so; other arrays of numbers wider
 * than a byte are refused, and so is text: use `Buffer.from(text, 'base64')` for the bytes of a text in base64.
 */
export type AudioBytes = Uint8Array | Uint8ClampedArray | Int8Array | Int16Array | Float32Array | DataView | ArrayBuffer | SharedArrayBuffer

/**
 * A source of bytes in pieces: a Readable, a web ReadableStream or another iterable, as an array or a generator, a Blob, or a Response of
 * `fetch`, whose body is consumed.
 */
export type AudioBody = AsyncIterable<AudioBytes> | Iterable<AudioBytes> | AudioBlob | AudioResponse

/** Headers by name, or pairs of name and value: a Map, or the Headers of `fetch`. Undefined values are left out. */
export type AudioHeaders = Record<string, string | number | undefined> | Iterable<readonly [string, string | number | undefined]>

/** A Blob or a File, as Node and browsers have it. */
export interface AudioBlob {
  readonly size: number
  readonly type: string
  stream(): ReadableStream
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The Response of `fetch`. */
export interface AudioResponse {
  readonly ok: boolean
  readonly status: number
  readonly body: AsyncIterable<Uint8Array> | ReadableStream | null
  readonly bodyUsed: boolean
}

/** The source of a {@link SpeakerSession.clip}: either `audioUrl` or `audio`. */
export interface ClipSource {
  /** An http(s) URL, a `file:` URL, a `data:` URL or a path. */
  audioUrl?: string | URL | undefined
  /**
   * A whole audio file in memory, or with `format` raw samples, which is copied; or a source of its bytes, 256 MiB at most
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
  /** As in {@link SessionOptions}. It applies while the clip is made; the clip plays in any session. */
  network?: Network | undefined
  /** Aborts the making of the clip, which then rejects with `ERR_ABORTED`; no effect once it is made. */
  signal?: AbortSignal | undefined
}

export interface ProbeOptions {
  /** Measures the loudness and the exact length; default false. */
  loudness?: boolean | undefined
}

/** The result of {@link SpeakerSession.probe}. */
export interface ProbeResult {
  /**
   * The container format: `'wav'`, `'w64'`, `'aiff'`, `'au'`, `'caf'`, `'amr'`, `'flac'`, `'ogg'`, `'mp4'`, `'mpeg'`, `'adts'`, `'loas'`, `'matroska'`,
   * `'mpegts'`; others may follow. If there are several files one after the other, that of the first.
   */
  container: string
  /** The codec of the samples: `'pcm_s16le'`, `'mp3'`, `'opus'`, `'aac'`, … */
  codec: string
  /** Of the first sample, in Hz; 0 if there is none. */
  sampleRate: number
  /** Of the first sample; 0 if there is none. */
  channels: number
  /** The length; `null` if it can't be known before the end, as for a live stream. */
  durationMs: number | null
  /** True if its samples were counted, or the file states their number; false if the length is estimated from the bit rate, or unknown. */
  exact: boolean
  /** Its tags. */
  tags: ProbeTags
  /** Present if it was requested. */
  loudness?: {
    /** As EBU R 128 measures it (ITU-R BS.1770-5), over its own channels, to 0.1 LU; `null` for silence. */
    integratedLufs: number | null
    /** The highest true peak, in dB over full scale; `null` for silence. */
    truePeakDb: number | null
    /** The loudness according to its tags: −18 LUFS less `REPLAYGAIN_TRACK_GAIN`, or −23 LUFS less `R128_TRACK_GAIN`; `null` without such a tag. */
    taggedLufs: number | null
  }
}

/** The tags that are present. Their content comes from the file, and is cut to 4 KiB each. */
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
 * is freed once it is closed or garbage-collected, and no playback of it is playing or queued.
 */
export interface SpeakerClip {
  /** The length, in ms; exact to the sample. 0 once it is closed. */
  readonly durationMs: number
  /** 1, or 2 if its source has more than one channel; 0 once it is closed. */
  readonly channels: 0 | 1 | 2
  /**
   * Its share of `maxClipBytes`: 192,000 a second if its source is mono, otherwise 576,000, for mono and stereo sessions; and the file, if
   * that was given as bytes. 0 once it is closed.
   */
  readonly bytes: number
  /**
   * Releases the clip. Playing and queued playbacks go on; a later request for it rejects with `ERR_CLOSED`. A second call does nothing.
   *
   * @example
   * const chime = await SpeakerSession.clip({ audioUrl: 'chime.wav' })
   * chime.close()
   */
  close(): void
  /** Releases the clip, like `close`. */
  [Symbol.dispose](): void
}

export interface PlaybackInfo {
  requestId: string
  /** Missing if the request had none. */
  group?: string
  trackId: number
  role: Role
  /**
   * `'paused'` takes the place of any of the first three, and also means playbacks that stand still because their track is muted (`onMute`) or out of
   * the room. `'stopping'`: it fades out, or goes on until its replacement begins
   * (`crossfadeMs`).
   */
  state: 'queued' | 'loading' | 'playing' | 'paused' | 'stopping'
  /** Its place in its source. */
  positionMs: number
  /** Its position in the queue of its track, 1 is next; only while it waits there. */
  queuePosition?: number
}

export interface ProcessOptions {
  /**
   * The maximum number of bytes of downloads kept, in memory and in temporary files, over all sessions: an integer from 1048576 (1 MiB)
   * to 1099511627776 (1 TiB); 1073741824 (1 GiB) until it is set. A playback keeps what it has downloaded until it ends, because it
   * may be sought. When the limit is reached, downloads wait; the last quarter is reserved for playbacks that are about to stall and have
   * downloaded less than 8 MiB. One that has nothing left to play and gets no space for `fetchTimeoutMs` fails with `ERR_SPOOL_FULL`. Setting a
   * lower number than is in use drops nothing.
   */
  maxSpoolBytes?: number | undefined
  /**
   * The maximum number of bytes that all clips of the process may hold: an integer from 0 to 1099511627776 (1 TiB); 268435456 (256 MiB) until it is
   * set: 23 minutes of mono sources, or 7 of stereo ones. Setting a lower number than is in use drops nothing.
   */
  maxClipBytes?: number | undefined
  /**
   * The servers and files that `audioUrl` may name, for sessions and clips without a `network` of their own, from their next request on; until it is
   * set, that of the environment variable `SPEAKER_SESSION_NETWORK` (`any`, `public` or an object as JSON), otherwise `'any'`.
   */
  network?: Network | undefined
  /**
   * The largest load of the media threads, as a share of their time, up to which outputs are opened; 0–1, 0.5 until it is set. Beyond it they are
   * counted, and refused with `refuseOverload`. See {@link SpeakerSession.capacity}.
   */
  maxLoad?: number | undefined
  /**
   * Refuses to open outputs beyond `maxLoad`: `connect` rejects and playbacks fail with `ERR_OVERLOADED`. False until it is set: they are
   * logged. Outputs that are open are not affected, nor is the manual clock.
   */
  refuseOverload?: boolean | undefined
}

/** The time that the media threads of the process have left. */
export interface Capacity {
  /** The number of media threads, one for each core that the process may use. */
  wheels: number
  /** The share of their time that was used in the last second, 0–1. */
  load: number
  /** The same of the busiest of them. */
  busiest: number
  /** The load up to which outputs are opened. */
  maxLoad: number
  /** The number of sessions like the present ones that still fit: an estimate; null while those do nothing. */
  sessionsLeft: number | null
  /** Outputs that were opened, or refused, beyond `maxLoad`. */
  exceeded: number
  /** Those of them that were refused. */
  refused: number
}

export interface CacheOptions {
  /**
   * The maximum number of bytes that it holds, in memory: an integer from 0 to 1099511627776 (1 TiB); 0 until it is set. 0 turns it off and empties it;
   * reads in progress finish. A body larger than a quarter of it is not kept. Without it nothing changes.
   */
  maxBytes?: number
}

/** The contents of the cache, and its counts since the process began. */
export interface CacheStats {
  maxBytes: number
  /** Bodies that are kept, are being fetched, or are still being read. */
  bytes: number
  /** The number of bodies kept. */
  entries: number
  /** Requests answered from memory, without asking a server. */
  hits: number
  /** Requests answered by a fetch that another request had begun. */
  joined: number
  /** Requests answered from memory after a server was asked (304). */
  revalidated: number
  /** Requests that a server answered, or that failed. Those that bypass the cache are not counted. */
  misses: number
}

/**
 * The servers and files that sources may be read from. Others fail with `ERR_URL_BLOCKED`. The address that is
 * really connected to is checked, and on every redirect; see docs/network.md.
 *
 * - `'any'`: all servers except link-local addresses and those of clouds' own services (metadata), and all files
 * - `'public'`: servers at public addresses, and no files
 * - an object: the same as `'public'`, with exceptions
 */
export type Network = 'any' | 'public' | NetworkRules

/**
 * Exceptions from `network: 'public'`. A server is a host (`minio`), all hosts below a domain (`*.example.com`), an address (`10.0.0.1`, `::1`) or
 * a range of addresses (`10.0.0.0/8`); only at one port if that follows (`minio:9000`, `[::1]:9000`, `10.0.0.0/8:9000`).
 */
export interface NetworkRules {
  /** Servers that may be reached, wherever they are, unless `deny` lists them too; none by default. */
  allow?: string[] | undefined
  /** Servers that may not be reached; none by default. */
  deny?: string[] | undefined
  /** Allows `audioUrl` to be a path or a `file:` URL; default false. */
  files?: boolean | undefined
}

export interface ProcessStats {
  /** Sessions that are not closed. */
  sessions: number
  /** The number of sessions that broke by an internal error: 0, or please report it. */
  broken: number
  /** Clips that hold memory, or will when they are made. */
  clips: number
  /** The bytes they hold, of `maxClipBytes`. */
  clipBytes: number
}

export interface ProcessMetrics extends ProcessStats {
  /** Accepted requests and streams: the sum of ended and live ones. */
  requests: number
  /** Playbacks that started. */
  started: number
  completed: number
  stopped: number
  failed: number
  /** `failed` by code; codes that never occurred are missing. */
  failures: { [Code in SpeakerErrorCode]?: number }
  /** The number of times an output or a room could not be opened, was lost for good or took no frame, or a track was refused or removed. */
  outputErrors: number
  /** The number of times the connection to a room was lost and `reconnecting` was emitted. */
  reconnects: number
  /** As in {@link SessionStats}. */
  underruns: number
  /** As in {@link SessionStats}. */
  lateFrames: number
  /** As in {@link SessionStats}. */
  lostFrames: number
  /** As in {@link SessionStats}. */
  droppedFrames: number
  /** Internal errors: 0, or please report them. Each ended a source, a session or nothing. */
  panics: number
  /** The counts of {@link SpeakerSession.cache}. */
  cache: CacheStats
  /** The result of {@link SpeakerSession.capacity}. */
  capacity: Capacity
  /** Playbacks that are loading, playing, paused or fading out now. */
  active: number
  /** Playbacks that are queued now. */
  queued: number
  /** The time from a request to its first sample, of those that started, including the time in the queue. On the manual clock in the session's time. */
  firstFrameLatencyMs: Histogram
  /** The time for which ended playbacks sounded, however they ended; those that never started are left out. */
  durationMs: Histogram
}

export interface Histogram {
  count: number
  /** The sum of all values. */
  sum: number
  /** In order of their bounds, which never change while the process runs. */
  buckets: { /** The upper bound, included. */ upto: number; /** How many values are no larger. */ count: number }[]
}

export interface DataOptions {
  /** The topic, for the recipients. */
  topic?: string | undefined
  /**
   * `true` (default): sent again until it arrives, and in order. `false`: sent once, and nothing waits for it when it is lost; if it is
   * larger than 1,300 bytes it takes several packets on the network, each of which may be lost.
   */
  reliable?: boolean | undefined
  /** The identities of the recipients; all others if missing. */
  to?: string[] | undefined
}

export interface TextOptions {
  /** The topic: LiveKit's clients receive texts by their topic. */
  topic?: string | undefined
  /** The identities of the recipients; all others if missing. */
  to?: string[] | undefined
  /** Attributes sent with it. */
  attributes?: Record<string, string> | undefined
}

export interface RpcRequest {
  /** The identity of the participant. */
  to: string
  method: string
  /** Up to 15 KiB; empty by default. */
  payload?: string | undefined
  /** The longest time until the answer; 15,000 by default. */
  timeoutMs?: number | undefined
}

export interface RpcCall {
  /** The id of the call, the same for the caller. */
  requestId: string
  /** The identity of the caller; null if they are hidden. */
  identity: string | null
  payload: string
  /** The time for which the caller waits for the answer. */
  timeoutMs: number
}

export interface SessionStats {
  /** The session's time. On a realtime clock it stands still while the session is idle, and catches up with the next sound. */
  timeMs: number
  /** Including those that fade out. */
  playing: number
  loading: number
  queued: number
  /** Not counted in the three above. */
  paused: number
  completed: number
  stopped: number
  failed: number
  /** The number of times a source was late (realtime clock). */
  underruns: number
  /** Frames that `onFrame` or listeners did not take in time, or that were mixed while no room was there to hear them. */
  droppedFrames: number
  /**
   * Frames that were mixed more than 20 ms after they were due, when the next one was due already, because the machine or the process was busy
   * (realtime clock). One or two in a row are seldom heard in a room; many mean that this machine is overloaded.
   */
  lateFrames: number
  /** Frames that were skipped because the process was suspended for over half a second. */
  lostFrames: number
  /**
   * Packets sent into the room as they had been encoded for another session, or for this one before: of clips that sounded
   * alone. See `encodeOnce` of {@link LiveKitOutput}.
   */
  sharedPackets: number
  /** Packets of data and texts from others that were dropped because 4 MiB waited for this thread of JavaScript; 1 MiB of lossy ones. */
  droppedData: number
  /** The quality of the connection to the room; missing until the server has reported it. */
  link?: LinkStats
}

export interface LinkStats {
  /** The server's rating of what arrives. */
  quality?: 'excellent' | 'good' | 'poor' | 'lost'
  /** The fraction of packets lost, 0–1, from the last receiver report (RFC 3550); every 10 s while something is sent. */
  loss?: number
  /** The interarrival jitter of packets. */
  jitterMs?: number
  /** The round-trip time to the server; up to 20 ms too long, because reports are read when a frame is due. */
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
  /** 1 for the session's first event, increasing by one. */
  seq: number
  /** The session's time at which it happened, exact to the sample. */
  atMs: number
}

/** Fields of every event about a playback. */
export interface PlaybackEvent extends SpeakerEvent {
  requestId: string
  trackId: number
  /** The request's group; missing if it had none. */
  group?: string
  /** The request's context, as it was given; missing if it had none. */
  context?: any
}

/**
 * Every accepted request ends in exactly one of `completed`, `stopped` and `failed`. Events are emitted in the order of their `seq`,
 * and none before the sample that it belongs to was handed to the output.
 */
export interface SpeakerEvents {
  /**
   * A playback waits in its track's queue; `queuePosition` 1 is next. Emitted on arrival, when its position becomes 1, and with its new one when
   * `moveAudio` moves it; not when it changes otherwise (see `playbacks()`).
   */
  queued: [event: PlaybackEvent & { queuePosition: number }]
  /**
   * The first sample of a playback was handed to the output; never before `connected`. Not emitted for a playback without a single sample.
   * `latencyMs` is the time since the request, including the time in the queue, on the manual clock in the session's time; `firstByteMs` the time
   * from the request to the first byte of its source: missing on the manual clock, and for a clip or a voice.
   */
  started: [event: PlaybackEvent & { latencyMs: number; firstByteMs?: number }]
  /**
   * Emitted every `progressIntervalMs` of a playback's sound, with its place in the source; for all playbacks in order of time, and never
   * after its terminal event.
   */
  progress: [event: PlaybackEvent & { positionMs: number }]
  /** A playback is silent and stands still, because of its track or on request; or it was paused before it began. */
  paused: [event: PlaybackEvent & { positionMs: number }]
  /** A paused playback goes on. */
  resumed: [event: PlaybackEvent & { positionMs: number }]
  /** A stream that has started is silent from here on, until its writer goes on; emitted once each time. */
  stalled: [event: PlaybackEvent & { positionMs: number }]
  /**
   * A radio station's information about what it plays from here on, to the frame: `title` (missing if nothing has one), `url`, a page or a picture
   * that belongs to it, and the `station`'s name. The first one, with the name alone, comes after `started`.
   */
  metadata: [event: PlaybackEvent & { title?: string; url?: string; station?: string }]
  /** A playback goes on from this place in its source, or will begin there. */
  sought: [event: PlaybackEvent & { positionMs: number }]
  /** The last sample of a playback was handed to the output. */
  completed: [event: PlaybackEvent & Heard]
  /** A playback was ended early, after it had sounded for `durationMs`, including the fade. */
  stopped: [event: PlaybackEvent & Heard & { reason: string }]
  /** A playback ended with an error, after it had sounded for `durationMs`. */
  failed: [event: PlaybackEvent & Heard & { code: SpeakerErrorCode; message: string }]
  /** What was requested before a mark has ended, or what was written before it to a stream was heard: see {@link SpeakerSession.mark}. */
  mark: [event: SpeakerEvent & { name: string }]
  /** The output is open. */
  connected: [event: SpeakerEvent]
  /** The connection to the room is lost and being restored; see {@link LiveKitOutput}. */
  reconnecting: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** The connection is restored. */
  reconnected: [event: SpeakerEvent]
  /** The output is closed, or lost for good. */
  disconnected: [event: SpeakerEvent & { reason: DisconnectReason }]
  /** A track was muted, by a moderator or by `setMuted`; in a room `onMute` determines what happens to its playbacks. */
  muted: [event: SpeakerEvent & { trackId: number }]
  /** A track was unmuted. */
  unmuted: [event: SpeakerEvent & { trackId: number }]
  /**
   * A track has its first subscriber since it was published. `identity` is set only if exactly one other participant
   * is in the room, because the server names nobody.
   */
  subscribed: [event: SpeakerEvent & { trackId: number; identity?: string }]
  /** The server removed the track from the room: the grant to publish was revoked. See {@link LiveKitOutput}. */
  unpublished: [event: SpeakerEvent & { trackId: number; message: string; code: SpeakerErrorCode }]
  /** The track is in the room again. */
  republished: [event: SpeakerEvent & { trackId: number }]
  /** A participant has joined the room. After the room was joined anew, also those who joined meanwhile. */
  participantJoined: [event: SpeakerEvent & { participant: Participant }]
  /** A participant changed their name, metadata, attributes or tracks: as they are now. */
  participantChanged: [event: SpeakerEvent & { participant: Participant }]
  /** A participant has left the room: as they were last. */
  participantLeft: [event: SpeakerEvent & { participant: Participant }]
  /**
   * A participant has sent data to all or to this participant: `identity` is theirs, or null if the server itself or somebody hidden
   * sent it. Data is requested from a room only while this event has a listener, or once `sendData` was called.
   */
  data: [event: SpeakerEvent & { identity: string | null; topic: string | null; payload: Buffer; reliable: boolean }]
  /**
   * A participant has sent a text to all or to this participant (LiveKit's text streams), of up to 1 MiB with its attributes: emitted
   * when it is complete. A longer one, or one that is incomplete when the room is lost, is dropped. Texts are requested from a room as for `data`.
   */
  text: [event: SpeakerEvent & { identity: string | null; topic: string | null; text: string; attributes: Record<string, string> }]
  /**
   * The machine or the process is too busy for this session (realtime clock): five frames or more were mixed too late within a
   * second, or some were skipped because the process was suspended. Emitted at most once a second, with the counts since the last
   * time: frames as in {@link SessionStats}, and the largest delay of a frame, in ms. If many sessions emit it, this
   * process has more to do than its cores can.
   */
  overloaded: [event: SpeakerEvent & { lateFrames: number; lostFrames: number; lateMs: number }]
  /**
   * The output failed, and with it everything live (emitted once as long as it goes on); or the session broke (`ERR_INTERNAL`); or only the recording
   * failed (`ERR_RECORD`). Not thrown if it has no listener.
   */
  error: [event: SpeakerEvent & { code: SpeakerErrorCode; message: string }]
  /**
   * Every event, with its name as `type`, before the listeners of its own name; an `error` too. For logs. It does not request `data` or `text`
   * from a room.
   */
  event: [event: AnyEvent]
}

/** The payload of the event `event`. */
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
 * Neither its message nor a `cause` from this package contains secrets (tokens, values of headers, users and query values of URLs): they are shown
 * as `<masked>`. Values and texts from elsewhere are cut to 200 characters.
 */
export class SpeakerError extends Error {
  /**
   * For test doubles of a session.
   *
   * @example
   * const error = new SpeakerError('ERR_CLOSED', 'the session is closed', { requestId: 'hello' })
   */
  constructor(code: SpeakerErrorCode, message: string, details?: SpeakerErrorDetails)
  readonly name: 'SpeakerError'
  readonly code: SpeakerErrorCode
  /**
   * The underlying error: one of the system or of a library; `code` and `errno` are Node's for the system's, such as `ECONNREFUSED`. With
   * `ERR_STREAM` the error of the stream or the iterable, and with `ERR_ABORTED`, and `ERR_ENDED` by a signal, the signal's `reason`: that very
   * object, whatever it contains, so it is not shown where the error is printed. The event `failed` has none.
   */
  readonly cause?: any
  /** With `ERR_ACCESS_DENIED`, as in Node's own error: the missing permission and the resource. */
  readonly permission?: 'FileSystemRead' | 'FileSystemWrite'
  readonly resource?: string
  /** With `ERR_RPC`: LiveKit's code or the method's own, and the data that the method sent beside its message. */
  readonly rpcCode?: number
  readonly rpcData?: string
  /** The playback that failed, or with `ERR_ENDED` the one that ended; not for refused requests. */
  readonly requestId?: string
  /** The time for which it had sounded. */
  readonly durationMs?: number
  /** Where in its source it was. */
  readonly positionMs?: number
  /** The part of `durationMs` that nobody could hear; missing if there is none. */
  readonly unheardMs?: number
}

/** The details of a {@link SpeakerError} beside its code and message. */
export type SpeakerErrorDetails = Partial<
  Pick<SpeakerError, 'cause' | 'permission' | 'resource' | 'rpcCode' | 'rpcData' | 'requestId' | 'durationMs' | 'positionMs' | 'unheardMs'>
>

/** Stable. docs/errors.md explains what to do about each. */
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
  | 'ERR_OVERLOADED'
  | 'ERR_NO_THREADS'
  | 'ERR_UNSUPPORTED_OPERATION'
