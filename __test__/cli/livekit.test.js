'use strict'

// `--livekit`: the sounds it reports from a real room, and its errors where there can be no room.

const assert = require('node:assert')
const { cpSync, symlinkSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { files, main } = require('../../package.json')
const { startServer } = require('../../scripts/livekit-server')
const { jsonl, run, workspace } = require('../support/cli')
const { tone } = require('../support/wav')

const root = path.join(__dirname, '..', '..')
const FILES = { 'low.wav': tone(440, 1000), 'high.wav': tone(880, 500), 'silent.wav': tone(440, 300, { amplitude: 0 }) }

const play = (atMs, requestId, audioUrl, fields) => {
  return { atMs, type: 'play', requestId, audioUrl, stopOther: false, ...fields }
}

function events(stdout) {
  return stdout.trimEnd().split('\n').map((line) => JSON.parse(line))
}

describe('--livekit', () => {
  it('reports each sound heard, by track', async (t) => {
    const lines = jsonl(
      play(0, 'low', 'low.wav', { trackId: 7 }),
      play(500, 'high', 'high.wav'),
      play(1500, 'again', 'high.wav', { volume: 0.5 }),
      play(1500, 'mute', 'low.wav', { volume: 0, trackId: 2 })
    )
    const directory = workspace(t, { ...FILES, 'requests.jsonl': lines })
    const { exitCode, stdout, stderr } = await run(directory, ['replay', 'requests.jsonl', '--livekit', '--json'])
    assert.strictEqual(exitCode, 0, stderr)
    assert.match(stderr, /^speaker-session-[0-9a-f]{8} at ws:\/\/127\.0\.0\.1:\d+: .* 4 completed, 0 stopped, 0 failed/)
    const told = events(stdout)
    const heard = told.filter(({ type }) => type === 'heard')
    const expected = [
      ['low', 'track_7', 440, 1000, -13.5], ['high', 'speaker', 880, 500, -13.5], ['again', 'speaker', 880, 500, -19.5]
    ]
    assert.strictEqual(heard.length, expected.length, JSON.stringify(heard))
    for (const [n, [requestId, track, hz, ms, levelDb]] of expected.entries()) {
      const { atMs } = told.find((event) => event.type === 'started' && event.requestId === requestId)
      const lateMs = heard[n].beganAtMs - atMs
      assert.strictEqual(heard[n].track, track)
      assert.ok(lateMs > -20 && lateMs < 500, `${requestId} was heard ${lateMs} ms after it was sent`)
      assert.ok(Math.abs(heard[n].hz - hz) < hz / 10, `${requestId} at ${heard[n].hz} Hz`)
      assert.ok(Math.abs(heard[n].levelDb - levelDb) < 3, `${requestId} at ${heard[n].levelDb} dBFS`)
      const heardMs = heard[n].endedAtMs - heard[n].beganAtMs
      assert.ok(heardMs > ms - 100 && heardMs < ms + 200, `${requestId} for ${heardMs} ms`)
    }
  })

  it('prints the same for people, below what was played', async (t) => {
    const { exitCode, stdout } = await run(workspace(t, FILES), ['play', 'low.wav', 'high.wav', '--livekit', '--stereo'])
    assert.strictEqual(exitCode, 0)
    assert.match(stdout, /^ +\d\.\d{3} s {2}heard {5}speaker {2}till \d\.\d{3} s, -\d+\.\d dBFS, about \d+ Hz$/m)
    assert.match(stdout, /^low\.wav +·*├─+┤\nhigh\.wav +·*├─+┤\n♪ speaker +[▁▂▃▄▅▆▇█][ ▁▂▃▄▅▆▇█]*\n +0 s /m)
  })

  it('fails if nothing was heard of what was played', async (t) => {
    const { exitCode, stdout, stderr } = await run(workspace(t, FILES), ['play', 'silent.wav', '--livekit'])
    assert.strictEqual(exitCode, 1)
    assert.match(stdout, /completed silent\.wav/)
    assert.strictEqual(stderr, 'speaker-session: nothing was heard of silent.wav\n')
  })

  it('plays on the server named in the environment', async (t) => {
    const server = await startServer()
    t.after(() => server.stop())
    const env = { LIVEKIT_URL: server.url, LIVEKIT_API_KEY: server.key, LIVEKIT_API_SECRET: server.secret }
    const args = ['play', 'high.wav', '--livekit']
    const { exitCode, stdout } = await run(workspace(t, FILES), args, undefined, { env })
    assert.strictEqual(exitCode, 0)
    assert.ok(stdout.includes(` at ${server.url}: `), stdout)

    const wrong = { ...env, LIVEKIT_API_SECRET: 'another-secret-of-at-least-32-characters' }
    const refused = await run(workspace(t, FILES), args, undefined, { env: wrong })
    assert.deepStrictEqual([refused.exitCode, refused.stdout], [1, ''])
    assert.match(refused.stderr, /^Nobody can listen in the room: .*\n$/)

    const incomplete = await run(workspace(t, FILES), args, undefined, { env: { ...env, LIVEKIT_API_KEY: '' } })
    assert.deepStrictEqual([incomplete.exitCode, incomplete.stdout], [2, ''])
    assert.match(incomplete.stderr, /for LIVEKIT_API_KEY/)
  })

  it('an interruption ends the playbacks and the server', { skip: process.platform === 'win32' }, async (t) => {
    const directory = workspace(t, { 'long.wav': tone(440, 20_000) })
    let sent = false
    const { exitCode, stdout } = await run(directory, ['play', 'long.wav', '--livekit'], (output, child) => {
      if (sent || !output.includes('started')) return
      sent = true
      setTimeout(() => child.kill('SIGTERM'), 500)
    })
    assert.strictEqual(exitCode, 143)
    assert.match(stdout, /^long\.wav +·*├─+■ stopped \(closed\)\n♪ speaker +[▁▂▃▄▅▆▇█][ ▁▂▃▄▅▆▇█]*\n/m)
    const [, url] = /ws(:\/\/127\.0\.0\.1:\d+)/.exec(stdout)
    await assert.rejects(fetch(`http${url}`), { message: 'fetch failed' })
  })
})

describe('without a room', () => {
  it('refuses two kinds of output', async (t) => {
    const { exitCode, stderr } = await run(workspace(t, FILES), ['play', 'low.wav', '--livekit', '--out', 'x.wav'])
    assert.strictEqual(exitCode, 2)
    assert.match(stderr, /^Expected either --livekit or --out but received both\n/)
  })

  it('reports that there is no server', async (t) => {
    const directory = workspace(t, FILES)
    const env = { PATH: directory, XDG_CACHE_HOME: directory }
    const { exitCode, stdout, stderr } = await run(directory, ['play', 'low.wav', '--livekit'], undefined, { env })
    assert.deepStrictEqual([exitCode, stdout], [1, ''])
    assert.match(stderr, /^No room for --livekit: install livekit-server on the PATH, or set LIVEKIT_URL .*\n$/)
  })

  it('names the missing packages', async (t) => {
    const directory = workspace(t, FILES)
    const installed = path.join(directory, 'installed')
    for (const name of ['package.json', ...files.filter((name) => name !== 'src')]) {
      cpSync(path.join(root, name), path.join(installed, name), { recursive: true })
    }
    symlinkSync(path.join(root, 'speaker-session.node'), path.join(installed, 'speaker-session.node'))
    assert.ok(files.includes(main))
    const program = path.join(installed, 'bin', 'speaker-session.js')
    const { exitCode, stderr } = await run(directory, ['play', 'low.wav', '--livekit'], undefined, { program })
    assert.strictEqual(exitCode, 1)
    assert.match(stderr, /^.* for --livekit: run `npm install @livekit\/rtc-node livekit-server-sdk`\n$/)
    assert.strictEqual((await run(directory, ['play', 'low.wav'], undefined, { program })).exitCode, 0)
  })
})

it('takes other ports when another server has them, and is not mistaken for it', async (t) => {
  const first = await startServer()
  t.after(() => first.stop())
  let draws = 0
  const second = await startServer((config) => {
    draws++
    if (draws === 1) config.port = first.config.port
  })
  t.after(() => second.stop())
  assert.strictEqual(draws, 2)
  assert.notStrictEqual(second.url, first.url)
})
