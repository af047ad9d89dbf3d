'use strict'

// Headers are obeyed wherever they stand: unknown sizes, gains, delays, indexes at the end. And missing parts of a body are reported.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { compare } = require('../support/sounds')
const { ways } = require('../support/ways')
const { level } = require('../support/wav')

const fixture = (name) => readFileSync(path.join(__dirname, '../fixtures', name))

/** Returns a changed copy. */
function changed(bytes, change) {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

/** Plays `audio` and returns how it ended, what was heard, and how long it was. */
async function play(t, audio, options) {
  const { session, heard } = open(t, options)
  const ended = session.playAudio({ audio }).then(({ outcome, durationMs }) => [outcome, durationMs], ({ code, positionMs }) => [code, positionMs])
  await finish(session)
  const [outcome, ms] = await ended
  const channels = options?.output?.channels ?? 1
  const samples = heard().slice(0, Math.round(ms * 48) * channels)
  await session.close()
  return { outcome, heard: samples, length: samples.length / channels }
}

/** Returns a WebM as a browser's MediaRecorder writes it: neither the segment nor a cluster has a known size. */
function live(webm) {
  return changed(webm, (copy) => {
    for (const id of ['18538067', '1f43b675']) {
      let at = -1
      while ((at = copy.indexOf(Buffer.from(id, 'hex'), at + 1)) >= 0) {
        const length = Math.clz32(copy[at + 4]) - 23
        copy.fill(0xff, at + 5, at + 4 + length)
        copy[at + 4] = (2 << (8 - length)) - 1
      }
    }
  })
}

test('a CAF may end with its packet table', async (t) => {
  const everyWay = await ways(t)
  for (const name of ['caf-aac-lc.caf', 'caf-alac.caf', 'caf-opus.caf']) {
    const audio = fixture(`formats/${name}`)
    assert.ok(audio.lastIndexOf('pakt') > audio.indexOf('data'), `${name} has it last`)
    const { outcome, length } = await play(t, audio)
    assert.ok(outcome === 'completed' && length > 10_000, name)
    const heard = await everyWay.path(audio)
    for (const [way, play] of Object.entries(everyWay)) {
      assert.deepEqual(await play(audio, 'm4a'), heard, `${name} by ${way}`)
    }
  }
})

/** Returns an MP4 whose last box, its samples, extends to the end by a size of 0. */
const toTheEnd = (mp4) => changed(mp4, (copy) => copy.writeUInt32BE(0, copy.lastIndexOf('mdat') - 4))

test('unknown sizes and trailing indexes play from every source', async (t) => {
  const webm = fixture('formats/webm-opus.webm')
  const cases = [
    ['a live WebM with Opus', live(webm), webm, 'webm'],
    ['a live WebM with Vorbis', live(fixture('formats/webm-vorbis.webm')), fixture('formats/webm-vorbis.webm'), 'webm'],
    ['samples to the end', toTheEnd(fixture('tone-faststart.m4a')), fixture('tone-faststart.m4a'), 'm4a'],
    ['an index at the end', fixture('tone.m4a'), fixture('tone-faststart.m4a'), 'm4a'],
    ['a transport stream', fixture('formats/mpeg-ts-mp3.ts'), fixture('formats/mpeg-ts-mp3.ts'), 'mp3']
  ]
  for (const [way, play] of Object.entries(await ways(t))) {
    for (const [what, audio, plain, format] of cases) {
      const heard = await play(audio, format)
      assert.ok(heard.length > 10_000, `${what} by ${way}`)
      assert.deepEqual(heard, await play(plain, format), `${what} by ${way}`)
    }
  }
})

test('plays two browser recordings in one body', async (t) => {
  const webm = live(fixture('formats/webm-opus.webm'))
  const [one, two] = [await play(t, webm), await play(t, Buffer.concat([webm, webm]))]
  assert.deepEqual([two.outcome, two.length], ['completed', 2 * one.length])
})

test('applies the gain and pre-skip of the Opus header', async (t) => {
  for (const name of ['webm-opus.webm', 'mp4-opus.mp4']) {
    const file = fixture(`formats/${name}`)
    // In MP4 without its magic, and big-endian.
    const isMp4 = name.endsWith('mp4')
    const at = isMp4 ? file.indexOf('dOps') + 4 : file.indexOf('OpusHead') + 8
    const write = (copy, value, place) => (isMp4 ? copy.writeInt16BE(value, at + place) : copy.writeInt16LE(value, at + place))
    const plain = await play(t, file)
    const softer = await play(t, changed(file, (copy) => write(copy, -6.0206 * 256, 8)))
    assert.ok(Math.abs(compare(softer.heard, plain.heard).louder - 0.5) < 0.001, name)
    // Four packets instead of a part of one.
    const later = await play(t, changed(file, (copy) => write(copy, 3840, 2)))
    const skipped = 3840 - 312
    assert.equal(compare(plain.heard, later.heard, skipped + 1).late, skipped, name)
    assert.deepEqual(later.heard.slice(0, 2000), plain.heard.slice(skipped, skipped + 2000), name)
  }
})

test('surround keeps its sides and its loudness', async (t) => {
  const side = (samples, index) => Math.hypot(...samples.filter((_, n) => n % 2 === index))
  // Front, half of the centre, and back, at −3 dB each.
  const [left, right] = [1 + (0.5 + 0.2) * Math.SQRT1_2, 0.3 + (0.5 + 0.4) * Math.SQRT1_2]
  for (const name of ['ogg-opus-5-1.opus', 'ogg-vorbis-5-1.ogg', 'mp4-aac-lc-5-1.m4a', 'adts-aac-lc-5-1.aac']) {
    const { outcome, heard } = await play(t, fixture(`formats/${name}`), { output: { channels: 2 } })
    assert.equal(outcome, 'completed')
    assert.ok(Math.abs(side(heard, 1) / side(heard, 0) / (right / left) - 1) < 0.03, `${name}: ${side(heard, 1) / side(heard, 0)}`)
  }
})

/** Returns an MP4 whose index begins with another box; samples after it move by its size. */
function withBox(mp4, box) {
  const moov = mp4.indexOf('moov') - 4
  const longer = Buffer.concat([mp4.subarray(0, moov + 8), box, mp4.subarray(moov + 8)])
  longer.writeUInt32BE(longer.readUInt32BE(moov) + box.length, moov)
  const chunks = longer.lastIndexOf('stco') + 12
  if (mp4.lastIndexOf('mdat') > moov) longer.writeUInt32BE(longer.readUInt32BE(chunks) + box.length, chunks)
  return longer
}

const box = (kind, ...content) => {
  const all = Buffer.concat([Buffer.alloc(4), Buffer.from(kind), ...content.map((part) => Buffer.from(part))])
  all.writeUInt32BE(all.length)
  return all
}

test('cuts the delay and padding of the tag iTunSMPB', async (t) => {
  const m4a = fixture('formats/mp4-aac-lc.m4a')
  const plain = await play(t, m4a)
  const none = Buffer.alloc(4)
  const text = ' 00000000 00000840 00000100 0000000000002000 00000000 00000000'
  const item = box('----', box('mean', none, 'com.apple.iTunes'), box('name', none, 'iTunSMPB'), box('data', [0, 0, 0, 1], none, text))
  const tag = box('udta', box('meta', none, box('hdlr', Buffer.alloc(25)), box('ilst', item)))
  const { outcome, heard, length } = await play(t, withBox(m4a, tag))
  assert.deepEqual([outcome, length], ['completed', Math.round((0x2000 * 48000) / 44100)])
  // By 2112 samples instead of 1024.
  assert.equal(compare(plain.heard, heard).late, Math.round((1088 * 48000) / 44100))
})

test("plays an MP4's audio beside other tracks", async (t) => {
  const m4a = fixture('tone-faststart.m4a')
  const plain = await play(t, m4a)
  // A copy of the track, as of a picture, of which no sample is where it says.
  const at = m4a.indexOf('trak') - 4
  const track = changed(m4a.subarray(at, at + m4a.readUInt32BE(at)), (copy) => {
    copy.write('vide', copy.indexOf('soun'))
    copy.writeUInt32BE(7, copy.indexOf('tkhd') + 16)
    copy.writeUInt32BE(0xffffff, copy.indexOf('stco') + 12)
  })
  const both = withBox(m4a, track)
  for (const [way, play] of Object.entries(await ways(t))) {
    assert.deepEqual(await play(both, 'm4a'), await play(m4a, 'm4a'), way)
  }
  assert.ok(Math.abs(level(plain.heard, 0, 4800, 1000) - 0.5) < 0.01, 'it begins with its first sample')
})

test('refusals name HE-AAC and Opus without a layout', async (t) => {
  const { session } = open(t)
  // A build with the feature plays it: see he-aac.test.js.
  if (!(process.env.SPEAKER_SESSION_FEATURES ?? '').split(',').includes('he-aac')) {
    const m4a = fixture('tone.m4a')
    // The description of AAC-LC, 44.1 kHz, mono, and one of SBR over 22.05 kHz (ISO/IEC 14496-3 §1.6.2.1).
    const at = m4a.indexOf(Buffer.from('1208', 'hex'), m4a.indexOf('esds'))
    assert.ok(at > 0)
    const playing = session.playAudio({ audio: changed(m4a, (copy) => copy.write('2b8a080000', at, 'hex')) })
    await assert.rejects(playing, { code: 'ERR_UNSUPPORTED_FORMAT', message: /HE-AAC/ })
  }
  const opus = changed(fixture('formats/ogg-opus.opus'), (copy) => { copy[copy.indexOf('OpusHead') + 18] = 255 })
  await assert.rejects(session.playAudio({ audio: opus }), { code: 'ERR_UNSUPPORTED_FORMAT', message: /mapping family 255/ })
})

test('a cut container never completes and plays what came', async (t) => {
  for (const name of ['webm-opus.webm', 'matroska-flac.mka', 'mpeg-ts-aac-lc.ts', 'mp4-aac-lc-5-1.m4a']) {
    // An M4A whose index is at its start can be cut too.
    const file = name.endsWith('m4a') ? fixture('tone-faststart.m4a') : fixture(`formats/${name}`)
    const whole = await play(t, file)
    assert.equal(whole.outcome, 'completed', name)
    for (let cut = 1; cut < 40; cut++) {
      const part = await play(t, file.subarray(0, Math.floor((file.length * cut) / 40)))
      const isPart = /^ERR_(TRUNCATED|DECODE|UNSUPPORTED_FORMAT)$/.test(part.outcome)
      // After a packet of a transport stream nothing says that there were more.
      assert.ok(isPart || name.endsWith('ts'), `${name} at ${cut}: ${part.outcome}`)
      assert.ok(part.length <= whole.length, `${name} at ${cut}: ${part.length}`)
    }
  }
})

test('container damage sounds the same from every source', async (t) => {
  for (const name of ['webm-opus.webm', 'webm-vorbis.webm', 'matroska-aac-lc.mka', 'mpeg-ts-mp3.ts', 'mp4-opus.mp4']) {
    const file = fixture(`formats/${name}`)
    for (let seed = 1; seed <= 6; seed++) {
      const damaged = changed(file, (copy) => {
        for (let n = 0; n < 12; n++) copy[(seed * 7919 + n * n * 104729) % copy.length] ^= 1 << ((seed + n) % 8)
      })
      const whole = await play(t, damaged, { maxDurationMs: 3000 })
      assert.match(whole.outcome, /^(completed|ERR_(DECODE|TRUNCATED|UNSUPPORTED_FORMAT|MAX_DURATION))$/)
      const { session, heard } = open(t, { maxDurationMs: 3000 })
      const stream = session.createStream({ format: 'webm' })
      stream.on('error', () => {})
      for (let at = 0; at < damaged.length; at += 7) stream.write(damaged.subarray(at, at + 7))
      stream.end()
      const ended = stream.finished.then(({ outcome }) => outcome, ({ code }) => code)
      await finish(session)
      assert.equal(await ended, whole.outcome, `${name}, ${seed}`)
      assert.deepEqual(heard().slice(0, whole.length), whole.heard, `${name}, ${seed}`)
      await session.close()
    }
  }
})
