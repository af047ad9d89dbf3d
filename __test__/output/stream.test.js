'use strict'

// The `stream` output: the mix, encoded for any number of listeners.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { collect, decode, decodeByFfmpeg, pagesOf } = require('../support/encoded')
const { open } = require('../support/session')
const { level, tone } = require('../support/wav')

/**
 * How far the sound in a decoded stream is behind the session's time, for a listener that was there from the start: by `burstMs`, rounded up to a chunk
 * together with the 80 ms that Opus needs to converge; MP3 also by the 1,057 samples of its filters.
 */
const CODECS = [
  { codec: 'wav', behindMs: 500, edgeMs: 0, noise: 2 ** -16 },
  { codec: 'opus', behindMs: 520, edgeMs: 20, noise: 0.002 },
  { codec: 'mp3', behindMs: 500 + 1057 / 48, edgeMs: 25, noise: 0.002 }
]

function radio(t, codec, output) {
  return open(t, { output: { type: 'stream', codec, ...output } })
}

/** Asserts that samples have a tone from one time to another, and silence up to `edgeMs` around it. */
function assertTone(samples, hz, fromMs, toMs, { edgeMs, noise }, amplitude = 0.3) {
  const place = (ms) => Math.round(ms * 48)
  const [from, to, edge] = [place(fromMs), place(toMs), place(edgeMs)]
  // Whole periods of the frequency, inside of the edges.
  const period = 48000 / hz
  const inside = from + Math.max(edge, 240)
  const periods = Math.floor((to - Math.max(edge, 240) - inside) / period)
  const heard = level(samples, inside, inside + Math.round(periods * period), hz)
  assert.ok(Math.abs(heard - amplitude) < amplitude * 0.02, `${hz} Hz at ${fromMs} ms: ${heard}`)
  const loudest = (part) => part.reduce((max, sample) => Math.max(max, Math.abs(sample)), 0)
  const before = loudest(samples.subarray(Math.max(0, from - 4800), Math.max(0, from - edge)))
  const after = loudest(samples.subarray(to + edge, to + 4800))
  assert.ok(before <= noise && after <= noise, `around ${hz} Hz at ${fromMs} ms: ${before}, ${after}`)
  // The first half period after its beginning is there.
  assert.ok(loudest(samples.subarray(from, from + edge + Math.ceil(period))) > amplitude * 0.7, `${hz} Hz begins at ${fromMs} ms`)
}

for (const { codec, behindMs, ...limits } of CODECS) {
  test(`${codec}: tones are where the session played them`, async (t) => {
    for (const channels of [1, 2]) {
      const { session } = radio(t, codec, { channels })
      const stream = session.audioStream()
      const all = collect(stream)
      await session.advance(700)
      session.playAudio({ audio: tone(440, 500) })
      await session.advance(1003.5)
      session.playAudio({ audio: tone(1000, 250) })
      await session.advance(796.5)
      await session.close()
      const bytes = await all.whole()
      const decodings = [(await decode(bytes, channels)).samples, decodeByFfmpeg(bytes, channels)?.samples]
      for (const samples of decodings.filter(Boolean)) {
        const left = samples.filter((_, n) => n % channels === 0)
        assertTone(left, 440, behindMs + 700, behindMs + 1200, limits)
        assertTone(left, 1000, behindMs + 1703.5, behindMs + 1953.5, limits)
        if (codec !== 'mp3') assert.equal(left.length, (behindMs + 2500) * 48)
      }
      assert.equal(stream.droppedMs, 0)
      // Of a WAV it says that its end is not where the header has it.
      const complaints = decodeByFfmpeg(bytes, channels)?.complaints.split('\n').filter((line) => !/Estimating duration/.test(line)).join('')
      if (codec !== 'wav') assert.equal(complaints ?? '', '')
    }
  })

  test(`${codec}: a late listener begins in the middle of a sound`, async (t) => {
    const { session } = radio(t, codec)
    const first = collect(session.audioStream())
    session.playAudio({ audio: tone(440, 3000) })
    session.playAudio({ audio: tone(1000, 1000), stopOther: false, volume: 0.5 })
    await session.advance(2000)
    const late = collect(session.audioStream())
    await session.advance(2000)
    await session.close()
    const bytes = await late.whole()
    const { samples } = await decode(bytes)
    // It came at 2000 ms, and has heard from `behindMs` before that on: the low tone, and no other.
    assertTone(samples, 440, behindMs - 500, behindMs + 1000, { ...limits, noise: 1 })
    assert.ok(level(samples, 24000, 72000, 1000) < 0.001)
    const tail = samples.subarray((behindMs + 1000 + limits.edgeMs) * 48)
    assert.ok(tail.length >= 46000 && tail.every((sample) => Math.abs(sample) <= limits.noise))
    // Both got the same packets, encoded once.
    const whole = await first.whole()
    if (codec === 'opus') {
      const packets = (all) => pagesOf(all).slice(2).flatMap(({ packets }) => packets.map((packet) => packet.toString('hex')))
      assert.deepEqual(packets(whole).slice(-packets(bytes).length), packets(bytes))
    } else {
      const headers = codec === 'wav' ? 44 : 0
      assert.ok(whole.subarray(-(bytes.length - headers)).equals(bytes.subarray(headers)))
    }
  })

  test(`${codec}: a listener who does not read delays nobody`, async (t) => {
    const { session } = radio(t, codec)
    const [idle, reading] = [session.audioStream(), session.audioStream()]
    const all = collect(reading)
    session.playAudio({ audio: tone(440, 60000) })
    await session.advance(30000)
    const late = collect(idle)
    await once(idle, 'data')
    await session.advance(100)
    assert.equal(session.stats().droppedFrames, idle.droppedMs / 20)
    await session.close()
    const whole = await decode(await all.whole())
    assert.ok(Math.abs(level(whole.samples, 48000, 30 * 48000, 440) - 0.3) < 0.003)
    assert.equal(reading.droppedMs, 0)
    // What it gets is the newest sound, after the headers.
    const rest = await decode(await late.whole())
    assert.ok(rest.durationMs >= 500 && rest.durationMs < 1000, `${rest.durationMs} ms`)
    assert.ok(Math.abs(level(rest.samples, 4800, 24000, 440) - 0.3) < 0.003)
    assert.ok(idle.droppedMs > 29000 && idle.droppedMs < 31000, `${idle.droppedMs} ms`)
  })
}

test('opus: the pages are those of RFC 7845', async (t) => {
  for (const [channels, chunkMs] of [[1, 20], [2, 100], [1, 500]]) {
    const { session } = radio(t, 'opus', { channels, chunkMs, bitrate: 510000 })
    session.audioStream().destroy()
    const all = collect(session.audioStream())
    session.playAudio({ audio: tone(440, 900) })
    await session.advance(1007)
    await session.close()
    const pages = pagesOf(await all.whole())
    const [head, tags, ...sound] = pages
    assert.deepEqual(pages.map(({ sequence }) => sequence), pages.map((_, n) => n))
    assert.equal(new Set(pages.map(({ serial }) => serial)).size, 1)
    assert.deepEqual(pages.map(({ flags }) => flags), pages.map((_, n) => (n === 0 ? 2 : n === pages.length - 1 ? 4 : 0)))
    // Version 1, pre-skip of 80 ms and the encoder's 2.5 ms, 48 kHz, no gain, mapping family 0.
    const skipped = 3840 + 120
    const expected = Buffer.concat([Buffer.from('OpusHead\x01'), Buffer.from([channels, skipped & 0xff, skipped >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0])])
    assert.deepEqual(head.packets, [expected])
    assert.equal(tags.packets[0].toString('latin1', 0, 8), 'OpusTags')
    assert.deepEqual([head.granule, tags.granule], [0, 0])
    let granule = 0
    for (const page of sound) {
      granule += page.packets.length * 960
      if (page !== sound.at(-1)) assert.deepEqual([page.granule, page.packets.length], [granule, chunkMs / 20])
    }
    // The last page cuts the end at the sample.
    const { granule: end } = sound.at(-1)
    const behind = Math.ceil(580 / chunkMs) * chunkMs - 80
    assert.equal(end - skipped, (behind + 1007) * 48)
    assert.ok(end <= granule && granule - end < 2 * 960)
  }
})

test('mp3: each frame can be decoded alone', async (t) => {
  for (const channels of [1, 2]) {
    const { session } = radio(t, 'mp3', { channels, bitrate: 130000 })
    const all = collect(session.audioStream())
    session.playAudio({ audio: tone(440, 900) })
    await session.advance(2000)
    await session.close()
    const bytes = await all.whole()
    // MPEG-1 Layer III, 128 kbit/s, 48 kHz: 384 bytes, whose `main_data_begin` (9 bits, ISO/IEC 11172-3 §2.4.1.7) points to no earlier frame.
    assert.equal(bytes.length % 384, 0)
    for (let at = 0; at < bytes.length; at += 384) {
      assert.deepEqual([bytes[at], bytes[at + 1] & 0xfe, bytes[at + 2] & 0xfc], [0xff, 0xfa, 0x94])
      assert.equal(bytes[at + 3] >> 6 === 3 ? 1 : 2, channels)
      assert.equal((bytes[at + 4] << 1) | (bytes[at + 5] >> 7), 0)
    }
  }
})

test('mp3: noise is 40 dB below a tone', async (t) => {
  for (const [channels, hz] of [[1, 200], [1, 1000], [2, 1000], [1, 5000], [2, 12000]]) {
    const { session } = radio(t, 'mp3', { channels })
    const all = collect(session.audioStream())
    session.playAudio({ audio: tone(hz, 2000) })
    await session.advance(2000)
    await session.close()
    const { samples } = await decode(await all.whole(), channels)
    const left = samples.filter((_, n) => n % channels === 0).subarray(48000, 96000)
    const power = left.reduce((sum, sample) => sum + sample * sample, 0) / left.length
    const signal = level(left, 0, left.length, hz) ** 2 / 2
    const snr = 10 * Math.log10(signal / Math.max(power - signal, 1e-12))
    assert.ok(snr > 40, `${hz} Hz, ${channels} channels: ${snr} dB`)
  }
})

test('fifty listeners get the same', async (t) => {
  const { session } = radio(t, 'mp3')
  const all = Array.from({ length: 50 }, () => collect(session.audioStream()))
  session.playAudio({ audio: tone(440, 5000) })
  await session.advance(5000)
  await session.close()
  const [first, ...others] = await Promise.all(all.map((one) => one.whole()))
  assert.ok(first.length > 80000)
  assert.ok(others.every((other) => other.equals(first)))
})

test('what nobody listens to is unheard', async (t) => {
  const { session, terminal } = radio(t, 'opus')
  const play = (requestId, ms) => session.playAudio({ requestId, audio: tone(440, ms) })
  play('alone', 300)
  await session.advance(1000)
  const stream = session.audioStream().resume()
  play('heard', 300)
  await session.advance(1000)
  play('left', 600)
  await session.advance(200)
  stream.destroy()
  await once(stream, 'close')
  await session.advance(300)
  session.audioStream().resume()
  await session.advance(1000)
  const unheard = ['alone', 'heard', 'left'].map((requestId) => terminal(requestId).map(({ type, durationMs, unheardMs }) => [type, durationMs, unheardMs]))
  assert.deepEqual(unheard, [[['completed', 300, 300]], [['completed', 300, undefined]], [['completed', 600, 300]]])
})

test('listeners come before and after the connection', async (t) => {
  const { session, told } = radio(t, 'wav')
  const stream = session.audioStream()
  const all = collect(stream)
  assert.equal(stream.contentType, 'audio/wav')
  await session.advance(100)
  assert.equal(session.connection, 'connected')
  assert.deepEqual(told.map(({ type }) => type), ['connected'])
  await session.close()
  assert.equal((await decode(await all.whole())).durationMs, 600)
  assert.throws(() => session.audioStream(), { code: 'ERR_CLOSED', message: /audioStream/ })
})

test('a session that closes at once ends its streams', async (t) => {
  for (const codec of ['opus', 'mp3', 'wav']) {
    for (const clock of ['manual', 'realtime']) {
      const { session } = radio(t, codec, { clock })
      const [all, unread] = [collect(session.audioStream()), session.audioStream()]
      await session.close()
      const bytes = await all.whole()
      if (codec === 'opus') assert.equal(pagesOf(bytes).at(-1).flags, 4)
      const later = await collect(unread).whole()
      assert.equal(later.length, bytes.length)
    }
  }
})

test('destroying a stream ends it alone', async (t) => {
  const { session } = radio(t, 'opus')
  const [one, other] = [session.audioStream(), session.audioStream()]
  const all = collect(other)
  one.resume()
  await session.advance(500)
  one.destroy()
  await session.advance(500)
  await session.close()
  assert.equal((await decode(await all.whole())).durationMs, 1520)
  assert.equal(one.destroyed, true)
})

test('silence without listeners takes no time', async (t) => {
  const { session } = radio(t, 'wav')
  await session.advance(24 * 3600 * 1000)
  const all = collect(session.audioStream())
  await session.advance(200)
  await session.close()
  // The burst is silence, and the time before it is not sent.
  assert.equal((await decode(await all.whole())).durationMs, 700)
})

test('burstMs and chunkMs are what a listener gets first', async (t) => {
  for (const [burstMs, chunkMs] of [[0, 20], [0, 100], [1000, 100], [250, 500], [5000, 20]]) {
    const { session } = radio(t, 'wav', { burstMs, chunkMs })
    session.audioStream().resume()
    await session.advance(6000)
    const stream = session.audioStream()
    await once(stream, 'readable')
    const headers = 44
    const ms = (stream.read().length - headers) / 96
    // Reads are of 64 KiB and the chunk that exceeds it.
    const expected = Math.ceil(burstMs / chunkMs) * chunkMs
    if (expected < 500) assert.equal(ms, expected)
    else assert.ok(ms >= Math.min(expected, 682), `${burstMs} ms: ${ms}`)
    await session.close()
  }
})

test('realtime: a stop is the last that is heard', async (t) => {
  const { session } = radio(t, 'wav', { clock: 'realtime', chunkMs: 20, burstMs: 0 })
  const stream = session.audioStream()
  const chunks = []
  let stopped
  stream.on('data', (chunk) => {
    chunks.push(chunk)
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0)
    if (stopped === undefined && chunk.some((byte) => byte !== 0) && bytes > 20000) {
      stopped = bytes
      session.stopAudio()
    }
  })
  const { outcome, unheardMs } = await session.playAudio({ audio: tone(440, 10000) })
  assert.deepEqual([outcome, unheardMs], ['stopped', undefined])
  await session.close()
  const { samples } = await decode(Buffer.concat(chunks))
  const last = samples.findLastIndex((sample) => Math.abs(sample) > 0.001)
  // What was on its way when it was stopped, and the frame with the fade.
  assert.ok(last * 2 - stopped < 5 * 1920, `${last / 48} ms, stopped at ${stopped / 96}`)
})

test('other outputs have no streams', async (t) => {
  const { session } = open(t)
  const refusal = { code: 'ERR_UNSUPPORTED_OPERATION', message: "Expected output.type 'stream' or 'http' for audioStream but received 'memory'" }
  assert.throws(() => session.audioStream(), refusal)
  assert.equal(session.url, undefined)
})

test('options of encoded outputs are checked', () => {
  const cases = [
    [{}, /one of 'opus', 'mp3', 'wav' for output\.codec but received undefined/],
    [{ codec: 'aac' }, /'aac'/],
    [{ codec: 'wav', bitrate: 64000 }, /codec 'opus' or 'mp3' beside it for output\.bitrate/],
    [{ codec: 'opus', bitrate: 5999 }, /6000 to 510000/],
    [{ codec: 'opus', chunkMs: 30 }, /a multiple of 20 for output\.chunkMs/],
    [{ codec: 'opus', burstMs: -1 }, /0 to 5000/],
    [{ codec: 'opus', port: 1 }, /only type, clock, channels, codec, bitrate, burstMs, chunkMs for the options of output/],
    [{ type: 'http', codec: 'opus', port: 65536 }, /0 to 65535/],
    [{ type: 'http', codec: 'opus', path: 'radio' }, /a path of a URL, which begins with/],
    [{ type: 'http', codec: 'opus', path: '/a b' }, /a path of a URL/],
    [{ type: 'http', codec: 'opus', path: '/a?b' }, /a path of a URL/],
    [{ type: 'http', codec: 'opus', host: '' }, /a non-empty string for output\.host/]
  ]
  for (const [output, message] of cases) {
    assert.throws(() => new SpeakerSession({ output: { type: 'stream', ...output } }), { code: 'ERR_INVALID_ARGUMENT', message }, JSON.stringify(output))
  }
})
