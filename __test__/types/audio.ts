// `audio` accepts everything that holds bytes, and `headers` everything that holds headers.

import { Readable } from 'node:stream'

import { SpeakerSession } from 'speaker-session'

export async function audio(session: SpeakerSession, bytes: Buffer, response: Response) {
  const raw = { format: 'pcm16', sampleRate: 24000 } as const
  for (const audio of [
    bytes, new Uint8Array(9), new Int16Array(9), new Float32Array(9), new DataView(new ArrayBuffer(9)), new ArrayBuffer(9), new SharedArrayBuffer(9), [bytes, bytes],
    new Set([bytes]), (function* () { yield bytes })(), (async function* () { yield new Int16Array(9) })(), Readable.from([bytes]), new Blob([bytes]), response
  ]) {
    session.playAudio({ audio, ...raw })
    await SpeakerSession.clip({ audio, ...raw })
    await SpeakerSession.probe({ audio, ...raw })
  }
  // @ts-expect-error: text is not bytes
  session.playAudio({ audio: bytes.toString('base64') })
  // @ts-expect-error
  session.playAudio({ audio: new Float64Array(9) })
  // @ts-expect-error: it has to be awaited first
  session.playAudio({ audio: response.arrayBuffer() })
}

export function headers(session: SpeakerSession, token: string | undefined) {
  for (const headers of [
    { authorization: token, 'x-number': 7 }, new Headers({ a: 'b' }), new Map([['a', 'b']]), new Map([['a', 7]]), [['a', 'b'], ['c', token]] as [string, string | undefined][]
  ]) session.playAudio({ audioUrl: 'https://example.com/a.mp3', headers })
  // @ts-expect-error
  session.playAudio({ audioUrl: 'https://example.com/a.mp3', headers: 'a: b' })
}

export function files(url: URL) {
  new SpeakerSession({ output: { type: 'wav', path: url }, record: url })
  new SpeakerSession({ output: { type: 'wav', path: 'a.wav' }, record: { path: url } })
}
