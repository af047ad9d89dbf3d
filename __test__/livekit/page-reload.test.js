'use strict'

// Two sessions with one identity, as from a reloaded page: the newer one stays, whatever the older one does when its network returns.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { dispose } = require('@livekit/rtc-node')

const { fromNow, isBack, moderator, openServer, publish, publishings, roomOn, speak, until } = require('../support/room')
const { Sent } = require('../support/rtp')
const { tone, windows } = require('../support/wav')
const { Wire } = require('../support/wire')

const IDENTITY = 'reloaded'
const ROUNDS = 10
/** The number of rounds at once, each in a room of its own. */
const AT_ONCE = 3
/** The times at which the older one returns: it retries less often the longer it is away. */
const RETURN_MS = 20_000
/** The sound of the newer one that the ear must hear after the return of the older. */
const HEARD_MS = 1000
/** Made once: this thread relays the packets of other rounds, and must not be busy for long. */
const [OLDER, NEWER] = [440, 880].map((hz) => tone(hz, 60_000))

after(dispose) // otherwise the ear keeps the process alive

/** The older session speaks over a wire and loses its network; the newer one takes its place, and is heard. */
async function reload(t, room, { media, ...output }) {
  const ear = await room.join()
  const wire = await Wire.open(room.server.url, t)
  const token = () => room.token(IDENTITY)
  const older = speak(t, room, { url: wire.url, token, publish: 'lazy', ...output })
  await publish(older.session, { ear })
  older.playing = older.session.playAudio({ audio: OLDER })
  older.playing.catch(() => {})
  await once(older.session, 'started')
  wire.cut()
  if (media) wire.media.cut()

  const newerWire = await Wire.open(room.server.url, t)
  const newer = speak(t, room, { url: newerWire.url, token, publish: 'lazy' })
  newer.session.playAudio({ audio: NEWER }).catch(() => {})
  await until(() => windows(ear.heard.get('speaker'), 880).length >= 3, 'the newer one is heard')
  const mend = () => (wire.mend(), wire.media.mend())
  return { ear, older, newer, sent: new Sent(newerWire), mend }
}

async function olderEnds(t, room, media, waitMs) {
  const { ear, older, newer, sent, mend } = await reload(t, room, { media })
  const { sid } = await moderator(room.server).getParticipant(room.name, IDENTITY)
  await sleep(waitMs)
  mend()
  const ended = () => older.told.find(({ type }) => type === 'disconnected')
  await until(ended, 'the older one ends', RETURN_MS)
  assert.equal(ended().reason, 'duplicateIdentity')
  await assert.rejects(older.playing, { code: 'ERR_DISCONNECTED' })

  const heard = fromNow(ear, 'speaker')
  await until(() => windows(heard(), 880).length >= HEARD_MS / 100, 'the newer one is still heard')
  sent.assertWhole(newer.session, HEARD_MS)
  const told = newer.told.map(({ type }) => type)
  // The server interrupts its signalling for a moment when the older one comes back, which is inaudible.
  const harmless = ['connected', 'started', 'subscribed', 'reconnecting', 'reconnected']
  assert.deepEqual(told.filter((type) => !harmless.includes(type)), [])
  await until(() => !told.includes('reconnecting') || isBack(newer.told), 'the newer one has its signalling')
  assert.equal(publishings(ear, 'speaker'), 2, 'each published its track once')
  const present = (await moderator(room.server).listParticipants(room.name)).filter(({ identity }) => identity === IDENTITY)
  assert.deepEqual(present.map((participant) => participant.sid), [sid])
  await Promise.all([newer.session.close(), older.session.close()])
}

for (const [what, media] of [['signalling', false], ['signalling and sound', true]]) {
  test(`the newer session stays when the older one regains ${what}`, async (t) => {
    const server = await openServer(t)
    const rounds = Array.from({ length: ROUNDS }, (_, n) => n).values()
    const row = async () => {
      // Its network returns at different moments between its attempts.
      for (const n of rounds) await olderEnds(t, roomOn(t, server), media, n * 100)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, row))
  })
}

test('the older session returns after the newer left', async (t) => {
  const room = roomOn(t, await openServer(t))
  const { ear, older, newer, mend } = await reload(t, room, { media: true })
  await newer.session.close()
  await until(() => ear.events.at(-1) === `left ${IDENTITY}`, 'the newer one has left')
  const heard = fromNow(ear, 'speaker')
  mend()
  await until(() => isBack(older.told), 'the older one is back', RETURN_MS)
  await until(() => windows(heard(), 440).length >= 5, 'it is heard again')
  assert.ok(!older.told.some(({ type }) => type === 'disconnected' || type === 'failed'), 'it ended')
  await older.session.stopAudio()
  assert.equal((await older.playing).outcome, 'stopped')
})
