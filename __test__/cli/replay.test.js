'use strict'

// `speaker-session replay`: every kind of line, checked in the WAV file it makes.

const assert = require('node:assert')
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { jsonl, run, workspace } = require('../support/cli')
const { level, readWav, tone } = require('../support/wav')

const PER_MS = 48
const LOW = tone(440, 1000)
const HIGH = tone(880, 500)

/** Replays lines in a directory with low.wav and high.wav and returns the result, and the mix if there is one. */
async function replay(t, lines, ...options) {
  const directory = workspace(t, { 'low.wav': LOW, 'high.wav': HIGH, 'requests.jsonl': lines })
  const result = await run(directory, ['replay', 'requests.jsonl', ...options])
  const out = path.join(directory, 'mix.wav')
  return { ...result, directory, ...(existsSync(out) && { bytes: readFileSync(out), ...readWav(out) }) }
}

/** Returns true if a frequency is heard between two times. */
function hears(samples, hz, fromMs, toMs) {
  return level(samples, fromMs * PER_MS, toMs * PER_MS, hz) > 0.1
}

const play = (atMs, requestId, audioUrl, fields) => {
  return { atMs, type: 'play', requestId, audioUrl, stopOther: false, ...fields }
}

describe('replay', () => {
  it('is deterministic, byte for byte', async (t) => {
    const lines = jsonl(
      play(0, 'low', 'low.wav', { volume: 0.7 }),
      play(123, 'missing', 'missing.wav'),
      play(333.3, 'high', 'high.wav', { fadeInMs: 50 }),
      { atMs: 700, type: 'stop', requestId: 'low', fadeOutMs: 30 }
    )
    const [first, second] = [await replay(t, lines), await replay(t, lines)]
    assert.ok(first.bytes.equals(second.bytes))
  })

  it('starts a sound at its exact sample', async (t) => {
    const { samples, directory, exitCode } = await replay(t, jsonl(play(907, 'high', 'high.wav')))
    const source = readWav(path.join(directory, 'high.wav')).samples
    const start = 907 * PER_MS
    assert.strictEqual(exitCode, 0)
    assert.ok(samples.subarray(0, start).every((sample) => sample === 0))
    assert.deepStrictEqual(samples.subarray(start, start + source.length), source)
    assert.ok(samples.length - start - source.length <= 20 * PER_MS, 'ends soon after the last sound')
  })

  it('understands all three kinds of lines', async (t) => {
    const own = await replay(t, jsonl(
      play(0, 'a', 'low.wav', { volume: 0.5 }),
      play(200, 'b', 'high.wav'),
      { atMs: 600, type: 'stop', requestId: 'b', reason: 'user' }
    ))
    const cloud = { packageName: 'com.example', sessionId: 's' }
    const ofCloud = await replay(t, jsonl(
      { type: 'audio_play_request', requestId: 'a', audioUrl: 'low.wav', volume: 0.5, stopOtherAudio: false,
        timestamp: '2025-01-01T00:00:10.000Z', ...cloud },
      { type: 'audio_play_request', requestId: 'b', audioUrl: 'high.wav', stopOtherAudio: false,
        timestamp: '2025-01-01T00:00:10.200Z', ...cloud },
      { type: 'audio_stop_request', requestId: 'b', reason: 'user', timestamp: Date.UTC(2025, 0, 1, 0, 0, 10, 600) }
    ))
    const ofBridge = await replay(t, jsonl(
      { atMs: 0, action: 'play_url', requestId: 'a', url: 'low.wav', volume: 1, gain: 0.5, roomName: 'r', token: 't' },
      { atMs: 200, action: 'play_url', requestId: 'b', url: 'high.wav', sampleRate: 16000 },
      { atMs: 600, action: 'stop_playback', requestId: 'b', reason: 'user' }
    ))
    assert.ok(hears(own.samples, 440, 200, 600) && hears(own.samples, 880, 200, 600))
    assert.ok(hears(own.samples, 440, 610, 900) && !hears(own.samples, 880, 610, 900))
    assert.ok(ofCloud.bytes.equals(own.bytes), 'cloud')
    assert.ok(ofBridge.bytes.equals(own.bytes), 'bridge')
  })

  it('stopOther defaults by kind of line', async (t) => {
    const first = { type: 'play', requestId: 'a', audioUrl: 'low.wav' }
    const interrupted = await replay(t, jsonl(first, { atMs: 200, ...first, requestId: 'b', audioUrl: 'high.wav' }))
    assert.ok(hears(interrupted.samples, 440, 0, 200) && !hears(interrupted.samples, 440, 210, 600))
    const mixed = await replay(t, jsonl(first, { atMs: 200, action: 'play_url', requestId: 'b', url: 'high.wav' }))
    assert.ok(hears(mixed.samples, 440, 210, 600) && hears(mixed.samples, 880, 210, 600))
  })

  it('ends when everything left is paused', async (t) => {
    const lines = [play(0, 'a', 'low.wav'), { atMs: 300, type: 'pause', trackId: 0 }, { atMs: 700, type: 'resume' }]
    const { samples, stdout, exitCode } = await replay(t, jsonl(...lines))
    assert.strictEqual(exitCode, 0)
    assert.ok(hears(samples, 440, 0, 300) && !hears(samples, 440, 310, 700) && hears(samples, 440, 710, 1390))
    assert.match(stdout, /0\.305 s +paused +a +at 0\.305 s\n +0\.700 s +resumed +a +at 0\.305 s\n +1\.395 s +completed/)
    const stuck = await replay(t, jsonl(...lines.slice(0, 2), play(400, 'b', 'high.wav')), '--overlap', 'queue')
    assert.strictEqual(stuck.exitCode, 0)
    assert.match(stuck.stdout, /0 completed, 2 stopped, 0 failed/)
  })

  it('seeks and changes the volume', async (t) => {
    const { samples, exitCode } = await replay(t, jsonl(
      play(0, 'a', 'low.wav', { loop: 2 }),
      { atMs: 300, type: 'seek', requestId: 'a', positionMs: 900 },
      { atMs: 500, type: 'volume', volume: 0, fadeMs: 50 }
    ))
    assert.strictEqual(exitCode, 0)
    assert.ok(hears(samples, 440, 0, 300) && hears(samples, 440, 310, 500) && !hears(samples, 440, 550, 1400))
    assert.strictEqual(samples.length, 1405 * PER_MS, 'to 305, 100 more, and the second time')
  })

  it('queues on one track without a gap', async (t) => {
    const lines = jsonl(play(0, 'a', 'high.wav'), play(100, 'b', 'low.wav'), play(200, 'c', 'high.wav'))
    const { samples, directory } = await replay(t, lines, '--overlap', 'queue')
    const [high, low] = ['high.wav', 'low.wav'].map((name) => readWav(path.join(directory, name)).samples)
    const expected = Float32Array.from([...high, ...low, ...high])
    assert.deepStrictEqual(samples.subarray(0, expected.length), expected)
    assert.ok(samples.subarray(expected.length).every((sample) => sample === 0))
  })

  it('moves queued playbacks and interrupts by role', async (t) => {
    const { samples, exitCode, stdout } = await replay(t, jsonl(
      play(0, 'music', 'low.wav', { role: 'ambient', trackId: 1 }),
      ...['a', 'b', 'c'].map((id) => play(0, id, 'high.wav', { durationMs: 100 })),
      { atMs: 50, type: 'move', requestId: 'c', queuePosition: 1 },
      { atMs: 150, type: 'interrupt', keep: ['ambient'], reason: 'barge-in' }
    ), '--overlap', 'queue')
    assert.strictEqual(exitCode, 0, stdout)
    assert.match(stdout, /0\.100 s +started +c/)
    for (const id of ['a +0\\.100', 'c +barge-in, after 0\\.055', 'b +barge-in, after 0\\.000']) assert.match(stdout, new RegExp(id))
    assert.ok(hears(samples, 440, 0, 1000) && hears(samples, 880, 0, 150) && !hears(samples, 880, 155, 500))
  })

  it('resolves paths beside the file, skips comments', async (t) => {
    const directory = workspace(t, { 'near.wav': LOW })
    const folder = path.join(directory, 'folder')
    mkdirSync(folder)
    const [there, near] = [play(0, 'a', './there.wav'), play(0, 'b', '../near.wav')]
    const lines = ['# first', '', jsonl(there), '  // then', jsonl(near), '']
    writeFileSync(path.join(folder, 'there.wav'), HIGH)
    writeFileSync(path.join(folder, 'requests.jsonl'), lines.join('\r\n'))
    const { exitCode, stderr } = await run(directory, ['replay', 'folder/requests.jsonl', '--out', 'out.wav'])
    assert.strictEqual(exitCode, 0, stderr)
    const { samples } = readWav(path.join(directory, 'out.wav'))
    assert.ok(hears(samples, 440, 0, 500) && hears(samples, 880, 0, 500))
  })

  it('plays on after a failure and exits with 1', async (t) => {
    const failing = [play(0, 'missing', 'missing.wav'), play(0, 'text', 'requests.jsonl')]
    const lines = jsonl(...failing, play(100, 'low', 'low.wav'))
    const { exitCode, samples, stdout, stderr } = await replay(t, lines)
    assert.strictEqual(exitCode, 1)
    assert.ok(hears(samples, 440, 100, 1100))
    assert.match(stderr, /failed +missing +ERR_FILE: /)
    assert.match(stdout, /1 completed, 0 stopped, 2 failed/)
  })

  it('counts a duplicate requestId as failed', async (t) => {
    const { exitCode, samples, stdout, stderr } = await replay(t, jsonl(play(0, 'a', 'low.wav'), play(100, 'a', 'high.wav')))
    assert.strictEqual(exitCode, 1)
    assert.ok(hears(samples, 440, 0, 1000) && !hears(samples, 880, 100, 600))
    assert.match(stderr, /0\.100 s +failed +a +ERR_DUPLICATE_REQUEST/)
    assert.match(stdout, /1 completed, 0 stopped, 1 failed/)
  })

  it('writes, flushes and ends streams', async (t) => {
    const bytes = (hz, ms) => tone(hz, ms).subarray(44).toString('base64')
    const stream = { type: 'stream', format: 'pcm16', sampleRate: 48000, stopOther: false }
    const { samples, stdout, exitCode } = await replay(t, jsonl(
      { atMs: 0, ...stream, requestId: 'a' },
      { atMs: 0, type: 'write', requestId: 'a', audio: bytes(440, 2000) },
      { atMs: 100, type: 'stop', requestId: 'nobody' },
      { atMs: 500, type: 'flush', requestId: 'a' },
      { atMs: 500, type: 'write', requestId: 'a', audio: bytes(880, 200) },
      { atMs: 800, ...stream, requestId: 'b' },
      { atMs: 900, type: 'end', requestId: 'a' },
      { atMs: 1000, type: 'write', requestId: 'b', audio: bytes(440, 100) },
      { atMs: 1000, type: 'write', requestId: 'a', audio: bytes(880, 100) } // too late, and harmless
    ))
    assert.strictEqual(exitCode, 0, stdout)
    assert.ok(hears(samples, 440, 0, 500) && !hears(samples, 440, 510, 900) && hears(samples, 440, 1000, 1100))
    assert.ok(hears(samples, 880, 515, 700) && !hears(samples, 880, 710, 1100))
    assert.match(stdout, /0\.705 s +stalled +a +at 0\.705 s\n[^]*2 completed/)
  })

  it('takes real time with --realtime', async (t) => {
    const begun = performance.now()
    const { exitCode, samples } = await replay(t, jsonl(play(300, 'high', 'high.wav')), '--realtime')
    assert.strictEqual(exitCode, 0)
    assert.ok(performance.now() - begun >= 800)
    assert.ok(hears(samples, 880, 400, 700))
  })
})

describe('a bad line', () => {
  const good = jsonl(play(100, 'a', 'low.wav'))
  const bad = {
    'that is not JSON': ['{"atMs":', "JSON for the line but received '{\"atMs\":' of type string"],
    'that is not an object': ['[1]', 'an object for the line but received an array'],
    'of no known type': ['{"type":"louder"}', /one of play, .*stop, .* for type but received 'louder' of type string/],
    'of a type that every object has': ['{"type":"constructor"}', /for type but received 'constructor' of type string/],
    'of no known action': ['{"action":"mute"}', "one of play_url, stop_playback for action but received 'mute' of type string"],
    'with a wrong field': ['{"type":"play","audioUrl":"low.wav","volume":2}', /from 0 to 1 for volume but received 2/],
    'with a misspelt field': ['{"type":"play","audioUrl":"low.wav","volum":1}', /playAudio but received 'volum'/],
    'that writes to no stream': ['{"type":"write","requestId":"a","audio":""}', "that of a stream above for requestId but received 'a'"],
    'that opens a stream without a name': ['{"type":"stream","format":"mp3"}', 'a non-empty string for requestId'],
    'without a source': ['{"action":"play_url","requestId":"b"}', 'either audioUrl or audio for playAudio'],
    'that stops two things': ['{"type":"stop","requestId":"a","trackId":0}', 'only one of requestId, trackId and group'],
    'that goes back in time': ['{"atMs":99,"type":"stop"}', /a time from 100 ms .* for atMs but received 99/],
    'at no time': ['{"atMs":"soon","type":"stop"}', /a time from .* for atMs but received 'soon' of type string/],
    'of no date': ['{"type":"stop","timestamp":"soon"}', /an ISO date .* for timestamp but received 'soon' of type string/]
  }
  for (const [which, [line, complaint]] of Object.entries(bad)) {
    it(`${which} is refused before anything plays`, async (t) => {
      const { exitCode, stdout, stderr, bytes } = await replay(t, ['# comment', good, line, good].join('\n'))
      assert.strictEqual(exitCode, 2)
      assert.ok(stderr.startsWith('requests.jsonl:3: Expected '), stderr)
      assert.ok(complaint.test?.(stderr) ?? stderr.includes(`Expected ${complaint}`), stderr)
      assert.deepStrictEqual([stdout, bytes], ['', undefined])
    })
  }
})
