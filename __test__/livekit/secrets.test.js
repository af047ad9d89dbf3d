'use strict'

// A token that a server repeats is not shown in an error, an event or the log.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { createHmac } = require('node:crypto')
const { test } = require('node:test')

const { openEmptyRoom } = require('../support/room')
const { open } = require('../support/session')
const { tone } = require('../support/wav')

const encode = (json) => Buffer.from(JSON.stringify(json)).toString('base64url')

/** Returns a token that is valid in three minutes, as from a fast clock. */
async function earlyToken(room) {
  const [header, payload] = (await room.token('early')).split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url'))
  const body = `${header}.${encode({ ...claims, nbf: Math.floor(Date.now() / 1000) + 180 })}`
  return `${body}.${createHmac('sha256', room.server.secret).update(body).digest('base64url')}`
}

/** Asserts that `text` contains neither `token` nor a part of it. */
function assertNothingOf(token, text) {
  for (const secret of token.split('.')) assert.ok(!text.includes(secret), `${secret} is shown in ${text}`)
}

test('a refused token is masked in errors and events', async (t) => {
  const room = await openEmptyRoom(t)
  const token = await earlyToken(room)
  const { session, told } = open(t, { output: { type: 'livekit', clock: undefined, url: room.server.url, token } })
  const refused = (error) => {
    assert.equal(error.code, 'ERR_JOIN_FAILED')
    assert.match(error.message, /invalid token: <masked>.*not valid yet/)
    assertNothingOf(token, error.message + error.stack)
    return true
  }
  await assert.rejects(session.connect(), refused)
  await assert.rejects(session.playAudio({ audio: tone(440, 20) }), refused)
  assertNothingOf(token, JSON.stringify(told))
})

test('the log shows no token and no TURN login', async (t) => {
  const turn = { host: 'localhost', port: 9, protocol: 'udp', username: 'somebody', credential: 'plantedCredential7' }
  const room = await openEmptyRoom(t, ({ rtc }) => (rtc.turn_servers = [turn]))
  const [good, bad] = [await room.token('good'), await earlyToken(room)]
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(require.resolve('../..'))})
    ;(async () => {
      for (const token of ${JSON.stringify([good, bad])}) {
        const session = new SpeakerSession({ output: { type: 'livekit', url: ${JSON.stringify(room.server.url)}, token } })
        await session.connect().catch(() => {})
        await session.close()
      }
    })()`
  const env = { ...process.env, SPEAKER_SESSION_LOG: 'trace' }
  const { stderr, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env, timeout: 60_000 })
  assert.equal(status, 0, stderr)
  assert.match(stderr, /speaker_session/)
  for (const secret of [good, bad, turn.credential]) assertNothingOf(secret, stderr)
})
