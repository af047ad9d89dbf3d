'use strict'

// Clips that follow each other in a queue are one sound: one resampling filter spans the seam instead of one per clip.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { tone } = require('../support/wav')

/** Cuts a mono 16-bit WAV file in two after this many samples. */
function cut(wav, samples) {
  const piece = (from, to) => {
    const head = Buffer.from(wav.subarray(0, 44))
    const data = wav.subarray(44 + from * 2, to === undefined ? undefined : 44 + to * 2)
    head.writeUInt32LE(36 + data.length, 4)
    head.writeUInt32LE(data.length, 40)
    return Buffer.concat([head, data])
  }
  return [piece(0, samples), piece(samples)]
}

async function heard(t, clips, { output, ...options } = {}) {
  const { session, heard } = open(t, { overlap: 'queue', output, ...options })
  for (const audio of clips) session.playAudio({ audio, stopOther: false })
  await finish(session)
  return heard()
}

function worst(one, other) {
  return one.reduce((worst, sample, n) => Math.max(worst, Math.abs(sample - (other[n] ?? 0))), 0)
}

test('two queued clips are one continuous sound', async (t) => {
  for (const rate of [8000, 24000, 32000, 44100, 48000]) {
    for (const channels of [1, 2]) {
      const audio = tone(997, 1000, { sampleRate: rate, amplitude: 0.5 })
      // Not at a zero, and also where the seam falls on a sample at the session's rate.
      const clips = cut(audio, rate / 2 + (rate === 44100 ? 0 : 10))
      const [whole, joined] = [await heard(t, [audio], { output: { channels } }), await heard(t, clips, { output: { channels } })]
      assert.equal(joined.length, whole.length)
      assert.ok(worst(whole, joined) < 1e-4, `${rate} Hz, ${channels} channels: off by ${worst(whole, joined)}`)
    }
  }
})

test('third clips and short steps make no click', async (t) => {
  const audio = tone(440, 600, { sampleRate: 24000, amplitude: 0.5 })
  const [first, rest] = cut(audio, 4810)
  const [second, third] = cut(rest, 4822)
  const whole = await heard(t, [audio])
  const { session, heard: memory } = open(t, { overlap: 'queue' })
  for (const clip of [first, second, third]) session.playAudio({ audio: clip, stopOther: false })
  while (session.playbacks().length > 0) await session.advance(3)
  assert.ok(worst(whole, memory()) < 1e-4, `off by ${worst(whole, memory())}`)
})

test('a lone or differently loud clip is unchanged', async (t) => {
  const [first, second] = cut(tone(997, 400, { sampleRate: 8000, amplitude: 0.5 }), 1610)
  const alone = await heard(t, [first])
  const { session, heard: memory } = open(t, { overlap: 'queue' })
  session.playAudio({ audio: first, stopOther: false })
  session.playAudio({ audio: second, stopOther: false, volume: 0.5 })
  await finish(session)
  const length = Math.round((1610 / 8000) * 48000)
  assert.deepEqual(memory().slice(0, length), alone.slice(0, length))
})
