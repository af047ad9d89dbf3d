'use strict'

// A full disk is reported once, wherever it is noticed first, or done without. A limit on file size stands in for it.

const assert = require('node:assert/strict')
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { runLimited } = require('../support/limited')
const { root } = require('../support/process')
const { readWav, tone } = require('../support/wav')

/** In the shell's units: 40 KiB, 0.4 s at 16 bits. */
const LIMIT = '-f 80'
const BYTES = 40 * 1024
const LIMITED = { skip: process.platform !== 'linux' && 'needs the limits of a shell' }

function folder(t, files) {
  const directory = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content)
  return directory
}

/** Runs a script that has a `session` with these options and returns its events, one per line, in order. */
async function told(directory, options, script) {
  const lines = `
    const { setTimeout: sleep } = require('node:timers/promises')
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const say = (...words) => console.log(words.join(' '))
    const session = new SpeakerSession(${JSON.stringify(options)})
    for (const type of ['error', 'failed', 'completed', 'disconnected']) {
      session.on(type, ({ requestId, code }) => say(...[type, requestId, code].filter(Boolean)))
    }
    const play = (requestId, request) => session.playAudio({ requestId, audioUrl: 'long.wav', stopOther: false, ...request })
    ;(async () => {
      ${script}
      await session.close().then(() => say('closed'), ({ code }) => say('close', code))
    })()`
  const { exitCode, stdout, stderr } = await runLimited(LIMIT, ['-e', lines], directory)
  assert.deepEqual([exitCode, stderr], [0, ''])
  return stdout.trimEnd().split('\n')
}

describe('a WAV file on a full disk', LIMITED, () => {
  const once = ['error ERR_OUTPUT', 'failed a ERR_OUTPUT', 'failed b ERR_OUTPUT']
  const files = { 'long.wav': tone(440, 3000), 'old.wav': tone(880, 100) }

  test('manual: emits one error and keeps the file', async (t) => {
    const directory = folder(t, files)
    const lines = await told(directory, { output: { type: 'wav', path: 'new.wav', clock: 'manual' } }, `
      for (const name of ['a', 'b']) play(name)
      for (const ms of [4000, 20, 1000]) await session.advance(ms).catch(({ code }) => say('advance', code))
      play('c')
      await session.advance(1000).catch(({ code }) => say('advance', code))`)
    const later = ['advance ERR_OUTPUT', 'advance ERR_OUTPUT', 'advance ERR_OUTPUT', 'failed c ERR_OUTPUT', 'advance ERR_OUTPUT']
    assert.deepEqual(lines, [...once, ...later, 'disconnected', 'close ERR_OUTPUT'])
    const { samples } = readWav(path.join(directory, 'new.wav'))
    assert.equal(samples.length, (BYTES - 44) / 2)
    assert.deepEqual(samples.subarray(0, 960), readWav(path.join(directory, 'long.wav')).samples.map((x) => 2 * x).subarray(0, 960))
  })

  test('realtime: emits one error, also in later silence', async (t) => {
    const directory = folder(t, files)
    const lines = await told(directory, { output: { type: 'wav', path: 'new.wav' } }, `
      await Promise.allSettled(['a', 'b'].map((name) => play(name)))
      await play('c').catch(() => {})
      await play('d').catch(() => {})`)
    assert.deepEqual(lines, [...once, 'failed c ERR_OUTPUT', 'failed d ERR_OUTPUT', 'disconnected', 'close ERR_OUTPUT'])
  })

  test('realtime: a failed last write is one error too', async (t) => {
    const directory = folder(t, files)
    const lines = await told(directory, { output: { type: 'wav', path: 'new.wav', format: 'f32' } }, `
      const failed = new Promise((resolve) => session.once('error', resolve))
      const alive = setInterval(() => {}, 1000) // a session in which nothing plays does not keep the process
      await play('a', { durationMs: 300 }).catch(() => {})
      await failed
      clearInterval(alive)`)
    // It is noticed after the sound, or during it if the process was suspended meanwhile.
    assert.deepEqual(lines.filter((line) => !line.includes(' a')), ['error ERR_OUTPUT', 'disconnected', 'close ERR_OUTPUT'])
  })

  test('leaves the file it was to replace', async (t) => {
    const directory = folder(t, files)
    await told(directory, { output: { type: 'wav', path: 'old.wav', clock: 'manual' } }, `
      play('a')
      await session.advance(4000).catch(() => {})`)
    assert.ok(readFileSync(path.join(directory, 'old.wav')).equals(files['old.wav']))
    assert.equal(readWav(path.join(directory, 'old.wav.part')).samples.length, (BYTES - 44) / 2)
  })

  test('prints one line on the command line', async (t) => {
    const directory = folder(t, files)
    const program = path.join(root, 'bin', 'speaker-session.js')
    for (const options of [[], ['--realtime', '--json']]) {
      const args = [program, 'play', 'long.wav', '--out', 'old.wav', '--force', ...options]
      const { exitCode, stderr } = await runLimited(LIMIT, args, directory)
      const part = path.join(directory, options.length === 0 ? 'old.wav.part' : 'old.wav.part2')
      const complaint = `speaker-session: old.wav can't be written: File too large (os error 27); what was written is in ${part}\n`
      assert.equal(exitCode, 1)
      assert.equal(stderr.replace(/^old\.wav: .*\n/, ''), complaint)
      assert.ok(readFileSync(path.join(directory, 'old.wav')).equals(files['old.wav']))
    }
  })

  test('leaves no file that could not be started', async (t) => {
    const directory = folder(t, files)
    const script = `
      const { SpeakerSession } = require(${JSON.stringify(root)})
      const session = new SpeakerSession({ output: { type: 'wav', path: 'new.wav' } })
      session.connect().catch(({ code }) => console.log(code)).then(() => session.close())`
    const { stdout } = await runLimited('-f 0', ['-e', script], directory)
    assert.equal(stdout, 'ERR_OUTPUT\n')
    assert.ok(!existsSync(path.join(directory, 'new.wav')))
  })
})

describe('a recording on a full disk', LIMITED, () => {
  const options = { output: { type: 'memory', clock: 'manual' }, record: 'requests.jsonl' }

  test('emits one error and everything else goes on', async (t) => {
    const lines = await told(folder(t, { 'long.wav': tone(440, 3000) }), options, `
      const failed = new Promise((resolve) => session.once('error', resolve))
      for (const name of ['a', 'b', 'c']) play(name, { audioUrl: undefined, audio: require('node:fs').readFileSync('long.wav') })
      await failed
      await session.advance(4000)`)
    assert.deepEqual(lines, ['error ERR_RECORD', 'completed a', 'completed b', 'completed c', 'disconnected', 'closed'])
  })

  test('rejects close if it comes first', async (t) => {
    const lines = await told(folder(t, { 'long.wav': tone(440, 3000) }), options, `
      play('a', { audioUrl: undefined, audio: require('node:fs').readFileSync('long.wav') })`)
    assert.deepEqual(lines.filter((line) => /error|close/.test(line)), ['close ERR_RECORD'])
  })
})

test('a download on a full disk goes on in memory', LIMITED, async (t) => {
  const lines = await told(folder(t, {}), { output: { type: 'memory', clock: 'manual' } }, `
    const body = require(${JSON.stringify(path.join(root, '__test__', 'support', 'wav'))}).tone(440, 30000)
    const server = require('node:http').createServer((_, answer) => answer.end(body)).listen(0, '127.0.0.1')
    await require('node:events').once(server, 'listening')
    const playing = play('a', { audioUrl: 'http://127.0.0.1:' + server.address().port })
    await session.advance(40000)
    say((await playing).durationMs)
    server.close()`)
  assert.deepEqual(lines, ['completed a', '30000', 'disconnected', 'closed'])
})
