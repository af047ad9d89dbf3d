// What adapters/websocket/index.d.ts allows and what it refuses. Compiled, never run.

import type { SpeakerSession } from 'speaker-session'
import { RealtimeSpeech, SpeakerLine, acs, twilio, type LineCodec, type LineSocket } from 'speaker-session/websocket'

async function allowed(socket: LineSocket, browserSocket: WebSocket, session: SpeakerSession): Promise<void> {
  await using line = new SpeakerLine({ socket, codec: twilio({ streamSid: 'MZ1' }), continuous: true, session: { overlap: 'queue' } })
  const { groups } = await line.interrupt({ keep: ['system'] })
  groups[0]?.heardMs satisfies number | undefined
  const stream = line.session.createStream({ format: 'pcm16', sampleRate: 24000 })
  const played: boolean = await line.mark('greeting', { group: 'turn 1' })
  console.log(played, await line.mark('written', stream), line.receive('{}'), line.stats().droppedFrames)
  const own: LineCodec = { ...acs({ sampleRate: 24000 }), format: 'alaw', sampleRate: 8000 }
  new SpeakerLine({ socket: browserSocket, codec: own, clock: 'manual' })
  await new RealtimeSpeech({ socket, line, stream: { trackId: 2 } }).interrupt()
  new RealtimeSpeech({ socket, session, interrupts: false }).receive({ type: 'response.done' })
}

function refused(socket: LineSocket): void {
  // @ts-expect-error a codec is needed
  new SpeakerLine({ socket })
  // @ts-expect-error the output belongs to the line
  new SpeakerLine({ socket, codec: acs(), session: { output: { type: 'memory' } } })
  // @ts-expect-error Azure accepts two rates
  acs({ sampleRate: 8000 })
  // @ts-expect-error the stream's id is needed
  twilio()
  // @ts-expect-error the format is fixed by the model
  new RealtimeSpeech({ socket, stream: { format: 'f32' } })
}

console.log(allowed, refused)
