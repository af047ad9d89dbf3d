// What the types of speaker-session/livekit-agents allow and refuse. An ES module, because the types of @livekit/agents for `require` are
// incomplete.

import { voice } from '@livekit/agents'
import { AudioSource, type AudioFrame, type Room } from '@livekit/rtc-node'
import { SpeakerSession } from 'speaker-session'
import { BackgroundAudio, SpeakerAudioOutput } from 'speaker-session/livekit-agents'

export async function allowed(room: Room, agentSession: voice.AgentSession, frames: AsyncIterable<AudioFrame>): Promise<void> {
  const output = new SpeakerAudioOutput({
    room, identity: 'voice', attributes: { 'lk.publish_on_behalf': 'agent' }, output: { bitrate: 32000 }, sessionOptions: { duck: { db: -15 } },
    trackId: 0, volume: 0.8, gain: 2, fadeOutMs: 100, prebufferMs: { minMs: 40 }, stallTimeoutMs: 5000, maxAheadMs: 2000
  })
  agentSession.output.audio = output
  const session: SpeakerSession = output.session
  new SpeakerAudioOutput({ session })
  new SpeakerAudioOutput({ source: new AudioSource(48000, 1) }).canPause satisfies boolean
  const background = new BackgroundAudio({
    session,
    ambientSound: voice.BuiltinAudioClip.OFFICE_AMBIENCE,
    thinkingSound: [{ source: 'typing.ogg', volume: 0.5, probability: 0.5 }, { source: frames }],
    trackId: 1,
    fadeOutMs: 200
  })
  await background.start({ room, agentSession })
  const handle: voice.PlayHandle = background.play({ source: frames, volume: 2 }, true)
  handle.stop()
  await background.close()
  await output.close()
}

export function refused(session: SpeakerSession): void {
  // @ts-expect-error one of session, room and source is needed
  new SpeakerAudioOutput({ volume: 1 })
  // @ts-expect-error a session is needed
  new BackgroundAudio({ ambientSound: 'a.ogg' })
  // @ts-expect-error
  new BackgroundAudio({ session, ambientSound: 1 })
}
