'use strict'

// speaker-session/websocket: phone calls over real WebSockets.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { SpeakerLine, acs, twilio } = require('../../adapters/websocket')
const { phone } = require('../support/phone')
const { level, tone } = require('../support/wav')

const streamSid = 'MZ0001'
const quiet = { progressIntervalMs: 0 }

/** Opens a line to a telephone service, on the manual clock by default. */
async function open(t, { codec = twilio({ streamSid }), session, ...options } = {}) {
  const service = await phone(t)
  const line = new SpeakerLine({ socket: service.socket, codec, clock: 'manual', session: { ...quiet, ...session }, ...options })
  t.after(() => line.close())
  return { ...service, line, session: line.session }
}

/** Returns the audio of Twilio's messages, decoded by ITU-T G.711. */
function heard(messages) {
  const bytes = Buffer.concat(messages.filter(({ event }) => event === 'media').map(({ media }) => Buffer.from(media.payload, 'base64')))
  return Float32Array.from(bytes, (byte) => {
    const code = ~byte & 0xff
    const level = ((2 * (code & 15) + 33) << ((code >> 4) & 7)) - 33
    return (code & 0x80 ? -level : level) / 8192
  })
}

test('sends Twilio 20 ms frames in µ-law', async (t) => {
  const { line, session, messages, story } = await open(t)
  session.playAudio({ audio: tone(440, 1000) })
  await session.advance(1100)
  assert.equal(await story(), '50 media')
  assert.ok(messages.every(({ streamSid: sid, media }) => sid === streamSid && Buffer.from(media.payload, 'base64').length === 160))
  assert.ok(Math.abs(level(heard(messages), 1600, 6400, 440, 8000) - 0.3) < 0.003)
  assert.deepEqual(line.stats(), { droppedFrames: 0 })
})

test("sends Azure PCM at the call's rate", async (t) => {
  for (const sampleRate of [16000, 24000]) {
    const { session, messages, story } = await open(t, { codec: acs({ sampleRate }) })
    session.playAudio({ audio: tone(440, 500) })
    await session.advance(600)
    assert.equal(await story(), '25 AudioData')
    const [{ audioData: { data } }] = messages
    assert.deepEqual(messages[0], { kind: 'AudioData', audioData: { data }, stopAudio: null })
    const bytes = Buffer.concat(messages.map(({ audioData }) => Buffer.from(audioData.data, 'base64')))
    const samples = Float32Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(2 * n) / 32768)
    assert.equal(samples.length, sampleRate / 2)
    assert.ok(Math.abs(level(samples, sampleRate / 10, sampleRate / 5, 440, sampleRate) - 0.3) < 0.003)
  }
})

for (const [name, codec, sound, clear] of [['Twilio', twilio({ streamSid }), 'media', 'clear'], ['Azure', acs(), 'AudioData', 'StopAudio']]) {
  test(`an interruption clears ${name} and sends nothing after it`, async (t) => {
    const { line, session, messages, story } = await open(t, { codec, session: { overlap: 'queue' } })
    session.playAudio({ audio: tone(440, 600), stopOther: false, group: 'turn' })
    session.playAudio({ audio: tone(440, 2000), stopOther: false, group: 'turn' })
    session.playAudio({ audio: tone(440, 2000), stopOther: false, group: 'next' })
    await session.advance(1000)
    const { interrupted, groups } = await line.interrupt({ reason: 'barge-in' })
    assert.deepEqual(interrupted.map(({ positionMs }) => positionMs), [400, 0])
    // The last frame is still in the resampler: it was mixed but never sent.
    assert.deepEqual(groups, [{ group: 'turn', heardMs: 980 }, { group: 'next', heardMs: 0 }])
    assert.deepEqual(await line.interrupt(), { atMs: session.stats().timeMs, interrupted: [], groups: [] })
    await session.advance(500)
    // The frame in which the sound faded out is sent, and then nothing.
    assert.equal(await story(), `49 ${sound}, ${clear}, 1 ${sound}`)
    if (name === 'Twilio') {
      const after = heard(messages.slice(-1))
      assert.ok(after.subarray(80).every((sample) => sample === 0), 'apart from what the filter rings')
    }
    session.playAudio({ audio: tone(440, 300), stopOther: false })
    await session.advance(500)
    assert.equal(await story(), `49 ${sound}, ${clear}, 16 ${sound}`)
  })
}

test('audio heard before a pause stays counted', async (t) => {
  const { line, session } = await open(t, { session: { overlap: 'queue' } })
  session.playAudio({ audio: tone(440, 300), stopOther: false, group: 'turn' })
  await session.advance(5000)
  session.playAudio({ audio: tone(440, 300), stopOther: false, group: 'turn' })
  await session.advance(10)
  assert.deepEqual((await line.interrupt()).groups, [{ group: 'turn', heardMs: 300 }])
})

test('a request after an interruption keeps its first sample', async (t) => {
  const { line, session, messages, story } = await open(t)
  session.playAudio({ audio: tone(440, 2000) })
  await session.advance(507)
  const interrupting = line.interrupt()
  session.playAudio({ audio: tone(880, 400) })
  await interrupting
  await session.advance(500)
  const [before, after] = (await story()).split(', clear, ').map((part) => parseInt(part, 10))
  const samples = heard(messages).subarray(before * 160)
  // The first frame was begun by the interrupted sound.
  const [begun] = [507 % 20]
  assert.ok(samples.subarray(0, begun * 8).every((sample) => Math.abs(sample) < 0.001), 'that is silent')
  assert.ok(Math.abs(level(samples, begun * 8 + 40, begun * 8 + 40 + 800, 880, 8000) - 0.3) < 0.01)
  assert.ok(level(samples, begun * 8, begun * 8 + 800, 440, 8000) < 0.01)
  assert.equal(after, Math.ceil((400 + begun) / 20))
})

test('a continuous line sends silence after an interruption too', async (t) => {
  const { line, session, messages, story } = await open(t, { continuous: true })
  await session.advance(200)
  session.playAudio({ audio: tone(440, 2000) })
  await session.advance(300)
  const { groups } = await line.interrupt()
  assert.deepEqual(groups, [])
  await session.advance(500)
  assert.equal(await story(), '24 media, clear, 24 media')
  const samples = heard(messages)
  assert.ok(samples.subarray(0, 200 * 8 - 80).every((sample) => sample === 0))
  // The resampling filter has a tail.
  assert.ok(samples.subarray(24 * 160 + 160).every((sample) => sample === 0))
})

test('clears nothing while something is still to be heard', async (t) => {
  const { line, session, story } = await open(t)
  const warn = session.playAudio({ audio: tone(440, 500), role: 'system', stopOther: false })
  session.playAudio({ requestId: 'music', audio: tone(440, 2000), stopOther: false })
  await session.advance(200)
  const { interrupted } = await line.interrupt({ keep: ['system'] })
  assert.deepEqual(interrupted.map(({ requestId }) => requestId), ['music'])
  await session.advance(400)
  assert.equal((await warn).outcome, 'completed')
  for (const fall of [{ fadeOutMs: 100 }, { afterMs: 100 }]) {
    session.playAudio({ audio: tone(440, 2000) })
    await session.advance(200)
    await line.interrupt(fall)
    await session.advance(200)
  }
  assert.ok(!(await story()).includes('clear'))
  await assert.rejects(line.interrupt({ keep: 'system' }), { code: 'ERR_INVALID_ARGUMENT' })
  await assert.rejects(line.interrupt(null), { code: 'ERR_INVALID_ARGUMENT' })
})

test("a mark waits for the far end's playback", async (t) => {
  const { line, session, story, play } = await open(t, { session: { overlap: 'queue' } })
  const order = []
  const mark = (...behind) => line.mark(...behind).then((played) => order.push([behind[0], played]))
  session.playAudio({ requestId: 'a', audio: tone(440, 200), stopOther: false })
  session.playAudio({ requestId: 'b', audio: tone(440, 200), stopOther: false })
  const marks = [mark('both'), mark('first', { requestId: 'a' })]
  await session.advance(1000)
  assert.equal(await story(), '10 media, mark first, 10 media, mark both')
  assert.deepEqual(order, [])
  await play()
  await Promise.all(marks)
  assert.deepEqual(order, [['first', true], ['both', true]])
  const empty = mark('nothing plays')
  while (!(await story()).endsWith('mark nothing plays'));
  await play()
  await empty
  assert.deepEqual(order.at(-1), ['nothing plays', true])
})

test('an interruption reaches all marks at once', async (t) => {
  const { line, session, story, far } = await open(t, { session: { overlap: 'queue' } })
  session.playAudio({ audio: tone(440, 200), stopOther: false })
  const played = line.mark('one')
  session.playAudio({ audio: tone(440, 2000), stopOther: false })
  const never = line.mark('two')
  await session.advance(500)
  await line.interrupt()
  await session.advance(100)
  assert.equal(await story(), '10 media, mark one, 14 media, clear, mark two, 1 media')
  assert.equal(await played, true)
  far.send(JSON.stringify({ event: 'mark', streamSid, mark: { name: 'two' } })) // it has nothing left to play before it
  assert.equal(await never, true)
})

test("a stream's mark is sent after the written audio", async (t) => {
  const { line, session, story, play } = await open(t)
  const stream = session.createStream({ format: 'pcm16', sampleRate: 8000 })
  stream.write(Buffer.alloc(16 * 300, 1))
  const played = line.mark('written', stream)
  stream.write(Buffer.alloc(16 * 300, 1))
  await session.advance(500)
  assert.match(await story(), /^1[56] media, mark written, \d+ media$/)
  await play()
  assert.equal(await played, true)
  stream.destroy()
})

test('equal mark names are reached in order', async (t) => {
  const { line, far, story } = await open(t)
  const marks = [line.mark('m'), line.mark('m')]
  while ((await story()) !== 'mark m, mark m');
  for (const message of ['no JSON', '7', '{"event":"mark"}', '{"event":"mark","mark":{"name":"other"}}', '{"event":"mark","mark":{"name":"m"}}']) {
    far.send(message)
  }
  assert.equal(await marks[0], true)
  assert.equal(line.receive('{"event":"media"}'), false)
  assert.equal(line.receive(Buffer.from('{"event":"mark","mark":{"name":"m"}}')), true)
  assert.equal(await marks[1], true)
})

test('Azure marks are reached when sent', async (t) => {
  const { line, session, story } = await open(t, { codec: acs() })
  session.playAudio({ audio: tone(440, 200), stopOther: false })
  const mark = line.mark('m')
  await session.advance(300)
  assert.equal(await mark, true)
  assert.equal(await story(), '10 AudioData')
})

test('a closed socket closes the session and settles marks', async (t) => {
  const { line, session, far } = await open(t, { clock: 'realtime' })
  const playing = session.playAudio({ audio: tone(440, 60_000) })
  const marks = [line.mark('waits'), line.mark('is sent', { group: 'none' })]
  await playing.started
  far.close()
  const { outcome, reason } = await playing
  assert.deepEqual([outcome, reason], ['stopped', 'disconnected'])
  assert.deepEqual(await Promise.all(marks), [false, false])
  await line.close()
  assert.equal(session.connection, 'closed')
  await assert.rejects(line.mark('late'), { code: 'ERR_CLOSED' })
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), { code: 'ERR_CLOSED' })
})

test('close leaves the socket open and settles marks', async (t) => {
  const { line, session, socket } = await open(t)
  session.playAudio({ audio: tone(440, 60_000) })
  const mark = line.mark('m')
  await session.advance(100)
  await line.close()
  assert.equal(await mark, false)
  assert.equal(socket.readyState, 1)
  await line.close()
})

test('a blocked socket drops frames and uses no memory', async (t) => {
  const { line, session, far, messages } = await open(t, { codec: acs({ sampleRate: 24000 }), maxBufferedMs: 100, session: { maxDurationMs: 400_000 } })
  far.pause()
  session.playAudio({ audio: tone(440, 300_000, { sampleRate: 8000 }) })
  await session.advance(300_100)
  const { droppedFrames } = line.stats()
  assert.ok(droppedFrames > 0 && droppedFrames < 15_000, `${droppedFrames} dropped`)
  assert.ok(line.session.stats().droppedFrames === 0)
  far.resume()
  await new Promise((resolve) => {
    const look = () => (messages.length === 15_000 - droppedFrames ? resolve() : setTimeout(look, 5))
    look()
  })
})

test('accepts sockets without events or with throwing sends', async (t) => {
  const sent = []
  const socket = { readyState: 1, bufferedAmount: 0, send: (text) => sent.push(text) }
  const line = new SpeakerLine({ socket, codec: twilio({ streamSid }), clock: 'manual', session: quiet })
  line.session.playAudio({ audio: tone(440, 100) })
  const mark = line.mark('m')
  await line.session.advance(200)
  assert.equal(sent.length, 6)
  assert.equal(line.receive({ event: 'mark', mark: { name: 'm' } }), true)
  assert.equal(await mark, true)
  const playing = line.session.playAudio({ audio: tone(440, 100) })
  socket.readyState = 3
  socket.send = () => {
    throw new Error('closed')
  }
  await line.session.advance(60).catch(({ code }) => assert.equal(code, 'ERR_CLOSED'))
  assert.equal((await playing).reason, 'disconnected')
  assert.ok(line.stats().droppedFrames > 0)
})

test('refuses invalid lines without showing secrets', async (t) => {
  const { socket } = await phone(t)
  const codec = acs()
  const refused = (options, message) => {
    assert.throws(() => new SpeakerLine(options), (error) => {
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
      assert.match(error.message, message)
      assert.ok(!error.message.includes('hush'))
      return true
    })
  }
  refused(undefined, /an object for the options of SpeakerLine but received undefined/)
  refused({ socket, codec, rate: 8000 }, /only socket, .* but received 'rate'/)
  refused({ socket: {}, codec }, /a WebSocket for socket/)
  refused({ socket, codec: 'acs' }, /a codec for codec/)
  refused({ socket, codec, maxBufferedMs: 0 }, /for maxBufferedMs/)
  refused({ socket, codec, session: { output: { type: 'memory' } } }, /without an output for session/)
  refused({ socket, codec, session: { overlap: 'never' } }, /for overlap/)
  assert.throws(() => acs({ sampleRate: 8000 }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => twilio(), { code: 'ERR_INVALID_ARGUMENT', message: /for streamSid/ })
  socket.close()
  await once(socket, 'close')
  refused({ socket, codec }, /1, an open WebSocket, for socket.readyState but received 3/)
})
