// Marks, and the formats of telephone lines. Compiled, never run.

import { SpeakerSession } from 'speaker-session'

async function allowed(): Promise<void> {
  const session = new SpeakerSession({ output: { type: 'pcm', format: 'mulaw', continuous: true, onFrame: (frame) => console.log(frame.length) } })
  new SpeakerSession({ output: { type: 'wav', path: 'a.wav', format: 'alaw' } })
  session.tap({ format: 'alaw' }).destroy()
  const { name, atMs } = await session.mark('greeting', { trackId: 1 })
  name satisfies string
  atMs satisfies number
  session.on('mark', (event) => [event.name satisfies string, event.atMs + event.seq])
  session.on('event', (event) => event.type === 'mark' && (event.name satisfies string))
  await session.createStream({ format: 'pcm16', sampleRate: 24000 }).mark('written')
}

function refused(session: SpeakerSession): void {
  // @ts-expect-error a mark needs a name
  session.mark({ trackId: 1 })
  // @ts-expect-error only pcm can be continuous
  new SpeakerSession({ output: { type: 'memory', continuous: true } })
  // @ts-expect-error a stream's mark takes no target
  session.createStream({}).mark('m', { trackId: 1 })
}

console.log(allowed, refused)
