'use strict'

// The file of a `wav` output: what it replaces and when, which paths it takes, and that it is never its own source.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const {
  chmodSync, closeSync, existsSync, linkSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, rmSync,
  statSync, symlinkSync, writeFileSync
} = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { runLimited } = require('../support/limited')
const { root, run } = require('../support/process')
const { finish, open } = require('../support/session')
const { level, readWav, tone } = require('../support/wav')

const HOUR_MS = 3_600_000
const MS = 48
const OLD = tone(440, 500)

/** Makes a folder with `old.wav` in it; `isOld` returns true if a file is still the old one. */
function folder(t) {
  const directory = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const at = (name) => path.join(directory, name)
  writeFileSync(at('old.wav'), OLD)
  return { at, names: () => readdirSync(directory).sort(), isOld: (name) => readFileSync(at(name)).equals(OLD) }
}

const wav = (file, fields) => ({ output: { type: 'wav', path: file, ...fields } })

async function playOver(session, audio = tone(880, 100)) {
  session.playAudio({ audio, stopOther: false })
  await finish(session)
}

describe('an existing file', () => {
  test('stays until close, and is replaced then', async (t) => {
    const { at, names, isOld } = folder(t)
    const { session } = open(t, wav(at('old.wav')))
    await playOver(session, tone(880, 1000))
    assert.ok(isOld('old.wav'))
    assert.deepEqual(names(), ['old.wav', 'old.wav.part'])
    await session.close()
    assert.deepEqual(names(), ['old.wav'])
    assert.ok(level(readWav(at('old.wav')).samples, 0, 900 * MS, 880) > 0.29)
  })

  test('survives a crash, with the new file beside it', async (t) => {
    const { signal, folder: directory } = await run(t, `
      const session = new SpeakerSession({ output: { type: 'wav', path: 'clip.wav' }, progressIntervalMs: 700 })
      session.on('progress', () => console.log('now'))
      session.playAudio({ audioUrl: 'long.wav' })
    `, { kill: 'SIGKILL' })
    assert.equal(signal, 'SIGKILL')
    const file = path.join(directory, 'clip.wav')
    assert.ok(readFileSync(file).equals(tone(440, 400)))
    const part = readFileSync(`${file}.part`)
    const announced = part.readUInt32LE(part.indexOf('data') + 4)
    assert.ok(announced >= 400 * 96 && announced <= part.length - 44, `${announced} of ${part.length}`)

    const { session } = open(t, wav(file))
    await playOver(session)
    assert.ok(existsSync(`${file}.part2`))
    await session.close()
    assert.ok(!existsSync(`${file}.part2`))
    assert.ok(readFileSync(`${file}.part`).equals(part))
    assert.equal(readWav(file).samples.length, session.stats().timeMs * MS)
  })

  test('is replaced even after a change of directory', async (t) => {
    const { folder: directory, err } = await run(t, `
      const session = new SpeakerSession({ output: { type: 'wav', path: 'clip.wav', clock: 'manual' } })
      require('node:fs').mkdirSync('deeper')
      ;(async () => {
        const playing = session.playAudio({ audioUrl: require('node:path').resolve('long.wav') })
        await session.advance(1000)
        process.chdir('deeper')
        await session.close()
      })()
    `)
    assert.equal(err, '')
    assert.equal(readWav(path.join(directory, 'clip.wav')).samples.length, 1000 * MS)
  })

  test('keeps its permissions and its links', async (t) => {
    const { at, names } = folder(t)
    chmodSync(at('old.wav'), 0o640)
    symlinkSync('old.wav', at('link.wav'))
    const { session } = open(t, wav(at('link.wav')))
    await playOver(session)
    await session.close()
    assert.equal(readlinkSync(at('link.wav')), 'old.wav')
    assert.equal(statSync(at('old.wav')).mode & 0o777, 0o640)
    assert.equal(readWav(at('old.wav')).samples.length, session.stats().timeMs * MS)
    assert.deepEqual(names(), ['link.wav', 'old.wav'])
  })
})

test('a dangling symlink is followed and its target created', async (t) => {
  const { at, names } = folder(t)
  symlinkSync('new.wav', at('link.wav'))
  const { session } = open(t, wav(at('link.wav')))
  await playOver(session)
  await session.close()
  assert.deepEqual(names(), ['link.wav', 'new.wav', 'old.wav'])
  assert.equal(readWav(at('new.wav')).samples.length, session.stats().timeMs * MS)
})

describe('keepUnheard: false', () => {
  const discard = { keepUnheard: false }

  test('writes no silent file and keeps existing ones', async (t) => {
    const { at, names, isOld } = folder(t)
    for (const name of ['new.wav', 'old.wav']) {
      const { session } = open(t, wav(at(name), discard))
      await assert.rejects(session.playAudio({ audioUrl: at('missing.wav') }), { code: 'ERR_FILE' })
      await session.advance(1000)
      await session.close()
    }
    assert.deepEqual(names(), ['old.wav'])
    assert.ok(isOld('old.wav'))
  })

  test('keeps what was heard', async (t) => {
    const { at } = folder(t)
    for (const name of ['new.wav', 'old.wav']) {
      const { session } = open(t, wav(at(name), discard))
      await playOver(session)
      await session.close()
      assert.equal(readWav(at(name)).samples.length, session.stats().timeMs * MS)
    }
  })

  test('leaves a file that appeared at the path meanwhile', async (t) => {
    const { at, names, isOld } = folder(t)
    const { session } = open(t, wav(at('new.wav'), discard))
    await session.connect()
    rmSync(at('new.wav'))
    linkSync(at('old.wav'), at('new.wav'))
    await session.close()
    assert.deepEqual(names(), ['new.wav', 'old.wav'])
    assert.ok(isOld('new.wav'))
  })

  test('applies to wav only and is a boolean', (t) => {
    assert.throws(() => open(t, { output: discard }), { code: 'ERR_INVALID_ARGUMENT', message: /keepUnheard/ })
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: /a boolean for output.keepUnheard but received 1/ }
    assert.throws(() => open(t, wav('x.wav', { keepUnheard: 1 })), refused)
  })
})

describe('a source that the output would replace', () => {
  const names = {
    'by its own path': (at) => [at('old.wav'), at('old.wav')],
    'by another path': (at) => [at('old.wav'), at('../') + path.join(path.basename(at('')), 'old.wav')],
    'by a symlink': (at) => (symlinkSync('old.wav', at('link.wav')), [at('old.wav'), at('link.wav')]),
    'by a hard link': (at) => (linkSync(at('old.wav'), at('link.wav')), [at('old.wav'), at('link.wav')]),
    'with a symlink as output': (at) => (symlinkSync('old.wav', at('link.wav')), [at('link.wav'), at('old.wav')])
  }
  for (const [which, make] of Object.entries(names)) {
    for (const clock of ['manual', 'realtime']) {
      test(`${clock}: is refused ${which}`, async (t) => {
        const { at, isOld } = folder(t)
        const [out, source] = make(at)
        const { session, told } = open(t, wav(out, { clock }))
        const playing = session.playAudio({ requestId: 'own', audioUrl: source })
        if (clock === 'manual') await session.advance(100)
        await assert.rejects(playing, {
          code: 'ERR_FILE',
          message: `Expected a file that the session's output does not write for audioUrl but received ${source}`
        })
        assert.equal(told.filter(({ requestId }) => requestId === 'own').length, 1)
        await session.close()
        assert.ok(isOld('old.wav'))
        assert.ok(!existsSync(`${at('old.wav')}.part`), 'nothing sounded, so nothing is left')
      })
    }
  }

  test('stays, and the recording is not lost', async (t) => {
    const { at, names, isOld } = folder(t)
    const { session } = open(t, wav(at('old.wav')))
    const own = session.playAudio({ audioUrl: at('old.wav') })
    await playOver(session)
    await assert.rejects(own, { code: 'ERR_FILE' })
    const part = `${at('old.wav')}.part`
    await assert.rejects(session.close(), {
      code: 'ERR_OUTPUT',
      message: `${at('old.wav')} is not replaced, because a playback asked for it as its source; what was written is in ${part}`
    })
    assert.ok(isOld('old.wav'))
    assert.equal(readWav(part).samples.length, session.stats().timeMs * MS)
    assert.deepEqual(names(), ['old.wav', 'old.wav.part'])
  })

  test('is detected at its turn and at each opening', async (t) => {
    const { at, isOld } = folder(t)
    const { session, terminal } = open(t, { ...wav(at('old.wav')), overlap: 'queue' })
    linkSync(at('old.wav'), at('link.wav'))
    const playing = ['a', 'b'].map((requestId) => session.playAudio({ requestId, audio: tone(880, 100), stopOther: false }))
    const own = session.playAudio({ requestId: 'own', audioUrl: at('link.wav'), stopOther: false })
    await finish(session)
    await Promise.all(playing)
    await assert.rejects(own, { code: 'ERR_FILE' })
    assert.deepEqual(terminal('own').map(({ type }) => type), ['failed'])
    await assert.rejects(session.close(), { code: 'ERR_OUTPUT' })
    assert.ok(isOld('old.wav'))
  })

  test('the file being written cannot be played', async (t) => {
    const { at } = folder(t)
    const { session } = open(t, wav(at('new.wav')))
    await playOver(session)
    await session.advance(1000)
    await assert.rejects(session.playAudio({ audioUrl: at('new.wav') }), { code: 'ERR_FILE', message: /output does not write/ })
    await session.close()
    assert.equal(readWav(at('new.wav')).samples.length, session.stats().timeMs * MS)
  })

  test('other sessions play the old file meanwhile', async (t) => {
    const { at } = folder(t)
    const writer = open(t, wav(at('old.wav')))
    await playOver(writer.session)
    const { session, heard } = open(t)
    const playing = session.playAudio({ audioUrl: at('old.wav') })
    await writer.session.close()
    await finish(session)
    await playing
    assert.ok(heard().length >= 100 * MS)
  })
})

describe('special files', { skip: process.platform !== 'linux' }, () => {
  test('a device accepts everything, including silence', async (t) => {
    const { session } = open(t, wav('/dev/null'))
    await playOver(session)
    await session.advance(HOUR_MS)
    await playOver(session)
    await session.close()
  })

  for (const make of ['mkfifo', 'mkdir']) {
    test(`${make}: is refused at once`, async (t) => {
      const { at } = folder(t)
      execFileSync(make, [at('thing')])
      const { session } = open(t, wav(at('thing')))
      await assert.rejects(session.connect(), { code: 'ERR_OUTPUT', message: /thing/ })
    })
  }

  const script = `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'wav', path: '/dev/stdout', clock: 'manual' } })
    session.advance(100).then(() => session.close()).catch(({ code, message }) => console.error(code, message))`
  const shell = (command, cwd) => execFileSync('sh', ['-c', command, process.execPath, script], { cwd, encoding: 'utf8' })

  test('an empty file at a descriptor is written in place', (t) => {
    const { at, isOld } = folder(t)
    shell('"$0" -e "$1" > new.wav', at(''))
    assert.equal(readWav(at('new.wav')).samples.length, 100 * MS)
    const complaint = shell('"$0" -e "$1" 2>&1 >> old.wav', at(''))
    assert.match(complaint, /^ERR_OUTPUT Expected an empty file behind a descriptor for output.path but received \/dev\/stdout/)
    assert.ok(isOld('old.wav'))
  })

  test('a pipe is refused', (t) => {
    const complaint = shell('{ "$0" -e "$1" 2>&3 | cat; } 3>&1', folder(t).at(''))
    assert.match(complaint, /^ERR_OUTPUT Expected a file or a device for output.path but received \/dev\/stdout, which is a pipe/)
  })
})

describe('a long silence', () => {
  test('takes no disk space', { skip: process.platform !== 'linux' }, async (t) => {
    const { at } = folder(t)
    for (const [format, bytes, header] of [['s16', 2, 44], ['f32', 4, 58]]) {
      const { session } = open(t, wav(at(`${format}.wav`), { format }))
      await playOver(session)
      await session.advance(3 * HOUR_MS)
      const { size, blocks } = statSync(at(`${format}.wav`))
      assert.equal(size, header + session.stats().timeMs * MS * bytes, 'it is valid in between')
      assert.ok(blocks * 512 < 1e6, `${blocks * 512} bytes on the disk`)
      await playOver(session)
      await session.advance(HOUR_MS / 60)
      await session.close()
      const whole = readFileSync(at(`${format}.wav`))
      assert.equal(whole.length, header + session.stats().timeMs * MS * bytes)
      assert.equal(whole.readUInt32LE(header - 4), whole.length - header)
      const clip = whole.subarray(header, header + 100 * MS * bytes)
      const second = whole.indexOf(clip, header + HOUR_MS * MS * bytes)
      assert.ok(second > 0 && (second - header) % (20 * MS * bytes) === 0, `${second}`)
    }
  })

  test('advance rejects a day and the file stays whole', async (t) => {
    const { at } = folder(t)
    const { session, told } = open(t, wav(at('new.wav')))
    await playOver(session)
    const { timeMs } = session.stats()
    const most = Math.floor((2 ** 32 - 1 - 1024) / 2 / MS - timeMs)
    await assert.rejects(session.advance(24 * HOUR_MS), {
      code: 'ERR_OUTPUT',
      message: `Expected at most ${most} ms, all that the recording still holds, for advance but received 86400000`
    })
    assert.equal(session.stats().timeMs, timeMs)
    await session.close()
    assert.deepEqual(told.filter(({ type }) => type === 'error'), [])
    assert.equal(readWav(at('new.wav')).samples.length, timeMs * MS)
  })
})

test('a file takes its last sample and no more', async (t) => {
  const { at } = folder(t)
  const { session } = open(t, wav(at('new.wav'), { format: 'f32', channels: 2 }))
  const most = Math.floor((2 ** 32 - 1 - 1024) / 8 / MS)
  await session.advance(most)
  await assert.rejects(session.advance(1), { code: 'ERR_OUTPUT', message: /at most 0 ms/ })
  await session.close()
  const length = most * MS * 8
  const header = Buffer.alloc(58)
  const file = openSync(at('new.wav'))
  readSync(file, header)
  closeSync(file)
  assert.equal(statSync(at('new.wav')).size, 58 + length)
  assert.deepEqual([4, 46, 54].map((place) => header.readUInt32LE(place)), [50 + length, length / 8, length])
})

test('silence beyond the file size limit fails once', { skip: process.platform !== 'linux' }, async (t) => {
  const { at } = folder(t)
  // A file of at most 40 KiB is cut at its length, holes included: so it fails, and only once.
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const session = new SpeakerSession({ output: { type: 'wav', path: 'new.wav', clock: 'manual' } })
    session.on('error', ({ code }) => console.log('error', code))
    session.advance(60000).catch(({ code }) => console.log('advance', code))
      .then(() => session.close()).catch(({ code }) => console.log('close', code))`
  const { stdout } = await runLimited('-f 80', ['-e', script], at(''))
  // The disk is written beside the clock: an advance may be over before the write fails.
  assert.match(stdout, /^error ERR_OUTPUT\n(advance ERR_OUTPUT\n)?close ERR_OUTPUT\n$/)
})
