'use strict'

// Data that a session sends to others in its room, and receives from them.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { DataPacketKind, RoomEvent, dispose } = require('@livekit/rtc-node')
const { DataPacket_Kind } = require('livekit-server-sdk')

const { moderator, openEmptyRoom, speak, until } = require('../support/room')
const { open } = require('../support/session')
const { tone, windows } = require('../support/wav')
const { Wire } = require('../support/wire')

after(dispose) // otherwise the ears keep the process alive

const LIMIT = { timeout: 90_000 }
const MAY_SEND = { grants: { canPublishData: true } }
const LARGEST = 15 * 1024

/** Matches the data channels of an offer (RFC 8841). */
const CHANNELS = /m=application /

/** Joins a participant that sends data, and collects what it receives: "text topic reliable". */
async function talker(room) {
  const ear = await room.join(MAY_SEND)
  const got = []
  ear.room.on(RoomEvent.DataReceived, (payload, _, kind, topic) => got.push(words(payload, topic, kind === DataPacketKind.KIND_RELIABLE)))
  const send = (text, options) => ear.room.localParticipant.publishData(Buffer.from(text), { reliable: true, ...options })
  return { ...ear, got, send }
}

/** Collects the data events of a session: "text topic reliable". */
function listen(session) {
  const got = []
  session.on('data', ({ payload, topic, reliable }) => got.push(words(payload, topic, reliable)))
  return got
}

function words(payload, topic, reliable) {
  return `${Buffer.from(payload)} ${topic || '-'} ${reliable}`
}

for (const publish of ['connect', 'lazy']) {
  for (const when of ['before', 'after']) {
    test(`data goes both ways: a listener ${when} connect, publish: '${publish}'`, LIMIT, async (t) => {
      const room = await openEmptyRoom(t)
      const other = await talker(room)
      const { session } = speak(t, room, { publish })
      const data = []
      if (when === 'after') await session.connect()
      session.on('data', (event) => data.push(event))
      await session.sendData('to all', { topic: 'chat' })
      await session.sendData(Buffer.from([104, 105]), { reliable: false })
      await until(() => other.got.length === 2, 'the other gets both')
      assert.deepEqual(other.got.toSorted(), ['hi - false', 'to all chat true'])

      await other.send('back', { topic: 'answer' })
      await until(() => data.length === 1, 'the session gets the reliable one')
      await other.send('fast', { reliable: false })
      await until(() => data.length === 2, 'and the lossy one')
      assert.deepEqual(data.map(({ seq, atMs, ...event }) => event), [
        { identity: other.identity, topic: 'answer', payload: Buffer.from('back'), reliable: true },
        { identity: other.identity, topic: null, payload: Buffer.from('fast'), reliable: false }
      ])
      assert.ok(Buffer.isBuffer(data[0].payload))
      assert.ok(data[0].seq < data[1].seq)
    })
  }
}

test('data reaches only the named sessions', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const sessions = ['one', 'two', 'three'].map((identity) => {
    const token = () => room.token(identity)
    return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } }).session
  })
  const [one, two, three] = sessions
  const heard = sessions.map(listen)
  await Promise.all(sessions.map((session) => session.connect()))
  await until(() => two.participants().length === 2 && three.participants().length === 2, 'all are there')
  // A server drops data that arrives before the receiver's channel is open.
  await until(async () => {
    await one.sendData('ready?')
    return heard[1].length > 0 && heard[2].length > 0
  }, 'both hear')
  await one.sendData('for two', { to: ['two'] })
  await one.sendData('for nobody', { to: ['nobody'] })
  await one.sendData('for three and two', { to: ['three', 'two'] })
  await one.sendData('end')
  const of = (n) => heard[n].filter((told) => !told.startsWith('ready?'))
  await until(() => of(1).length === 3 && of(2).length === 2, 'each gets what is theirs')
  assert.deepEqual(of(1), ['for two - true', 'for three and two - true', 'end - true'])
  assert.deepEqual(of(2), ['for three and two - true', 'end - true'])
  assert.deepEqual(heard[0], [], 'nobody hears themselves')
})

test('a thousand packets arrive in order, and large ones whole', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const { session } = speak(t, room)
  const heard = listen(session)
  await session.connect()
  const texts = Array.from({ length: 1000 }, (_, n) => String(n))
  const expected = texts.map((text) => words(text, undefined, true))
  for (const text of texts) session.sendData(text)
  await until(() => other.got.length === 1000, 'the other gets all')
  assert.deepEqual(other.got, expected)
  for (const text of texts) await other.send(text)
  await until(() => heard.length === 1000, 'the session gets all')
  assert.deepEqual(heard, expected)

  // More than the transport buffers.
  const large = Array.from({ length: 20 }, (_, n) => String.fromCharCode(97 + n).repeat(LARGEST))
  await Promise.all(large.map((text) => session.sendData(text)))
  await until(() => other.got.length === 1020, 'the other gets the large ones')
  assert.deepEqual(other.got.slice(1000), large.map((text) => words(text, undefined, true)))
  for (const text of large) await other.send(text)
  await until(() => heard.length === 1020, 'the session gets the large ones')
  assert.deepEqual(heard.slice(1000), large.map((text) => words(text, undefined, true)))
})

test('data from the server has no identity', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room)
  const heard = []
  session.on('data', ({ identity, topic, payload }) => heard.push([identity, topic, String(payload)]))
  await session.connect()
  await until(async () => {
    await moderator(room.server).sendData(room.name, Buffer.from('notice'), DataPacket_Kind.RELIABLE, { topic: 'server' })
    return heard.length > 0
  }, 'it comes')
  assert.deepEqual(heard[0], [null, 'server', 'notice'])
})

test('without use of data there is no data channel', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const wire = await Wire.open(room.server.url, t)
  let asked = 0
  wire.onMessage = (text, direction) => (asked += direction === 'up' && CHANNELS.test(text) ? 1 : 0)
  const { session } = speak(t, room, { url: wire.url })
  await session.connect()
  await session.playAudio({ audio: tone(440, 100) })
  await other.send('unheard')
  assert.equal(asked, 0)
  await session.sendData('a')
  assert.equal(asked, 1)
  await until(() => other.got.length === 1, 'the other gets it')
})

test('a listener receives data from its subscription on', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const { session } = speak(t, room)
  await session.connect()
  for (const listen of ['once', 'addListener', 'prependListener', 'prependOnceListener']) {
    const heard = []
    session[listen]('data', ({ payload }) => heard.push(String(payload)))
    await until(async () => {
      await other.send(listen)
      return heard.length > 0 // perhaps earlier data
    }, `it is heard by ${listen}`)
    session.removeAllListeners()
    // Nobody listens.
    await other.send('unheard')
  }
})

test('data and sound are both complete', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  room.ear = other
  const { session } = speak(t, room)
  const heard = listen(session)
  await session.connect()
  await until(() => other.heard.has('speaker'), 'the ear listens')
  const playing = session.playAudio({ audio: tone(440, 3000) })
  for (let n = 0; n < 100; n++) await Promise.all([session.sendData(`${n}`), other.send(`${n}`)])
  await until(() => heard.length === 100 && other.got.length === 100, 'all of it comes')
  assert.equal((await playing).outcome, 'completed')
  await until(() => windows(other.heard.get('speaker'), 440).length >= 28, 'the sound is heard')
})

for (const [what, forMs, breaks] of [
  ['the signalling is lost', 0, (wire) => wire.sayGoodbye()],
  ['the path is lost', 4000, (wire) => {
    wire.media.cut()
    wire.cut()
  }],
  ['the server starts anew', 0, (_, server) => server.restart()]
]) {
  test(`data continues after ${what}`, LIMIT, async (t) => {
    const room = await openEmptyRoom(t)
    const wire = await Wire.open(room.server.url, t)
    const { session } = speak(t, room, { url: wire.url })
    const heard = listen(session)
    let other = await talker(room)
    await session.connect()
    await session.sendData('before')
    await until(() => other.got.length === 1, 'it comes before')
    const playing = session.playAudio({ audio: tone(440, 60_000) }) // so that the loss is detected
    await once(session, 'started')
    const lost = once(session, 'reconnecting')
    const back = once(session, 'reconnected')
    await breaks(wire, room.server)
    const handed = Array.from({ length: 20 }, (_, n) => session.sendData(`cut ${n}`)) // perhaps on the transport that is cut
    await lost
    const during = session.sendData('during')
    await sleep(forMs)
    wire.media.mend()
    wire.mend()
    await back
    await Promise.all([during, ...handed])
    if (what === 'the server starts anew') other = await talker(room)
    else {
      await until(() => other.got.includes(words('during', undefined, true)), 'what was sent meanwhile comes')
      const expected = ['before', ...handed.map((_, n) => `cut ${n}`), 'during']
      assert.deepEqual(other.got, expected.map((text) => words(text, undefined, true)), 'nothing is lost where the place is kept')
    }
    await until(async () => {
      await session.sendData('after')
      await other.send('back')
      return heard.length > 0 && other.got.some((told) => told.startsWith('after'))
    }, 'it comes after', 3000)
    await session.stopAudio()
    await playing
  })
}

test('data sent before joining and before leaving arrives', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const { session } = speak(t, room)
  const sent = session.sendData('first') // joins by itself
  await session.close({ drain: true })
  await sent
  await until(() => other.got.length === 1, 'it comes')
  assert.deepEqual(other.got, ['first - true'])
})

test('without the grant data is refused', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const token = () => room.token('speaker', { canPublish: true, canPublishData: false })
  const { session } = open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } })
  const heard = listen(session)
  await assert.rejects(session.sendData('x'), { code: 'ERR_REFUSED', message: /canPublishData/ })
  const other = await talker(room)
  await until(async () => {
    await other.send('hello')
    return heard.length > 0
  }, 'what others send is heard')
  assert.equal((await session.playAudio({ audio: tone(440, 100) })).outcome, 'completed')
  const permission = { canPublish: true, canPublishData: true, canSubscribe: true }
  await moderator(room.server).updateParticipant(room.name, 'speaker', undefined, permission)
  await until(() => session.sendData('allowed').then(() => true, () => false), 'the grant is given')
  await until(() => other.got.length > 0, 'it comes')
})

test('every send settles, and a megabyte may wait', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const { session } = speak(t, room)
  const payload = Buffer.alloc(LARGEST)
  const sends = Array.from({ length: 70 }, () => session.sendData(payload))
  const closed = session.close()
  const settled = await Promise.allSettled(sends)
  const codes = settled.map(({ reason }) => reason?.code)
  assert.deepEqual(new Set(codes), new Set(['ERR_CLOSED', 'ERR_QUEUE_FULL']))
  assert.equal(codes.lastIndexOf('ERR_CLOSED') + 1, codes.indexOf('ERR_QUEUE_FULL'))
  await closed
  await assert.rejects(session.sendData('x'), { code: 'ERR_CLOSED' })

  const nowhere = open(t, { output: { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' } }).session
  await assert.rejects(nowhere.sendData('x'), { code: 'ERR_JOIN_FAILED' })
})

test('invalid arguments and other outputs are refused', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.sendData('x'), { code: 'ERR_UNSUPPORTED_OPERATION' })
  session.on('data', () => {})
  const room = open(t, { output: { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' } }).session
  for (const wrong of [undefined, null, 5, {}, [1], new ArrayBuffer(1), '\ud800', 'x'.repeat(LARGEST + 1), Buffer.alloc(LARGEST + 1)]) {
    await assert.rejects(room.sendData(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const wrong of [
    null, 'x', { topic: '' }, { topic: 5 }, { topic: '\ud800' }, { reliable: 1 }, { to: 'a' }, { to: [] }, { to: [''] }, { to: [5] },
    { to: [undefined] }, { kind: 'lossy' }, { to: ['x'.repeat(40_000)] }
  ]) {
    await assert.rejects(room.sendData('x', wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  assert.equal(room.connection, 'new')
})

test('data works with two peer connections', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const wire = await Wire.open(room.server.url, t)
  wire.answers = ({ path }) => (path.startsWith('/rtc/v1') ? 404 : undefined) // as servers before 1.9.1 do
  const { session } = speak(t, room, { url: wire.url })
  const heard = listen(session)
  await session.connect()
  await session.sendData('to all')
  await session.sendData('fast', { reliable: false })
  await until(() => other.got.length === 2, 'the other gets both')
  await until(async () => {
    await other.send('back')
    return heard.includes(words('back', undefined, true))
  }, 'the session gets the reliable one')
  await other.send('fast', { reliable: false })
  await until(() => heard.includes(words('fast', undefined, false)), 'and the lossy one')
})

test('receives data and a voice while speaking', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const [one, two] = ['one', 'two'].map((identity) => {
    const token = () => room.token(identity)
    return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } }).session
  })
  const heard = [listen(one), listen(two)]
  let bytes = 0
  const voice = one.listen({ identity: 'two' })
  voice.on('data', ({ frame }) => (bytes += frame.length))
  await Promise.all([one.connect(), two.connect()])
  const playing = [one, two].map((session) => session.playAudio({ audio: tone(440, 2000) }))
  await until(async () => {
    await Promise.all([one.sendData('to two'), two.sendData('to one')])
    return bytes > 0 && heard.every((got) => got.length > 0)
  }, 'both come')
  for (const { outcome } of await Promise.all(playing)) assert.equal(outcome, 'completed')
  voice.destroy()
})

test('reliable packets arrive in order despite loss', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const other = await talker(room)
  const wire = await Wire.open(room.server.url, t)
  const { session } = speak(t, room, { url: wire.url })
  const heard = listen(session)
  await session.connect()
  await session.sendData('ready')
  await until(() => other.got.length === 1, 'the channels are open')
  Object.assign(wire.media, { loss: 0.05, delayMs: 20 })
  const texts = Array.from({ length: 200 }, (_, n) => String(n).repeat(300))
  for (const text of texts) await Promise.all([session.sendData(text), other.send(text)])
  await until(() => heard.length === 200 && other.got.length === 201, 'all of it comes', 60_000)
  const expected = texts.map((text) => words(text, undefined, true))
  assert.deepEqual(heard, expected)
  assert.deepEqual(other.got.slice(1), expected)
})
