// What the types of `speaker-session/testing` and `speaker-session/replay` allow and refuse. Compiled, never run.

import { test } from 'node:test'

import { replay, type ReplayReport, type UserReport } from 'speaker-session/replay'
import { drip, finish, flakyServer, level, readWav, recordTap, soundsIn, testSession, tone, tonesIn, wavFile } from 'speaker-session/testing'

test('allowed', async (t) => {
  await using server = await flakyServer({ '/a': tone(440, 100), '/b': [{ status: 503, delayMs: 5 }, { body: 'x', drip: { bytes: 1, everyMs: 5 } }] }, t)
  server.requests.map(({ path }) => path satisfies string)
  await flakyServer((request, response) => drip(response, Buffer.from(request.url ?? ''), { bytes: 1, everyMs: 10 }))
  const { session, events, of } = testSession({ overlap: 'queue', output: { channels: 2 } }, t)
  testSession({ output: { type: 'none', clock: 'realtime' } })
  const { tap, recording } = recordTap(session, { trackId: 1, sampleRate: 16000, channels: 2 })
  session.playAudio({ audio: wavFile([0, 0.5], 8000, 1), requestId: 'a' })
  await finish(session)
  tap.dropped satisfies number
  for (const { hz, fromMs, toMs } of tonesIn(session.recording(), [440], { channel: 1 })) console.log(hz, fromMs, toMs)
  soundsIn(recording(), { pauseMs: 100 }).map(({ peak, rms }) => peak + rms)
  level(readWav('x.wav'), 440, 0, 100) satisfies number
  level(new Float32Array(100), 440)
  console.log(events.length, of('a').map(({ type }) => type))
})

async function replayed(): Promise<UserReport[]> {
  const report: ReplayReport = await replay({
    log: ['day.jsonl', 'sessions'],
    users: ['alice'],
    options: { overlap: 'queue', network: 'public' },
    output: (user) => ({ type: 'wav', path: `${user}.wav`, format: 'f32' }),
    atOnce: 8,
    signal: AbortSignal.timeout(1000),
    onSession: (session, user, offsetMs) => session.on('failed', ({ requestId, atMs }) => console.log(user, requestId, atMs + offsetMs)),
    async onUser({ user, codes, failures }, session) {
      console.log(user, codes.ERR_FILE, failures[0]?.code, session.stats().completed)
    }
  })
  console.log(report.totals.firstSoundMs?.p95)
  await replay({ requests: [{ user: 'alice', type: 'play', audioUrl: 'a.wav' }], output: { type: 'memory' } })
  return report.users
}

function refused(): unknown[] {
  return [
    // @ts-expect-error the output has no clock of its own
    () => replay({ log: 'x', output: { type: 'memory', clock: 'realtime' } }),
    // @ts-expect-error each session would write the same file
    () => replay({ log: 'x', options: { record: 'x.jsonl' } }),
    // @ts-expect-error unknown answer
    () => flakyServer({ '/': { slow: true } }),
    // @ts-expect-error not an array
    () => tonesIn(new Float32Array(1), 440)
  ]
}

console.log(replayed, refused)
