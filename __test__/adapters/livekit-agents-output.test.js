'use strict'

// The agent's voice, by the contract of `AudioOutput` in `@livekit/agents`: each counted segment finishes exactly once.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { AudioFrame } = require('@livekit/rtc-node')
const { voice } = require('@livekit/agents')

const { SpeakerAudioOutput } = require('speaker-session/livekit-agents')
const { capture, framesOf, hum, listen, openOutput, turn } = require('../support/agents')
const { MS, sounds } = require('../support/tones')
const { level, tone } = require('../support/wav')

const speech = (hz, ms, options) => framesOf(hum(hz, ms, options?.rate), options)

/** Returns which of the three pitches sound between two times in ms. */
function pitches(samples, fromMs, toMs) {
  return [440, 880, 1320].filter((hz) => sounds(samples, fromMs, toMs, hz))
}

test('implements AudioOutput of @livekit/agents, with pause', (t) => {
  const { output } = openOutput(t)
  assert.ok(output instanceof voice.AudioOutput)
  assert.equal(output.canPause, true)
  assert.equal(output.sampleRate, undefined, 'frames of any rate')
})

test('a segment plays bit for bit and finishes once', async (t) => {
  const { output, advance, heard, told } = openOutput(t, { progressIntervalMs: 400 })
  const progress = []
  output.on('playbackProgressed', ({ startedAt, ...played }) => progress.push(played))
  const samples = hum(440, 1000)
  await capture(output, framesOf(samples))
  output.flush()
  await advance(1200)
  assert.deepEqual(told, ['started', 'finished 1000'])
  assert.deepEqual(progress, [{ offset: 0, duration: 400 }, { offset: 400, duration: 400 }, { offset: 800, duration: 200 }])
  assert.deepEqual(await output.waitForPlayout(), { playbackPosition: 1, interrupted: false })
  const all = heard()
  samples.forEach((sample, n) => assert.ok(Math.abs(sample - all[n]) < 1e-4, `sample ${n}`))
})

test('segments captured ahead follow without a gap', async (t) => {
  const { output, advance, heard, told } = openOutput(t)
  for (const hz of [440, 880, 1320]) {
    await capture(output, speech(hz, 500))
    output.flush()
  }
  const playout = output.waitForPlayout()
  await advance(1500)
  assert.deepEqual(told, ['started', 'finished 500', 'started', 'finished 500', 'started', 'finished 500'])
  await playout
  const samples = heard()
  assert.deepEqual([0, 500, 1000].map((at) => pitches(samples, at, at + 500)), [[440], [880], [1320]])
  assert.equal(output.pendingPlayoutSegments, 0)
})

test('clearBuffer before flush ends the segment', async (t) => {
  const { output, advance, told, heard } = openOutput(t)
  await capture(output, speech(440, 1000))
  await advance(300)
  output.clearBuffer()
  await advance(100)
  assert.deepEqual(told, ['started', 'finished 305 interrupted'], 'the fade of 5 ms was heard too')
  await capture(output, speech(880, 500))
  output.flush()
  await advance(600)
  assert.deepEqual(told.slice(2), ['started', 'finished 500'])
  assert.deepEqual(pitches(heard(), 400, 900), [880])
})

test('clearBuffer after flush ends all segments once', async (t) => {
  const { output, advance, told, heard } = openOutput(t, { speech: { fadeOutMs: 100 } })
  for (const hz of [440, 880]) {
    await capture(output, speech(hz, 500))
    output.flush()
  }
  await advance(200)
  output.clearBuffer()
  output.clearBuffer()
  await advance(500)
  output.flush()
  output.clearBuffer()
  assert.deepEqual(told, ['started', 'finished 300 interrupted', 'finished 0 interrupted'])
  const halfway = level(heard(), 240 * MS, 260 * MS, 440)
  assert.ok(halfway > 0.1 && halfway < 0.2, `it falls, and is not cut (agents 6165): ${halfway}`)
  assert.deepEqual(await output.waitForPlayout(), { playbackPosition: 0, interrupted: true })
})

test('emits nothing if nothing was captured', async (t) => {
  const { output, advance, told } = openOutput(t)
  output.flush()
  output.clearBuffer()
  output.pause()
  output.resume()
  await advance(100)
  assert.deepEqual(told, [])
  await output.waitForPlayout()
})

test('a pause loses no speech (agents-js 1884)', async (t) => {
  const { output, advance, told, heard } = openOutput(t)
  const samples = hum(440, 1000)
  const frames = framesOf(samples)
  await capture(output, frames.slice(0, 30))
  await advance(300)
  output.pause()
  await advance(1000)
  await capture(output, frames.slice(30)) // the TTS goes on
  output.flush()
  await advance(500)
  assert.deepEqual(told, ['started'])
  output.resume()
  await advance(1000)
  assert.deepEqual(told, ['started', 'finished 1000'])
  const all = heard()
  const sounding = [...all.slice(0, 305 * MS), ...all.slice(1800 * MS, 1800 * MS + 695 * MS)]
  // All but the 5 ms fades out and in at the pause.
  const whole = samples.filter((sample, n) => Math.abs(sample - sounding[n]) < 1e-3).length
  assert.ok(whole >= samples.length - 11 * MS, `${whole} of ${samples.length} samples are where they belong`)
})

test('frames captured during a pause can be interrupted unheard', async (t) => {
  const { output, advance, told } = openOutput(t)
  output.pause()
  await capture(output, speech(440, 500))
  output.flush()
  await capture(output, speech(880, 500))
  await advance(1000)
  assert.deepEqual(told, [])
  output.clearBuffer()
  await advance(20)
  assert.deepEqual(told, ['finished 0 interrupted', 'finished 0 interrupted'])
  output.resume()
  await capture(output, speech(1320, 500))
  output.flush()
  await advance(600)
  assert.deepEqual(told.slice(2), ['started', 'finished 500'])
})

test('an interruption during a pause is reported at once', async (t) => {
  const { output, advance, told } = openOutput(t)
  await capture(output, speech(440, 1000))
  output.flush()
  await advance(400)
  output.pause()
  await advance(100)
  output.clearBuffer()
  await turn()
  const last = await output.waitForPlayout()
  assert.equal(last.interrupted, true)
  assert.deepEqual(told, ['started', 'finished 405 interrupted'])
})

test('one segment may mix sample rates (agents-js 1984)', async (t) => {
  const { output, advance, told, heard } = openOutput(t)
  await capture(output, speech(440, 500, { rate: 24000 }))
  await capture(output, speech(880, 500, { rate: 16000 }))
  await capture(output, speech(1320, 500))
  output.flush()
  await advance(1600)
  assert.deepEqual(told, ['started', 'finished 1500'])
  const samples = heard()
  assert.deepEqual([0, 500, 1000].map((at) => pitches(samples, at, at + 500)), [[440], [880], [1320]])
})

test('an interruption stops every run of a segment', async (t) => {
  const { output, advance, told } = openOutput(t)
  await capture(output, speech(440, 500, { rate: 24000 }))
  await capture(output, speech(880, 500))
  await advance(700)
  output.clearBuffer()
  await advance(100)
  assert.deepEqual(told, ['started', 'finished 705 interrupted'])
})

test('a refused frame starts no segment', async (t) => {
  const { output, advance, told } = openOutput(t)
  const surround = new AudioFrame(new Int16Array(960 * 6), 48000, 6, 960)
  await assert.rejects(output.captureFrame(surround), { code: 'ERR_INVALID_ARGUMENT' })
  output.flush()
  await output.waitForPlayout()
  await capture(output, speech(440, 500))
  await output.captureFrame(surround) // Within a segment it is left out.
  await capture(output, speech(440, 500))
  output.flush()
  await advance(1100)
  assert.deepEqual(told, ['started', 'finished 1000'])
})

test('a failed segment reports what was heard (agents-js 2065)', async (t) => {
  const { output, advance, told } = openOutput(t, { speech: { stallTimeoutMs: 200 } })
  await capture(output, speech(440, 500))
  await advance(1000) // the TTS is late
  await capture(output, speech(440, 500)) // nobody hears the rest of the sentence
  await advance(500)
  assert.deepEqual(told, ['started'], 'the agent has not ended it')
  output.flush()
  await output.waitForPlayout()
  assert.deepEqual(told, ['started', 'finished 500 interrupted'])
  await capture(output, speech(880, 500))
  output.flush()
  await advance(600)
  assert.deepEqual(told.slice(2), ['started', 'finished 500'])
})

test('a segment finishes after its last sample (node-sdks 693)', async (t) => {
  const { output, advance, told } = openOutput(t)
  await capture(output, speech(440, 500))
  output.flush()
  await advance(490)
  assert.deepEqual(told, ['started'])
  await advance(10)
  assert.deepEqual(told, ['started', 'finished 500'])
})

test('bursty speech is heard whole (agents 3604)', async (t) => {
  const { output, advance, told, heard } = openOutput(t)
  const progress = []
  output.on('playbackProgressed', ({ startedAt, ...played }) => progress.push(played))
  for (const hz of [440, 880, 1320]) {
    await capture(output, speech(hz, 300))
    await advance(500) // the TTS is late by 200 ms
  }
  output.flush()
  await advance(20)
  assert.deepEqual(told, ['started', 'finished 900'])
  assert.deepEqual(progress, [{ offset: 0, duration: 300 }, { offset: 300, duration: 300 }, { offset: 600, duration: 300 }])
  const samples = heard()
  assert.deepEqual([20, 520, 1020].map((at) => pitches(samples, at, at + 250)), [[440], [880], [1320]])
})

test('prebuffered bursty speech has no gap (agents 3604)', async (t) => {
  const { output, advance, told, heard } = openOutput(t, { speech: { prebufferMs: 300 } })
  await capture(output, speech(440, 200))
  await advance(200)
  assert.deepEqual(told, [])
  for (let n = 0; n < 4; n++) {
    await capture(output, speech(440, 200))
    await advance(200)
  }
  output.flush()
  await advance(400)
  assert.deepEqual(told, ['started', 'finished 1000'])
  assert.deepEqual(Array.from({ length: 10 }, (_, n) => pitches(heard(), 200 + n * 100, 300 + n * 100)), Array(10).fill([440]))
})

test('a segment stopped by the application is interrupted', async (t) => {
  const { session, output, advance, told, heard } = openOutput(t)
  await capture(output, speech(440, 500))
  await advance(200)
  await session.interrupt()
  await capture(output, speech(440, 500))
  output.flush()
  await advance(1000)
  assert.deepEqual(told, ['started', 'finished 205 interrupted'])
  assert.deepEqual(pitches(heard(), 210, 1200), [])
  await capture(output, speech(440, 500))
  output.flush()
  session.playAudio({ audio: tone(880, 100) }) // stops all others
  await advance(200)
  assert.deepEqual(told.slice(2), ['finished 0 interrupted'])
})

test('a muted segment does not count as heard', async (t) => {
  const { session, output, advance, told } = openOutput(t)
  await capture(output, speech(440, 1000))
  output.flush()
  await advance(400)
  await session.setMuted({ trackId: 0, muted: true })
  await advance(700)
  assert.deepEqual(told, ['started', 'finished 400'])
})

test('captureFrame waits beyond maxAheadMs', async (t) => {
  const { output, advance } = openOutput(t, { speech: { maxAheadMs: 1000 } })
  let taken = 0
  const capturing = (async () => {
    for (const frame of speech(440, 10_000)) {
      await output.captureFrame(frame)
      taken += 20
    }
  })()
  const settled = async () => {
    for (let n = 0; n < 20; n++) await turn()
    return taken
  }
  const ahead = await settled()
  assert.ok(ahead >= 1000 && ahead <= 3000, `${ahead} ms were taken at once`)
  await advance(2000)
  const later = await settled()
  assert.ok(later > ahead && later <= ahead + 3000, `${later} ms after 2 s`)
  output.pause()
  await capturing
  output.resume()
  let isTaken = false
  output.captureFrame(speech(440, 20)[0]).then(() => (isTaken = true))
  await settled()
  assert.equal(isTaken, false)
  output.clearBuffer()
  await settled()
  assert.equal(isTaken, true)
})

test('a captured frame can be reused', async (t) => {
  const { output, advance, heard } = openOutput(t)
  for (const frame of speech(440, 500)) {
    const taken = output.captureFrame(frame)
    frame.data.fill(0)
    await taken
  }
  output.flush()
  await advance(500)
  assert.deepEqual(pitches(heard(), 0, 500), [440])
})

test('a frame may be a view of larger memory', async (t) => {
  const { output, advance, told, heard } = openOutput(t)
  const memory = new Int16Array(960 * 52)
  speech(440, 1000).forEach(({ data }, n) => memory.set(data, 960 * (n + 1)))
  for (let n = 1; n <= 50; n++) await output.captureFrame(new AudioFrame(memory.subarray(960 * n), 48000, 1, 960))
  output.flush()
  await advance(1100)
  assert.deepEqual(told, ['started', 'finished 1000'])
  assert.deepEqual(pitches(heard(), 0, 1000), [440])
})

test('a segment without samples finishes unheard', async (t) => {
  const { output, advance, told } = openOutput(t)
  await output.captureFrame(new AudioFrame(new Int16Array(0), 48000, 1, 0))
  output.flush()
  await advance(20)
  assert.deepEqual(told, ['finished 0'])
})

test('a throwing listener does not block other segments', async (t) => {
  const { output, advance, told } = openOutput(t)
  for (const event of ['playbackStarted', 'playbackFinished', 'playbackProgressed']) {
    output.prependListener(event, () => {
      throw new Error('a listener of mine')
    })
  }
  for (const hz of [440, 880]) {
    await capture(output, speech(hz, 200))
    output.flush()
  }
  await advance(500)
  await output.waitForPlayout()
  assert.equal(output.pendingPlayoutSegments, 0)
  assert.deepEqual(told, [], 'EventEmitter calls nobody behind the one that throws')
})

test('detaching a paused output does not wait forever (agents-js 2040)', async (t) => {
  const { session, output, advance, told } = openOutput(t)
  output.onAttached()
  await capture(output, speech(440, 500))
  output.flush()
  await advance(200)
  output.pause()
  output.onDetached()
  await advance(20)
  await output.waitForPlayout()
  assert.deepEqual(told, ['started', 'finished 205 interrupted'])
  const other = new SpeakerAudioOutput({ session })
  const toldByOther = listen(other)
  other.onAttached()
  await capture(other, speech(880, 500))
  other.flush()
  output.onAttached()
  await capture(output, speech(1320, 500))
  output.flush()
  await advance(1100)
  assert.deepEqual([told.slice(2), toldByOther], [['started', 'finished 500'], ['started', 'finished 500']])
})

test('a detached output plays on', async (t) => {
  const { output, advance, told } = openOutput(t)
  output.onAttached()
  await capture(output, speech(440, 500))
  output.flush()
  await advance(200)
  output.onDetached()
  await advance(400)
  assert.deepEqual(told, ['started', 'finished 500'])
})

test('close ends playback and leaves a borrowed session open', async (t) => {
  const { session, output, advance, told } = openOutput(t)
  const before = session.listenerCount('progress') - 1
  await capture(output, speech(440, 500))
  await advance(200)
  const closing = output.close()
  await advance(20)
  await closing
  await output.close()
  assert.deepEqual(told, ['started', 'finished 205 interrupted'])
  await assert.rejects(output.captureFrame(speech(440, 20)[0]), { name: 'SpeakerError', code: 'ERR_CLOSED' })
  output.flush()
  output.clearBuffer()
  await output.waitForPlayout()
  assert.equal(session.listenerCount('progress'), before, 'it listens no more')
  session.playAudio({ audio: tone(440, 100) })
  await advance(100)
})

test('closing the session settles everything', async (t) => {
  const { session, output, told } = openOutput(t)
  await capture(output, speech(440, 500))
  await session.close()
  await output.captureFrame(speech(440, 20)[0])
  output.flush()
  await output.waitForPlayout()
  assert.deepEqual(told, ['finished 0 interrupted'])
  await assert.rejects(output.captureFrame(speech(440, 20)[0]), { code: 'ERR_CLOSED' })
  await output.close()
})

test('refuses invalid options at once', (t) => {
  const { session } = openOutput(t)
  const refused = [
    [undefined, /^Expected an object for the options of SpeakerAudioOutput but received undefined$/],
    [{}, /^Expected one of session, room and source for the options of SpeakerAudioOutput but received 0$/],
    [{ session, source: {} }, /but received 2$/],
    [{ session, fadeOutMs: -1 }, /^Expected a number from 0 to 86400000 for fadeOutMs but received -1$/],
    [{ session, maxAheadMs: NaN }, /for maxAheadMs but received NaN$/],
    [{ session, trackId: 1.5 }, /^Expected an integer from 0 to 65535 for trackId but received 1.5$/],
    [{ session, fade: 5 }, /^Expected only session, .* for the options of SpeakerAudioOutput but received 'fade'$/]
  ]
  for (const [options, message] of refused) {
    assert.throws(() => new SpeakerAudioOutput(options), { name: 'SpeakerError', code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test('ESM classes share base classes and types', async () => {
  const { readFileSync } = require('node:fs')
  const path = require('node:path')
  const adapter = await import('speaker-session/livekit-agents')
  const imported = await import('@livekit/agents')
  assert.ok(adapter.SpeakerAudioOutput.prototype instanceof imported.voice.AudioOutput)
  assert.deepEqual(Object.keys(adapter).sort(), Object.keys(require('speaker-session/livekit-agents')).sort())
  const folder = path.join(__dirname, '../../adapters/livekit-agents')
  assert.equal(readFileSync(path.join(folder, 'index.d.mts'), 'utf8'), readFileSync(path.join(folder, 'index.d.ts'), 'utf8'))
})
