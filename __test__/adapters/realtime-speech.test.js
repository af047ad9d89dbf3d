'use strict'

// speaker-session/websocket: the speech of a model of OpenAI's Realtime API, over real WebSockets.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { SpeakerSession } = require('../..')
const { RealtimeSpeech, SpeakerLine, twilio } = require('../../adapters/websocket')
const { connected, delivered, messagesOf, phone } = require('../support/phone')
const { pcm16 } = require('../support/stream')
const { sounds } = require('../support/tones')

const RATE = 24000

/** Returns `ms` of a tone in the model's encoding. */
function said(hz, ms) {
  return pcm16(Float64Array.from({ length: (RATE * ms) / 1000 }, (_, n) => 0.3 * Math.sin((2 * Math.PI * hz * n) / RATE)))
}

/** A model at the other end of a socket, which sends what the test tells it to. */
async function model(t, options) {
  const { near, far } = await connected(t)
  const speech = new RealtimeSpeech({ socket: near, ...options })
  const messages = messagesOf(far)
  const send = (event) => far.send(JSON.stringify(event))
  return {
    speech,
    near,
    far,
    /** Returns the messages it received, once all of them have arrived. */
    async told() {
      await delivered(near)
      return messages
    },
    /** Sends an item in pieces of 100 ms, faster than real time. */
    async say(item, bytes, { response = 'resp_1', done = true, beta = false } = {}) {
      const type = beta ? 'response.audio' : 'response.output_audio'
      const piece = { response_id: response, item_id: item, output_index: 0, content_index: 0 }
      for (let at = 0; at < bytes.length; at += RATE / 5) {
        send({ type: `${type}.delta`, ...piece, delta: bytes.subarray(at, at + RATE / 5).toString('base64') })
      }
      if (done) send({ type: `${type}.done`, ...piece })
      await delivered(far)
    },
    async event(event) {
      send(event)
      await delivered(far)
    }
  }
}

function memory(t, options) {
  const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, progressIntervalMs: 0, ...options })
  t.after(() => session.close())
  return session
}

const truncate = (item_id, audio_end_ms) => ({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms })

test('each item is a group, heard in order', async (t) => {
  const session = memory(t)
  const ends = []
  session.on('completed', ({ group, atMs }) => ends.push([group, atMs]))
  const { say, event, told } = await model(t, { session })
  await say('item_1', said(440, 1000))
  await say('item_2', said(880, 500), { beta: true })
  await event({ type: 'response.done', response: { id: 'resp_1', status: 'completed' } })
  await session.advance(2000)
  assert.deepEqual(ends, [['item_1', 1000], ['item_2', 1500]])
  const { samples } = session.recording()
  assert.ok(sounds(samples, 100, 900, 440) && sounds(samples, 1100, 1400, 880))
  assert.deepEqual(await told(), [])
})

test('an interruption truncates each item and cancels the response', async (t) => {
  const session = memory(t)
  const { say, speech, told, event } = await model(t, { session })
  await say('item_1', said(440, 1000))
  await say('item_2', said(880, 500), { done: false })
  await session.advance(1200.5)
  await speech.interrupt()
  const expected = [truncate('item_2', 200), { type: 'response.cancel', response_id: 'resp_1' }]
  assert.deepEqual(await told(), expected)
  await say('item_2', said(880, 500)) // was under way
  await event({ type: 'response.done', response: { id: 'resp_1', status: 'cancelled' } })
  await speech.interrupt()
  assert.deepEqual(await told(), expected, 'once')
  await say('item_3', said(660, 300), { response: 'resp_2' })
  await session.advance(1000)
  const { samples } = session.recording()
  assert.ok(!sounds(samples, 1300, 2000, 880))
  assert.ok(sounds(samples, 1210, 1490, 660))
})

test('items waiting in the queue were not heard', async (t) => {
  const session = memory(t)
  const { say, speech, told } = await model(t, { session })
  await say('item_1', said(440, 1000))
  await say('item_2', said(880, 500))
  await session.advance(300)
  await speech.interrupt({ keep: ['system'] })
  const [first, second, cancel, ...more] = await told()
  assert.deepEqual([first, second, more], [truncate('item_1', 300), truncate('item_2', 0), []])
  assert.equal(cancel.type, 'response.cancel')
})

test('server-side interruption truncates the item and cancels', async (t) => {
  const session = memory(t)
  const { say, event, told } = await model(t, { session })
  await say('item_1', said(440, 1000), { done: false })
  await session.advance(400)
  await event({ type: 'input_audio_buffer.speech_started', audio_start_ms: 1000, item_id: 'item_u' })
  await session.advance(400)
  assert.deepEqual(await told(), [truncate('item_1', 400)])
  assert.deepEqual(session.playbacks(), [])
})

test('every stopped or failed item is truncated', async (t) => {
  const session = memory(t, { maxDurationMs: 700 })
  const { say, event, told } = await model(t, { session })
  await say('item_1', said(440, 1000))
  await session.advance(300)
  await session.stopAudio({ fadeOutMs: 0 })
  await session.advance(20)
  await say('item_2', said(440, 1000))
  await session.advance(1000)
  await event({ type: 'response.done', response: { id: 'resp_1' } })
  assert.deepEqual(await told(), [truncate('item_1', 300), truncate('item_2', 700)])
})

test('an item without a stream is a warning', async (t) => {
  const session = memory(t)
  const { say, speech } = await model(t, { session, stream: { trackId: 'tts' } })
  const warnings = []
  const hear = (warning) => warnings.push(warning.code)
  process.on('warning', hear)
  t.after(() => process.off('warning', hear))
  await say('item_1', said(440, 1000))
  await new Promise(setImmediate)
  assert.deepEqual(warnings, ['ERR_INVALID_ARGUMENT'])
  await speech.interrupt()
  assert.throws(() => speech.receive({ type: 'response.audio.delta', item_id: 'item_2', delta: '' }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('interrupts: false leaves interruptions to the caller', async (t) => {
  const session = memory(t)
  const { say, event, told } = await model(t, { session, interrupts: false })
  await say('item_1', said(440, 1000))
  await session.advance(400)
  await event({ type: 'input_audio_buffer.speech_started' })
  await session.advance(1000)
  assert.equal(session.stats().completed, 1)
  assert.deepEqual(await told(), [])
})

test('realtime: only sent audio counts as heard', async (t) => {
  const service = await phone(t)
  const line = new SpeakerLine({ socket: service.socket, codec: twilio({ streamSid: 'MZ1' }) })
  t.after(() => line.close())
  const { say, event, told } = await model(t, { line })
  await say('item_1', said(440, 30_000), { done: false })
  await new Promise((resolve) => {
    const look = () => (service.messages.length >= 25 ? resolve() : setTimeout(look, 5))
    look()
  })
  await event({ type: 'input_audio_buffer.speech_started' })
  const story = await service.story()
  assert.match(story, /^\d+ media, clear/)
  const sentMs = parseInt(story, 10) * 20
  const [{ audio_end_ms: heardMs, ...rest }] = await told()
  assert.deepEqual({ ...rest, audio_end_ms: heardMs }, truncate('item_1', heardMs))
  // A busy machine may leave gaps, which are sent but do not belong to the item.
  if (line.session.stats().underruns === 0) assert.equal(heardMs, sentMs)
  else assert.ok(heardMs > 0 && heardMs < sentMs, `${heardMs} of ${sentMs} ms`)
})

test('received audio plays on after the socket closes', async (t) => {
  const session = memory(t)
  const { say, near, far } = await model(t, { session })
  await say('item_1', said(440, 500), { done: false })
  const closed = new Promise((resolve) => near.once('close', resolve))
  far.close()
  await closed
  await session.advance(1000)
  assert.equal(session.stats().completed, 1)
})

test('ignores other events, invalid JSON and closed sessions', async (t) => {
  const session = memory(t)
  const { speech, far } = await model(t, { session })
  for (const message of ['', 'null', '7', '{"type":"session.created"}', '{"type":"response.output_audio.delta"}']) far.send(message)
  far.send(Buffer.from([0xff, 0x00]))
  await delivered(far)
  assert.equal(speech.receive({ type: 'rate_limits.updated' }), false)
  await session.close()
  assert.equal(speech.receive({ type: 'response.output_audio.delta', item_id: 'a', delta: 'AAAA' }), true)
  await speech.interrupt()
})

test('refuses invalid arguments', async (t) => {
  const { near } = await connected(t)
  const session = memory(t)
  const refused = (options, message) => {
    assert.throws(() => new RealtimeSpeech(options), { code: 'ERR_INVALID_ARGUMENT', message })
  }
  refused({ socket: near }, /a line or a session for session/)
  refused({ session }, /a WebSocket for socket/)
  refused({ socket: near, session, voice: 'alloy' }, /only socket/)
})
