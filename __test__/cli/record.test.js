'use strict'

// The session option `record`: the lines it writes, and that their replay gives the same mix.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { writeFileSync } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { pathToFileURL } = require('node:url')

const { SpeakerSession } = require('../..')
const { run, workspace } = require('../support/cli')
const { MS } = require('../support/mix')
const { lines, recording, replayed } = require('../support/recording')
const { ramp } = require('../support/samples')
const { serve } = require('../support/server')
const { abortable, finish, open } = require('../support/session')
const { RAW, pcm16, saw } = require('../support/stream')
const { level, readWav, tone } = require('../support/wav')

/** Asserts that `longer` is `shorter` followed by silence. */
function assertSame(longer, shorter) {
  assert.ok(longer.length >= shorter.length, `${longer.length} samples of ${shorter.length}`)
  assert.deepEqual(longer.subarray(0, shorter.length), shorter)
  assert.ok(longer.subarray(shorter.length).every((sample) => sample === 0))
}

test('each request becomes a line with its time', async (t) => {
  const options = { overlap: 'queue', gain: 0.5, network: 'any', duck: { db: -6 }, crossfadeMs: undefined, output: { channels: 2 } }
  const { session, file, directory } = recording(t, options)
  const low = path.join(directory, 'low.wav')
  const headers = { Authorization: 'Bearer x' }
  session.playAudio({ audioUrl: path.relative(process.cwd(), low), stopOther: false })
  await session.advance(100.5)
  session.playAudio({ requestId: 'b', audioUrl: pathToFileURL(low), role: 'voice', stopOther: false, signal: undefined })
  const { signal } = new AbortController()
  session.playAudio({ requestId: 'c', audio: Buffer.from('RIFF?'), trackId: 1, stopOther: false, signal })
  session.playAudio({ requestId: 'd', audioUrl: new URL('http://127.0.0.1:9/x?sig=y&n=1'), headers, trackId: 2, stopOther: false })
  await session.moveAudio({ requestId: 'b', queuePosition: 1 })
  await session.pauseAudio({ trackId: 0 })
  await session.resumeAudio()
  await session.advance(1 / 3)
  await session.seekAudio({ requestId: 'playback-1', positionMs: 500 })
  await session.setVolume({ volume: 0.5, fadeMs: 100 })
  await session.stopAudio({ requestId: 'nobody', reason: 'early' })
  await session.interrupt({ keep: ['voice'] })
  await session.stopAudio()
  await session.close()
  const third = 100.833
  assert.deepEqual(lines(file), [
    { type: 'session', channels: 2, overlap: 'queue', duck: { db: -6 }, gain: 0.5 },
    { atMs: 0, type: 'play', audioUrl: low, stopOther: false, requestId: 'playback-1' },
    { atMs: 100.5, type: 'play', requestId: 'b', audioUrl: low, role: 'voice', stopOther: false },
    { atMs: 100.5, type: 'play', requestId: 'c', audio: 'UklGRj8=', trackId: 1, stopOther: false },
    {
      atMs: 100.5, type: 'play', requestId: 'd', audioUrl: 'http://127.0.0.1:9/x?sig=<masked>&n=<masked>',
      headers: { Authorization: '<masked>' }, trackId: 2, stopOther: false
    },
    { atMs: 100.5, type: 'move', requestId: 'b', queuePosition: 1 },
    { atMs: 100.5, type: 'pause', trackId: 0 },
    { atMs: 100.5, type: 'resume' },
    { atMs: third, type: 'seek', requestId: 'playback-1', positionMs: 500 },
    { atMs: third, type: 'volume', volume: 0.5, fadeMs: 100 },
    { atMs: third, type: 'stop', requestId: 'nobody', reason: 'early' },
    { atMs: third, type: 'interrupt', keep: ['voice'] },
    { atMs: third, type: 'stop' },
    { atMs: third, type: 'stop', reason: 'closed', fadeOutMs: 0 }
  ])
})

test('records secrets of a download only on request', async (t) => {
  const audioUrl = 'http://user:pass@127.0.0.1:9/a%20b?sig=x%3Dy&flag#part'
  const headers = { Authorization: 'Bearer x' }
  const recorded = async (secrets) => {
    const file = path.join(workspace(t, {}), 'session.jsonl')
    const { session } = open(t, { record: { path: file, secrets } })
    session.playAudio({ audioUrl, headers })
    await session.close()
    return lines(file).slice(1, 2).map(({ audioUrl, headers }) => ({ audioUrl, headers }))
  }
  assert.deepEqual(await recorded(true), [{ audioUrl, headers }])
  const masked = { audioUrl: 'http://<masked>@127.0.0.1:9/a%20b?sig=<masked>&flag=<masked>', headers: { Authorization: '<masked>' } }
  assert.deepEqual(await recorded(false), [masked])
  assert.deepEqual(await recorded(undefined), [masked])
})

test('a recording without secrets replays with a note', async (t) => {
  const seen = []
  const url = await serve(t, (request, response) => {
    seen.push([request.url, request.headers.authorization, request.headers['x-tenant']])
    response.end(tone(440, 100))
  })
  const { session, file, directory } = recording(t)
  const headers = { authorization: 'Bearer x', 'x-tenant': '7' }
  const ends = ['/a?sig=x', '/b'].map((place, n) => session.playAudio({ audioUrl: url + place, ...(n === 0 && { headers }), stopOther: false }))
  await finish(session)
  await Promise.all(ends)
  await session.close()
  const { stderr, exitCode } = await run(directory, ['replay', file])
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /^speaker-session: 1 of the requests was recorded without its secrets/)
  const sorted = seen.toSorted()
  assert.deepEqual(sorted, [['/a', undefined, undefined], ['/a?sig=x', 'Bearer x', '7'], ['/b', undefined, undefined], ['/b', undefined, undefined]])
})

test('does not record refused and joined requests', async (t) => {
  const { session, file } = recording(t, { onDuplicate: 'join' })
  const audio = tone(440, 100)
  session.playAudio({ requestId: 'a', audio })
  session.playAudio({ requestId: 'a', audio })
  await assert.rejects(session.playAudio({ requestId: 'b', audio, volume: 2 }))
  await assert.rejects(session.playAudio({ requestId: 'b', audio, signal: AbortSignal.abort() }))
  session.createStream({ ...RAW, requestId: 's', stopOther: false })
  await assert.rejects(session.seekAudio({ positionMs: 0 }), { code: 'ERR_NOT_SEEKABLE' })
  await session.close()
  assert.deepEqual(lines(file).map(({ type, requestId }) => [type, requestId]), [
    ['session', undefined], ['play', 'a'], ['stream', 's'], ['stop', undefined]
  ])
})

test('a manual-clock recording replays the same samples', async (t) => {
  const options = { overlap: 'queue', crossfadeMs: 50, duck: { db: -12 }, gain: 0.8 }
  const { session, heard, file, directory } = recording(t, options)
  const common = { audioUrl: path.join(directory, 'low.wav'), stopOther: false }
  session.playAudio({ ...common, requestId: 'music', trackId: 1, role: 'ambient', loop: true, volume: 0.5 })
  await session.advance(123.4)
  session.playAudio({ ...common, requestId: 'a', startMs: 100, durationMs: 300, fadeOutMs: 20 })
  session.playAudio({ audio: tone(880, 400), stopOther: false })
  const { signal, abort } = abortable()
  session.playAudio({ ...common, requestId: 'aborted', trackId: 2, signal })
  await session.advance(77)
  await session.setVolume({ trackId: 1, volume: 0.9, fadeMs: 100 })
  const stream = session.createStream({ ...RAW, requestId: 's', trackId: 3, role: 'voice', stopOther: false })
  stream.write(pcm16(saw(2500)))
  await session.advance(300)
  abort()
  await session.pauseAudio({ trackId: 0 })
  await stream.flush()
  stream.end(pcm16(saw(100)))
  await session.advance(200)
  await session.resumeAudio()
  await session.seekAudio({ requestId: 'music', positionMs: 10 })
  session.playAudio({ audio: Readable.from([tone(660, 700), tone(660, 50)]), trackId: 4, stopOther: false, startMs: 30 })
  await session.advance(400)
  session.createStream({ ...RAW, requestId: 'd', trackId: 5, stopOther: false }).on('error', () => {}).destroy()
  await session.interrupt({ keep: ['ambient'] })
  await session.advance(317)
  await session.close() // while the music plays, endlessly
  const samples = heard()
  const again = await replayed(file)
  assert.ok(samples.length > 1400 * MS && samples.some((sample) => Math.abs(sample) > 0.3))
  assertSame(again.samples, samples)
})

test('a realtime recording replays the same clips', async (t) => {
  const { session, told, heard, file } = recording(t, { output: { clock: 'realtime' } })
  const clips = [4801, 9600, 24000].map((length) => ramp(length).audio)
  await session.connect()
  await sleep(150)
  await session.playAudio({ requestId: '0', audio: clips[0] })
  await sleep(300) // parked
  const speech = session.createStream({ ...RAW, requestId: 's' })
  speech.end(pcm16(saw(200)))
  await speech.finished
  await session.playAudio({ requestId: '1', audio: clips[1], volume: 0.5, fadeInMs: 30 })
  const stopped = session.playAudio({ requestId: '2', audio: clips[2] })
  await once(session, 'started')
  await sleep(100)
  await session.stopAudio({ requestId: '2', reason: 'user' })
  await stopped
  await sleep(100)
  session.playAudio({ requestId: 'last', audio: clips[2] })
  await once(session, 'started')
  await session.close()

  const samples = heard()
  const again = await replayed(file)
  assert.deepEqual(again.playbacks.map(({ requestId, outcome }) => [requestId, outcome]), [
    ['0', 'completed'], ['s', 'completed'], ['1', 'completed'], ['2', 'stopped'], ['last', 'stopped']
  ])
  const asked = new Map(lines(file).filter(({ type }) => ['play', 'stream'].includes(type)).map((line) => [line.requestId, line.atMs]))
  for (const { requestId, outcome, startedAtMs, durationMs } of again.playbacks) {
    const first = told.find((event) => event.type === 'started' && event.requestId === requestId)
    const last = told.find((event) => event.type === outcome && event.requestId === requestId)
    const lateMs = startedAtMs - asked.get(requestId) // of a stream's first write
    assert.ok(lateMs > -0.03 && lateMs < 500, `${requestId} is ${lateMs} ms later than it was recorded`)
    assert.ok(Math.abs(first.atMs - startedAtMs) < 1000, `${requestId} at ${first.atMs}, in the replay at ${startedAtMs} ms`)
    if (outcome === 'completed') assert.equal(durationMs, last.durationMs)
    // In real time a stop takes effect with the next frame: until there the samples are equal.
    const count = Math.round((Math.min(durationMs, last.durationMs) - (outcome === 'stopped' ? 5 : 0)) * MS)
    assert.ok(count > 0, `${requestId} sounds for ${durationMs} and ${last.durationMs} ms`)
    const [before, after] = [[samples, first.atMs], [again.samples, startedAtMs]].map(([all, ms]) => {
      return all.subarray(Math.round(ms * MS), Math.round(ms * MS) + count)
    })
    assert.deepEqual(after, before, requestId)
  }
  const gap = asked.get('s') - asked.get('0')
  assert.ok(gap >= 400, `the silence counts: ${gap} ms`)
})

test('command-line options override recorded ones', async (t) => {
  const { session, file, directory } = recording(t, { overlap: 'queue', output: { channels: 2 } })
  session.playAudio({ requestId: 'low', audioUrl: path.join(directory, 'low.wav'), stopOther: false })
  session.playAudio({ requestId: 'high', audio: tone(880, 500), stopOther: false })
  await finish(session)
  await session.close()
  const queued = await run(directory, ['replay', file])
  assert.equal(queued.exitCode, 0, queued.stderr)
  const { samples, channels } = readWav(path.join(directory, 'mix.wav'))
  assert.equal(channels, 2)
  assert.ok(level(samples, 0, 2 * 900 * MS, 440, 2 * 48000) > 0.2 && level(samples, 0, 2 * 900 * MS, 880, 2 * 48000) < 0.01)
  const mixed = await run(directory, ['replay', file, '--overlap', 'mix', '--json', '--force'])
  const started = mixed.stdout.split('\n').filter((line) => line.includes('"started"')).map((line) => JSON.parse(line).atMs)
  assert.deepEqual(started, [0, 0])
})

test('validates recorded session options', async (t) => {
  const directory = workspace(t)
  const refused = {
    '{"type":"session","overlap":"none"}': /^requests\.jsonl:1: Expected one of 'mix', .* for overlap/,
    '{"type":"session","output":{}}': /^requests\.jsonl:1: Expected only channels, .* for the options of session but received 'output'/,
    '{"type":"stop"}\n{"type":"session"}': /^requests\.jsonl:2: Expected the options of a session in the first line only for type/,
    '{"type":"play","audio":"?"}': /^requests\.jsonl:1: Expected a string in base64 for audio but received '\?'/
  }
  for (const [text, message] of Object.entries(refused)) {
    writeFileSync(path.join(directory, 'requests.jsonl'), text)
    const { exitCode, stderr } = await run(directory, ['replay', 'requests.jsonl'])
    assert.equal(exitCode, 2)
    assert.match(stderr, message)
  }
})

test('replays the overlap of tracks and requests', async (t) => {
  const { session, told, file } = recording(t, { overlap: { default: 'mix', 2: 'queue' } })
  const play = (requestId, options) => session.playAudio({ requestId, audio: tone(440, 100), stopOther: false, ...options })
  for (const [name, trackId] of [['a', 0], ['b', 0], ['c', 2], ['d', 2]]) play(name, { trackId })
  await session.advance(40)
  play('e', { overlap: 'queue' })
  play('f', { trackId: 2, overlap: 'mix' })
  await session.stopAudio({ requestId: 'late', ahead: true })
  play('late')
  await finish(session)
  await session.close()
  const { playbacks } = await replayed(file)
  const started = told.filter(({ type }) => type === 'started').map(({ requestId, atMs }) => [requestId, atMs])
  const again = playbacks.filter(({ startedAtMs }) => startedAtMs !== undefined)
  assert.deepEqual(Object.fromEntries(again.map(({ requestId, startedAtMs }) => [requestId, startedAtMs])), Object.fromEntries(started))
  assert.equal(started.length, 6)
})

test('a refused request does not shift recorded times', async (t) => {
  const { session, file } = recording(t)
  const stream = session.createStream({ ...RAW, requestId: 's', stopOther: false })
  await session.advance(50)
  await assert.rejects(session.playAudio({ requestId: 's', audio: tone(440, 20) }), { code: 'ERR_DUPLICATE_REQUEST' })
  await assert.rejects(session.seekAudio({ requestId: 's', positionMs: 1 }), { code: 'ERR_NOT_SEEKABLE' })
  await session.advance(50)
  stream.end(pcm16(saw(100)))
  await finish(session)
  await session.close()
  assert.deepEqual(lines(file).slice(1).map(({ type, atMs }) => [type, atMs]), [['stream', 0], ['write', 100], ['end', 100]])
})

test('reports an unwritable recording once', async (t) => {
  const directory = workspace(t)
  const { session, told } = open(t, { record: path.join(directory, 'nowhere', 'session.jsonl') })
  while (told.length === 0) await sleep(10)
  const playing = session.playAudio({ audio: tone(440, 100) })
  await finish(session)
  assert.equal((await playing).outcome, 'completed')
  await session.close()
  const errors = told.filter(({ type }) => type === 'error')
  assert.deepEqual(errors.map(({ code, seq }) => [code, typeof seq]), [['ERR_RECORD', 'number']])
  assert.match(errors[0].message, /^the recording can't be written: No such file/)
})

test('close rejects if the disk is full', { skip: process.platform !== 'linux' }, async (t) => {
  const session = new SpeakerSession({ output: { type: 'memory' }, record: '/dev/full' })
  await assert.rejects(session.close(), { code: 'ERR_RECORD', message: /No space left/ })
})

test('a recording lets the process exit', async (t) => {
  const directory = workspace(t, {
    'script.js': `
      const { SpeakerSession } = require(${JSON.stringify(path.join(__dirname, '..', '..'))})
      const session = new SpeakerSession({ output: { type: 'memory' }, record: 'session.jsonl' })
      session.stopAudio().then(() => console.log('idle'))
    `
  })
  const { exitCode, stdout } = await run(directory, [], undefined, { program: path.join(directory, 'script.js') })
  assert.deepEqual([exitCode, stdout], [0, 'idle\n'])
  assert.deepEqual(lines(path.join(directory, 'session.jsonl')).map(({ type }) => type), ['session', 'stop'])
})

test('replays track volumes, mutes and groups, without context', async (t) => {
  const { session, file } = recording(t)
  const context = {}
  context.self = context
  await session.track(1).setVolume({ volume: 0.5, gain: 1.5 })
  session.playAudio({ audio: tone(440, 300), trackId: 1, group: 'turn', context, stopOther: false })
  session.playAudio({ audio: tone(880, 300), trackId: 2, stopOther: false, context: 'mine' })
  await session.advance(50)
  await session.track(1).setVolume({ volume: 1, fadeMs: 40 })
  await session.track(2).setMuted(true)
  await session.advance(100)
  await session.setMuted({ trackId: 2, muted: false })
  await session.stopAudio({ group: 'turn' })
  await session.advance(250)
  const heard = session.recording().samples
  await session.close()
  const written = lines(file).map(({ audio, ...line }) => line)
  assert.deepEqual(written.slice(1), [
    { atMs: 0, type: 'trackVolume', trackId: 1, volume: 0.5, gain: 1.5 },
    { atMs: 0, type: 'play', trackId: 1, group: 'turn', stopOther: false, requestId: 'playback-1' },
    { atMs: 0, type: 'play', trackId: 2, stopOther: false, requestId: 'playback-2' },
    { atMs: 50, type: 'trackVolume', trackId: 1, volume: 1, fadeMs: 40 },
    { atMs: 50, type: 'mute', trackId: 2, muted: true },
    { atMs: 150, type: 'mute', trackId: 2, muted: false },
    { atMs: 150, type: 'stop', group: 'turn' }
  ])
  assertSame(heard, (await replayed(file)).samples)
})
