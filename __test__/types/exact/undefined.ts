// With `exactOptionalPropertyTypes`: options may be undefined, which means left out; the target of a call may not.

import { SpeakerError, SpeakerSession, liveKitFromEnv, type SpeakerErrorCode } from 'speaker-session'
import { testSession, tone } from 'speaker-session/testing'

async function options(maybe: number | undefined, text: string | undefined, signal: AbortSignal | undefined) {
  const session = new SpeakerSession({
    output: { type: 'memory', clock: undefined, channels: undefined }, maxConcurrent: maybe, duck: { db: maybe }, record: undefined, overlap: { default: undefined, 2: 'queue' }
  })
  session.playAudio({ audioUrl: 'a.mp3', requestId: text, group: text, volume: maybe, trackId: maybe, signal, headers: { authorization: text } })
  session.createStream({ format: 'pcm16', sampleRate: maybe, channels: undefined, role: undefined, prebufferMs: { minMs: maybe } })
  await session.interrupt({ keep: undefined, reason: text })
  await session.stopAudio({ requestId: 'a', reason: text, fadeOutMs: maybe })
  await session.close({ drain: undefined, withinMs: maybe })
  await SpeakerSession.clip({ audioUrl: 'a.mp3', headers: undefined, network: undefined, signal })
  SpeakerSession.configure({ maxSpoolBytes: maybe })
  liveKitFromEnv({ room: 'a', identity: 'b', name: text, lingerMs: maybe })
  testSession({ overlap: undefined, output: { channels: undefined } }, undefined)
  tone(440, 100, { sampleRate: maybe })
}

async function targets(session: SpeakerSession, requestId: string | undefined, trackId: number | undefined) {
  // @ts-expect-error: a lost id must not mean everything
  await session.stopAudio({ requestId })
  // @ts-expect-error
  await session.pauseAudio({ trackId })
  // @ts-expect-error
  await session.setVolume({ requestId, volume: 0 })
  // @ts-expect-error
  await session.mark('said', { group: requestId })
  // @ts-expect-error
  session.tap({ trackId })
  await session.stopAudio(requestId === undefined ? {} : { requestId })
}

function error(code: SpeakerErrorCode) {
  const made = new SpeakerError(code, 'in words', { cause: new Error('why'), requestId: 'a' })
  // @ts-expect-error: the code has to be one of ours
  new SpeakerError('ERR_NONE', 'in words')
  // @ts-expect-error: a code and a message are needed
  new SpeakerError('in words')
  return made.cause?.code
}

console.log(options, targets, error)
