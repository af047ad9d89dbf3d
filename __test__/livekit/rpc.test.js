'use strict'

// LiveKit's remote procedure calls: a session calls methods of others, and others call its own.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')

const { RpcError, dispose } = require('@livekit/rtc-node')

const { openEmptyRoom, until } = require('../support/room')
const { open } = require('../support/session')

after(dispose) // otherwise the ears keep the process alive

const LIMIT = { timeout: 60_000 }
const LARGEST = 15 * 1024

function join(t, room, identity, grants) {
  const token = () => room.token(identity, grants)
  return open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } }).session
}

/** Opens a session, and another participant with the methods `echo` and `fail`. */
async function pair(t) {
  const room = await openEmptyRoom(t)
  const { room: other, identity } = await room.join({ grants: { canPublishData: true } })
  other.localParticipant.registerRpcMethod('echo', async ({ callerIdentity, payload }) => `${callerIdentity}: ${payload}`)
  other.localParticipant.registerRpcMethod('fail', async () => {
    throw new RpcError(4001, 'too loud', 'by far')
  })
  other.localParticipant.registerRpcMethod('never', () => new Promise(() => {}))
  const session = join(t, room, 'speaker')
  const call = (method, payload = '', responseTimeout) => {
    return other.localParticipant.performRpc({ destinationIdentity: 'speaker', method, payload, responseTimeout })
  }
  return { room, other, identity, session, call }
}

test('a session calls methods of others', LIMIT, async (t) => {
  const { session, identity } = await pair(t)
  const perform = (method, more) => session.performRpc({ to: identity, method, ...more })
  assert.equal(await perform('echo', { payload: 'hello' }), 'speaker: hello')
  const large = 'ä'.repeat(LARGEST / 2 - 20)
  assert.equal(await perform('echo', { payload: large }), `speaker: ${large}`)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => perform('echo', { payload: `${n}` })))
  assert.deepEqual(answers, Array.from({ length: 50 }, (_, n) => `speaker: ${n}`))
  await assert.rejects(perform('fail'), { code: 'ERR_RPC', rpcCode: 4001, message: 'too loud', rpcData: 'by far' })
  await assert.rejects(perform('missing'), { code: 'ERR_RPC', rpcCode: 1400 })
  await assert.rejects(perform('never', { timeoutMs: 200 }), { code: 'ERR_RPC', rpcCode: 1502 })
})

test('others call methods of a session', LIMIT, async (t) => {
  const { session, identity, call } = await pair(t)
  const calls = []
  session.registerRpc('greet', async (invocation) => {
    calls.push(invocation)
    return `hello ${invocation.payload}`
  })
  session.registerRpc('fail', () => {
    throw Object.assign(new Error('a'.repeat(300)), { rpcCode: 5001, rpcData: 'why' })
  })
  session.registerRpc('throw', () => {
    throw new TypeError('a fault of the handler')
  })
  session.registerRpc('number', () => 5)
  session.registerRpc('long', () => 'x'.repeat(LARGEST + 1))
  await session.connect()
  await until(() => call('greet', 'early').then(() => true, () => false), 'the session takes calls')
  calls.length = 0
  assert.equal(await call('greet', 'you'), 'hello you')
  const [{ requestId, timeoutMs, ...rest }] = calls
  assert.deepEqual(rest, { identity, payload: 'you' })
  assert.ok(requestId.length > 0 && timeoutMs > 0)
  await assert.rejects(call('fail'), { code: 5001, message: 'a'.repeat(256), data: 'why' })
  await assert.rejects(call('missing'), { code: 1400 })
  await assert.rejects(call('long'), { code: 1504 })
  for (const method of ['throw', 'number']) {
    const warned = once(process, 'warning')
    await assert.rejects(call(method), { code: 1500 })
    assert.match((await warned)[0].message, method === 'throw' ? /a fault of the handler/ : /Expected a string .* 'number'/)
  }
  session.registerRpc('greet', () => 'another')
  assert.equal(await call('greet'), 'another')
  session.unregisterRpc('greet')
  await assert.rejects(call('greet'), { code: 1400 })
})

test('calls end when either session leaves', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const [one, two] = ['one', 'two'].map((identity) => join(t, room, identity))
  const taken = []
  two.registerRpc('never', () => new Promise(() => taken.push('a call')))
  two.registerRpc('echo', ({ payload }) => payload)
  await Promise.all([one.connect(), two.connect()])
  const call = (method) => one.performRpc({ to: 'two', method, payload: 'x' })
  await until(() => call('echo').then((answer) => answer === 'x', () => false), 'it answers')
  const left = assert.rejects(call('never'), { code: 'ERR_RPC', rpcCode: 1503 })
  await until(() => taken.length === 1, 'it is called')
  await until(() => one.participants().length === 1, 'the other is listed')
  await two.close()
  await left
  const closed = assert.rejects(call('echo'), { code: 'ERR_CLOSED' })
  await one.close()
  await closed
  await assert.rejects(call('echo'), { code: 'ERR_CLOSED' })
})

test('without the grant calls are refused', LIMIT, async (t) => {
  const room = await openEmptyRoom(t)
  const session = join(t, room, 'speaker', { canPublish: true, canPublishData: false })
  await assert.rejects(session.performRpc({ to: 'a', method: 'b' }), { code: 'ERR_REFUSED', message: /canPublishData/ })
})

test('invalid arguments and other outputs are refused', async (t) => {
  const { session } = open(t)
  await assert.rejects(session.performRpc({ to: 'a', method: 'b' }), { code: 'ERR_UNSUPPORTED_OPERATION' })
  assert.throws(() => session.registerRpc('a', () => ''), { code: 'ERR_UNSUPPORTED_OPERATION' })
  const room = open(t, { output: { type: 'livekit', clock: undefined, url: 'ws://127.0.0.1:1', token: 'x' } }).session
  const call = { to: 'a', method: 'b' }
  for (const wrong of [
    undefined, null, 'a', {}, { to: 'a' }, { method: 'b' }, { ...call, to: ['a'] }, { ...call, method: '' }, { ...call, payload: 5 },
    { ...call, payload: '\ud800' }, { ...call, payload: 'x'.repeat(LARGEST + 1) }, { ...call, timeoutMs: 0 }, { ...call, topic: 'x' },
    { ...call, method: 'x'.repeat(40_000) }
  ]) {
    await assert.rejects(room.performRpc(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const [method, handler] of [['', () => ''], [5, () => ''], ['a'], ['a', 'b']]) {
    assert.throws(() => room.registerRpc(method, handler), { code: 'ERR_INVALID_ARGUMENT' })
  }
  assert.throws(() => room.unregisterRpc(), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(room.connection, 'new')
  await assert.rejects(room.performRpc(call), { code: 'ERR_JOIN_FAILED' })
})
