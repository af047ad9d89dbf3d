'use strict'

// LiveKit's text streams: texts of any length that a session sends to others in its room, and receives from them.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { dispose } = require('@livekit/rtc-node')

const { openEmptyRoom, speak, until } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

after(dispose) // otherwise the ears keep the process alive

const LIMIT = { timeout: 60_000 }
const TOPIC = 'chat'

/** Characters of one to four bytes each, which chunks of a text must not split. */
const LONG = 'aäあ😀'.repeat(20_000)

/** Joins a participant that sends texts, and collects those it receives on the topic, in the order in which they begin: a short one may be read sooner. */
async function talker(room) {
  const ear = await room.join({ grants: { canPublishData: true } })
  const got = []
  ear.room.registerTextStreamHandler(TOPIC, async (reader, { identity }) => {
    const text = { identity, attributes: reader.info.attributes }
    got.push(text)
    text.text = await reader.readAll()
  })
  const send = (text, options) => ear.room.localParticipant.sendText(text, { topic: TOPIC, ...options })
  return { ...ear, got, send }
}

test('texts of any length go both ways', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const token = () => room.token('speaker')
  const { session } = open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } })
  const heard = []
  session.on('text', ({ seq, atMs, ...event }) => heard.push(event))
  await session.sendText('hello', { topic: TOPIC, attributes: { mood: 'good' } })
  await session.sendText(LONG, { topic: TOPIC, to: [other.identity] })
  await session.sendText('', { topic: TOPIC })
  await session.sendText('unheard', { topic: TOPIC, to: ['nobody'] })
  await session.sendText('end', { topic: TOPIC })
  await until(() => other.got.filter(({ text }) => text !== undefined).length === 4, 'the other gets them')
  assert.deepEqual(other.got.map(({ text }) => text), ['hello', LONG, '', 'end'])
  assert.deepEqual([other.got[0].identity, other.got[0].attributes], ['speaker', { mood: 'good' }])

  await other.send('back', { attributes: { mood: 'better' } })
  await other.send(LONG)
  const writer = await other.room.localParticipant.streamText({ topic: TOPIC }) // of unknown length
  for (const word of ['one ', 'by ', 'one']) await writer.write(word)
  await writer.close()
  await until(() => heard.length === 3, 'the session gets them')
  assert.deepEqual(heard.map(({ text }) => text), ['back', LONG, 'one by one'])
  const { identity, topic, attributes } = heard[0]
  assert.deepEqual([identity, topic, attributes], [other.identity, TOPIC, { mood: 'better' }])
})

test('data and texts have separate listeners', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const sessions = ['sender', 'data', 'text', 'both'].map((identity) => {
    const token = () => room.token(identity)
    return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } }).session
  })
  const heard = sessions.map((session, n) => {
    const got = []
    if (n % 2 === 1) session.on('data', ({ payload }) => got.push(`data ${payload}`))
    if (n >= 2) session.on('text', ({ text }) => got.push(`text ${text}`))
    return got
  })
  await Promise.all(sessions.map((session) => session.connect()))
  const [sender] = sessions
  await until(async () => {
    await Promise.all([sender.sendData('ready?'), sender.sendText('ready?')])
    return heard.slice(1).every((got) => got.length > 0)
  }, 'all hear')
  await sender.sendText('words')
  await sender.sendData('bytes')
  await sender.sendText('last words')
  await sender.sendData('last bytes')
  const of = (n) => heard[n].filter((told) => !told.endsWith('ready?'))
  await until(() => of(1).length === 2 && of(2).length === 2 && of(3).length === 4, 'each hears what it listens to')
  assert.deepEqual([1, 2, 3].map(of), [
    ['data bytes', 'data last bytes'],
    ['text words', 'text last words'],
    ['text words', 'data bytes', 'text last words', 'data last bytes']
  ])
})

test('texts continue after a rejoin', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room)
  const heard = []
  session.on('text', ({ text }) => heard.push(text))
  await session.connect()
  const playing = session.playAudio({ audio: tone(440, 60_000) }) // so that the loss is detected
  await once(session, 'started')
  const [lost, back] = [once(session, 'reconnecting'), once(session, 'reconnected')]
  await room.server.restart()
  await lost
  const during = session.sendText(LONG, { topic: TOPIC })
  await back
  await during
  const other = await talker(room)
  await until(async () => {
    await Promise.all([session.sendText('after', { topic: TOPIC }), other.send('back')])
    return heard.includes('back') && other.got.some(({ text }) => text === 'after')
  }, 'they come after', 3000)
  await session.stopAudio()
  await playing
})

test('invalid arguments and other outputs are refused', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.sendText('x'), { code: 'ERR_UNSUPPORTED_OPERATION' })
  const room = open(t, { output: { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' } }).session
  for (const wrong of [undefined, null, 5, Buffer.from('x'), '\ud800', 'x'.repeat(512 * 1024 + 1)]) {
    await assert.rejects(room.sendText(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const wrong of [
    null, { topic: '' }, { to: [] }, { to: 'a' }, { reliable: true }, { attributes: { a: 1 } }, { attributes: 'a' },
    { attributes: { a: 'x'.repeat(40_000) } }
  ]) {
    await assert.rejects(room.sendText('x', wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  await assert.rejects(room.sendText('x'), { code: 'ERR_JOIN_FAILED' })
})
