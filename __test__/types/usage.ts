// What index.d.ts allows and what it refuses. Compiled, never run.

import { Readable } from 'node:stream'

import { SpeakerError, SpeakerSession, type Network, type PlayResult, type SpeakerErrorCode, type SpeakerVoice, type VoiceStats } from 'speaker-session'

async function allowed(): Promise<void> {
  await using session = new SpeakerSession({
    output: { type: 'pcm', sampleRate: 16000, channels: 1, format: 's16', dither: true, frameMs: 20, onFrame: (frame, { atMs }) => console.log(frame.length + atMs) },
    overlap: { default: 'mix', 2: 'queue' },
    onDuplicate: 'replace',
    crossfadeMs: 1500,
    record: { path: 'session.jsonl', secrets: true },
    duck: { db: -15, releaseMs: 500 },
    loudness: { targetLufs: -18 }
  })
  session.on('queued', ({ requestId, queuePosition, seq, atMs }) => console.log(requestId.length, queuePosition + seq + atMs))
  session.on('completed', ({ trackId, group, context }) => [trackId satisfies number, group satisfies string | undefined, context.turn])
  session.on('event', (event) => {
    if (event.type === 'stopped') event.reason satisfies string
    if (event.type === 'muted') event.trackId satisfies number
  })
  const playing = session.playAudio({ audioUrl: 'a.mp3', group: 'item_1', context: { turn: 1 } })
  playing.requestId satisfies string | undefined
  const started: boolean = await playing.started
  console.log(started, (await playing).outcome)
  await session.stopAudio({ group: 'item_1', reason: 'barge-in' })
  const track = session.track(1)
  await track.setPan({ pan: -0.5, fadeMs: 100 })
  track.name satisfies string
  await track.setVolume({ volume: 0.5, gain: 4, fadeMs: track.id })
  await track.setMuted(true)
  const { frames, bufferedMs, playing: live } = track.stats()
  console.log(frames, bufferedMs, live)
  track.tap({ format: 'f32' }).dropped satisfies number
  session.tap({ trackId: 1 }).destroy()
  session.tap({ requestId: 'a' }).destroy()
  session.once('failed', ({ code }) => code satisfies SpeakerErrorCode)
  await session.playAudio({ audioUrl: 'a.mp3' }).catch(({ cause, resource }: SpeakerError) => [cause?.code satisfies string | undefined, resource satisfies string | undefined])
  const result: PlayResult = await session.playAudio({ audioUrl: new URL('https://example.com/a.mp3'), volume: 0 })
  if (result.outcome === 'stopped') result.reason satisfies string
  await session.playAudio({ audio: Buffer.alloc(1), loudness: false, stopOther: false, overlap: 'replace', trackId: 2, role: 'voice', priority: 5, queueTimeoutMs: 3000 })
  const { stopped } = await session.stopAudio({ trackId: 2, fadeOutMs: 50 })
  stopped satisfies string[]
  await session.stopAudio({ requestId: 'not-here-yet', ahead: true })
  const { moved } = await session.moveAudio({ requestId: 'a', queuePosition: 1 })
  moved satisfies boolean
  const { interrupted, groups } = await session.interrupt({ keep: ['media', 'ambient'], reason: 'barge-in', fadeOutMs: 80, afterMs: 120 })
  groups.map(({ group, heardMs }) => [group satisfies string, heardMs satisfies number])
  interrupted.map(({ role, positionMs }) => [role satisfies string, positionMs satisfies number])
  const { paused } = await session.pauseAudio({ trackId: 2 })
  const { resumed } = await session.resumeAudio({ requestId: paused[0] })
  resumed satisfies string[]
  const { changed } = await session.setVolume({ trackId: 1, volume: 0.5, fadeMs: 300 })
  changed satisfies string[]
  const { sought } = await session.seekAudio({ requestId: changed[0], positionMs: 1500 })
  sought satisfies string[]
  session.on('paused', ({ positionMs }) => positionMs satisfies number)
  session.playbacks().map(({ queuePosition }) => queuePosition satisfies number | undefined)
  const radio = new SpeakerSession({ output: { type: 'http', codec: 'mp3', bitrate: 128000, burstMs: 0, chunkMs: 20, host: '0.0.0.0', port: 8000, path: '/radio' } })
  radio.url satisfies string | undefined
  const encoded = new SpeakerSession({ output: { type: 'stream', codec: 'opus', channels: 2, clock: 'manual' } }).audioStream()
  encoded.pipe(process.stdout)
  encoded.contentType satisfies string
  encoded.droppedMs satisfies number
  new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: 'queue', onDuplicate: 'join' }).recording().samples satisfies Float32Array
  new SpeakerSession({ output: { type: 'wav', path: 'x.wav', format: 'f32', keepUnheard: false } })
  SpeakerSession.configure({ maxSpoolBytes: 2 ** 28, maxClipBytes: 2 ** 26, network: 'public', maxLoad: 0.4, refuseOverload: true })
  const { load, maxLoad, sessionsLeft } = SpeakerSession.capacity()
  ;[load, maxLoad, sessionsLeft ?? 0] satisfies number[]
  const { bytes, entries, maxBytes, hits, joined, revalidated, misses } = SpeakerSession.cache({ maxBytes: 2 ** 26 })
  ;[bytes, entries, maxBytes, hits, joined, revalidated, misses] satisfies number[]
  SpeakerSession.cache().bytes satisfies number
  // @ts-expect-error
  SpeakerSession.cache({ maxEntries: 1 })
  const network: Network = { allow: ['minio:9000', '*.example.com', '10.0.0.0/8'], deny: ['10.0.0.1'], files: true }
  new SpeakerSession({ output: { type: 'memory' }, network })
  await SpeakerSession.clip({ audioUrl: 'https://example.com/a.mp3', network: 'any' })
  const { sessions, broken, clips, clipBytes } = SpeakerSession.processStats()
  broken satisfies typeof sessions
  clips satisfies typeof clipBytes
  using clip = await SpeakerSession.clip({ audioUrl: 'chime.wav', signal: new AbortController().signal, fetchTimeoutMs: 5000 })
  await session.playAudio({ audio: clip, loop: true, startMs: clip.durationMs / 2, fadeOutMs: 10 })
  clip.bytes satisfies typeof clip.channels extends number ? number : never
  clip.close()
  const internal: SpeakerErrorCode = 'ERR_INTERNAL'
  console.log(internal)
  const stream = session.createStream({ format: 'pcm16', sampleRate: 24000, overlap: 'queue', trackId: 2, stallTimeoutMs: 5000 })
  stream.write(Buffer.alloc(2)) satisfies boolean
  await stream.flush()
  const prebuffered: number | undefined = stream.stats()?.prebufferMs
  session.createStream({ format: 'mp3', prebufferMs: { minMs: 40, maxMs: prebuffered } }).destroy()
  const spoken: PlayResult = await stream.finished
  stream.requestId satisfies typeof spoken.requestId
  await session.playAudio({ audio: Readable.from([]), format: 'f32', sampleRate: 48000, channels: 2, prebufferMs: 100 })
  const { signal } = new AbortController()
  await session.connect({ signal })
  await session.playAudio({ audioUrl: 'a.mp3', signal })
  const voice: SpeakerVoice = session.listen({ identity: 'alice', trackName: 'mic', format: 's16', dither: true, sampleRate: 16000, channels: 1, frameMs: 10 })
  for await (const { frame, atMs } of voice) console.log(frame.length, atMs)
  const { receivedPackets, lostPackets, latePackets, recoveredPackets, concealedMs, delayMs, jitterMs, underruns }: VoiceStats = voice.stats()
  console.log(receivedPackets, lostPackets, latePackets, recoveredPackets, concealedMs, delayMs, jitterMs, underruns, voice.dropped)
  await session.playAudio({ audio: voice, volume: 0.5 })
  await session.playAudio({ audio: await fetch('https://example.com/a.mp3'), contentType: 'audio/mpeg' })
  const probed = await SpeakerSession.probe({ audioUrl: 'a.mp3', network: 'public' }, { loudness: true })
  probed.durationMs satisfies number | null
  probed.tags.title satisfies string | undefined
  probed.loudness?.integratedLufs satisfies number | null | undefined
  await SpeakerSession.probe(new URL('https://example.com/a.mp3'))
  for (const audio of [new Blob([]), new Blob([]).stream(), new Response(), Readable.from([])]) {
    await session.playAudio({ audio })
    await SpeakerSession.clip({ audio })
  }
  const tap = session.tap({ format: 's16', dither: true, sampleRate: 16000, channels: 1, frameMs: 10 })
  for await (const { frame, atMs } of tap) frame.length satisfies typeof atMs
  tap.dropped satisfies number
  tap.read()?.frame satisfies Buffer | undefined
  session.on('stalled', ({ positionMs }) => positionMs satisfies number)
  const room = new SpeakerSession({
    output: { type: 'livekit', url: 'ws://localhost', token: 'x', startWhen: 'published', subscribeTimeoutMs: 500, onMute: 'pause', lingerMs: 0, encodeOnce: false }
  })
  await room.setMuted({ trackId: 1, muted: true })
  ;(await room.unpublish(1)) satisfies void
  room.connection satisfies 'new' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'closed'
  room.on('subscribed', ({ trackId, identity }) => [trackId satisfies number, identity satisfies string | undefined])
  room.on('unpublished', ({ trackId, code, message }) => [trackId satisfies number, code satisfies SpeakerErrorCode, message.length])
  room.on('republished', ({ trackId }) => trackId satisfies number)
  await room.setAttributes({ 'lk.agent.state': 'thinking' })
  await Promise.all([room.setMetadata('{}'), room.setName('Clara')])
  room.participants().map(({ identity, attributes, tracks }) => [identity, attributes.mood, tracks.map(({ source }) => source)])
  room.localParticipant?.sid satisfies string | undefined
  room.on('participantJoined', ({ participant }) => participant.kind satisfies 'standard' | 'agent' | string)
  await room.sendData('{}', { topic: 'state', to: ['alice'] })
  await room.sendData(new Uint8Array(1), { reliable: false })
  room.on('data', ({ identity, topic, payload, reliable }) => [identity satisfies string | null, topic satisfies string | null, payload.toString(), reliable satisfies boolean])
  room.stats().droppedData satisfies number
  room.registerRpc('greet', async ({ requestId, identity, payload, timeoutMs }) => `${requestId}${identity satisfies string | null}${payload}${timeoutMs satisfies number}`)
  room.registerRpc('now', () => '5')
  room.unregisterRpc('greet')
  const answered: string = await room.performRpc({ to: 'alice', method: 'greet', timeoutMs: 500 }).catch(({ rpcCode, rpcData }: SpeakerError) => `${rpcCode satisfies number | undefined}${rpcData}`)
  answered satisfies string
  await room.sendText('hello', { topic: 'chat', attributes: { mood: 'good' } })
  room.on('text', ({ identity, text, attributes }) => [identity satisfies string | null, text satisfies string, attributes.mood])
  room.on('completed', ({ unheardMs }) => unheardMs satisfies number | undefined)
  result.unheardMs satisfies number | undefined
  await room.close({ drain: true, withinMs: 5000 })
  await room.close()
}

function refused(session: SpeakerSession, error: SpeakerError): void {
  // @ts-expect-error: a session option is not a process option
  SpeakerSession.configure({ gain: 1 })
  // @ts-expect-error: a rule has to be in a list
  SpeakerSession.configure({ network: { allow: 'minio' } })
  // @ts-expect-error: no such network
  new SpeakerSession({ output: { type: 'memory' }, network: 'private' })
  // @ts-expect-error: an output is needed
  new SpeakerSession({})
  // @ts-expect-error: a WAV file needs a path
  new SpeakerSession({ output: { type: 'wav' } })
  // @ts-expect-error: a room has no manual clock
  new SpeakerSession({ output: { type: 'livekit', url: 'ws://localhost', token: 'x', clock: 'manual' } })
  // @ts-expect-error: a method answers with a text
  session.registerRpc('greet', () => 5)
  // @ts-expect-error: data is sent to several
  session.sendData('x', { to: 'alice' })
  // @ts-expect-error: frames need a callback
  new SpeakerSession({ output: { type: 'pcm' } })
  // @ts-expect-error: no such policy
  new SpeakerSession({ output: { type: 'memory' }, overlap: 'duck' })
  // @ts-expect-error: tracks are numbers
  new SpeakerSession({ output: { type: 'memory' }, overlap: { tts: 'queue' } })
  // @ts-expect-error: no such rule
  new SpeakerSession({ output: { type: 'memory' }, overlap: { 2: 'wait' } })
  // @ts-expect-error: no such policy for a request
  session.playAudio({ audioUrl: 'a.mp3', overlap: { default: 'mix' } })
  // @ts-expect-error: fail, join or replace
  new SpeakerSession({ output: { type: 'memory' }, onDuplicate: 'stop' })
  // @ts-expect-error: remembered or not
  session.stopAudio({ requestId: 'a', ahead: 5000 })
  // @ts-expect-error: no such role
  session.playAudio({ audioUrl: 'a.mp3', role: 'music' })
  // @ts-expect-error: no such option
  session.playAudio({ audioUrl: 'a.mp3', loudness: 3 })
  // @ts-expect-error: volume is a number
  session.playAudio({ audioUrl: 'a.mp3', volume: '1' })
  // @ts-expect-error: keep names roles, not tracks
  session.interrupt({ keep: [1] })
  // @ts-expect-error: queuePosition is needed
  session.moveAudio({ requestId: 'a' })
  // @ts-expect-error: volume is needed
  session.setVolume({ trackId: 1 })
  // @ts-expect-error: muted is needed
  session.setMuted({ trackId: 1 })
  // @ts-expect-error: a track's tap is of that track
  session.track(1).tap({ requestId: 'a' })
  // @ts-expect-error
  session.track(1).tap({ trackId: 2 })
  // @ts-expect-error: a track's number is read-only
  session.track(1).id = 2
  // @ts-expect-error: the track's number is needed
  session.unpublish()
  // @ts-expect-error: the connection is read-only
  session.connection = 'closed'
  // @ts-expect-error: withinMs is a number
  session.close({ drain: true, withinMs: '5s' })
  // @ts-expect-error: a muted track does not fail its playbacks
  new SpeakerSession({ output: { type: 'livekit', url: 'ws://localhost', token: 'x', onMute: 'drop' } })
  // @ts-expect-error: an identity is needed
  session.listen({})
  // @ts-expect-error: a live voice has no start position
  session.listen({ identity: 'alice', startMs: 10 })
  // @ts-expect-error: a tap yields samples
  session.tap({ format: 'mp3' })
  // @ts-expect-error: dither is a boolean
  session.tap({ dither: 1 })
  // @ts-expect-error: a stream is written, not fetched
  session.createStream({ format: 'mp3', audioUrl: 'a.mp3' })
  // @ts-expect-error: no such event
  session.on('finished', () => {})
  // @ts-expect-error: `completed` has a duration, no reason
  session.on('completed', ({ reason }) => reason)
  // @ts-expect-error: codes are a closed set
  error.code === 'ERR_NONSENSE'
}

void allowed
void refused
