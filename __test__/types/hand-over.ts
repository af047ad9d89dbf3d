// Sessions that go on in others. Compiled, never run.

import { SpeakerSession, type DescribedPlayback, type SessionDescription } from 'speaker-session'

async function allowed(session: SpeakerSession): Promise<void> {
  const description: SessionDescription = session.describe({ maxBufferBytes: 0 })
  JSON.stringify(description)
  const restored = SpeakerSession.restore(description, { output: { type: 'none' }, maxConcurrent: 3 })
  for (const playing of restored.adopted) await playing.started
  const { playbacks, unrestorable, handOver } = await session.handOver({ afterMs: 100, fadeMs: 20 })
  handOver?.atMs satisfies number | undefined
  for (const { requestId, positionMs, state } of playbacks satisfies DescribedPlayback[]) console.log(requestId, positionMs, state)
  for (const { reason } of unrestorable) reason satisfies 'stream' | 'voice' | 'tooLarge' | 'clipClosed' | 'duplicate'
  const [first] = session.adopt(await session.handOver({ whenReplaced: true }))
  first?.requestId satisfies string | undefined
}

function refused(session: SpeakerSession, description: SessionDescription): void {
  // @ts-expect-error an output is required: it is not described
  SpeakerSession.restore(description, {})
  // @ts-expect-error another version
  session.adopt({ ...description, version: 2 })
  // @ts-expect-error no text
  session.adopt(JSON.stringify(description))
}

console.log(allowed, refused)
