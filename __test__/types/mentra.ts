// What adapters/mentra allows and what it refuses. Compiled, never run.

import SpeakerManager, { LiveKitGrpcClient, SpeakerManager as Named, type BridgeEvent, type Difference, type SpeakerJob } from 'speaker-session/mentra'

/** The cloud's own types, as far as they matter here. */
class UserSession {
  readonly userId = 'user@example.com'
  readonly sessionId = 'user@example.com'
  readonly logger = { child: (bindings: object) => this.logger, info(told: object | string, text?: string) {}, warn(told: object | string, text?: string) {} }
  readonly liveKitManager = { getUrl: () => 'wss://example.livekit.cloud', getRoomName: () => this.userId }
  readonly audioManager = { processAudioData(data: ArrayBuffer | Buffer) {} }
  readonly speakerManager = new SpeakerManager(this)
  readonly bridge = new LiveKitGrpcClient(this)
  relayAudioPlayResponseToApp(response: any): void {}
}

async function allowed(session: UserSession): Promise<void> {
  const speaker: Named = session.speakerManager
  new SpeakerManager(session, { output: { type: 'memory', clock: 'manual' }, network: { allow: ['tts:8002'] }, shadow: true, leaveAfterMs: Infinity, cooldownMs: 1000, duck: { db: -6 } })
  const ready: boolean = await speaker.ensureReady()
  void speaker.start({ requestId: 'a', audioUrl: 'https://example.com/a.mp3', packageName: 'org.example.app', volume: 1.5, stopOtherAudio: false, trackId: 2 })
  void speaker.stop({ packageName: 'org.example.app' })
  void speaker.stop()
  const taken: boolean = speaker.handleMessage(Buffer.from('{}'), (json) => json.length + Number(ready))
  speaker.handleMessage({ type: 'audio_play_response', requestId: 'a', success: taken })
  speaker.handleBridgeEvent({ type: 'play_started' })
  speaker.on('event', (event: BridgeEvent) => {
    if (event.type === 'play_complete') event.durationMs satisfies number
  })
  speaker.on('difference', ({ deviceMs, shadowMs, differenceMs }: Difference) => deviceMs - shadowMs - differenceMs)
  const jobs: SpeakerJob[] = speaker.jobs()
  jobs[0]?.state satisfies 'pending' | 'streaming' | 'completed' | 'cancelled' | 'error' | undefined
  speaker.speakerSession?.tap({ trackId: 2 }).destroy()
  speaker.dispose()

  const { bridge } = session
  new LiveKitGrpcClient(session, 'livekit-bridge:9090', { network: 'any', maxConcurrent: 5 }).dispose()
  await bridge.connect({ url: 'wss://example.livekit.cloud', roomName: 'room', token: 'token', targetIdentity: session.userId })
  await bridge.rejoin({ url: 'wss://example.livekit.cloud', roomName: 'room', token: async () => 'token' })
  bridge.onEvent((event) => speaker.handleBridgeEvent(event))
  bridge.onPlayAudioEvent('a', ({ type, metadata }) => type === 'FAILED' && metadata?.reason)
  bridge.playUrl({ requestId: 'a', url: 'https://example.com/a.mp3', volume: 0, stopOther: false, trackId: 1 })
  bridge.sendAudioChunk(Buffer.alloc(320))
  bridge.stopPlayback()
  bridge.stopAudio('a')
  bridge.stopAudio({ trackId: 0 })
  const { connected, participant_count } = await bridge.getStatus()
  console.log(connected satisfies boolean, participant_count satisfies number, bridge.isConnected(), bridge.isConnecting())
  bridge.enableSubscribe(session.userId)
  bridge.disableSubscribe()
  await bridge.disconnect()
}

function refused(session: UserSession): void {
  // @ts-expect-error a session needs a user
  new SpeakerManager({})
  // @ts-expect-error requestId is needed
  session.speakerManager.start({ audioUrl: 'a.mp3' })
  // @ts-expect-error the client's output is the room
  new LiveKitGrpcClient(session, undefined, { output: { type: 'memory' } })
  // @ts-expect-error a repeated request is answered once
  new SpeakerManager(session, { onDuplicate: 'join' })
  // @ts-expect-error microphone audio needs a receiver
  new LiveKitGrpcClient({ userId: 'a' })
}

console.log(allowed, refused)
