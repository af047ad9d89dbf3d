'use strict'

// `wav` outputs on a disk that is slow or hangs: playbacks into them are whole or fail with an error, and no other session is disturbed.

const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { readdirSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../../..')
const { heard } = require('../heard')
const { mounted } = require('../mounted')
const { onSlowDisk, setDelay } = require('../slow-disk')
const { within } = require('../within')
const { tone } = require('../../support/wav')

/** How long a disk may take for one operation, and that with what a busy machine adds. */
const PATIENCE_MS = 10_000
const LATE_MS = 15_000

const root = path.join(__dirname, '..', '..', '..')
// Made before anything plays, because it takes time.
const [LOW, HIGH] = [440, 880].map((hz) => tone(hz, 1000))

/** Returns a request for this many seconds of a tone. */
const seconds = (count, audio = LOW) => ({ audio, loop: count })
const slow = (folder, name) => path.join(folder, 'slow', name)
const code = (promise) => promise.then(() => undefined, (error) => error.code)
const each = (all, call) => Promise.all(all.map(call))

/** Opens a session that writes this file, and collects its events. */
function writer(file, fields) {
  const session = new SpeakerSession({ output: { type: 'wav', path: file, ...fields } })
  const told = []
  for (const type of ['connected', 'error', 'started', 'completed', 'failed', 'disconnected']) {
    session.on(type, (event) => told.push({ type, ...event }))
  }
  return { file, session, told, words: () => told.map(({ type, code }) => (code ? `${type} ${code}` : type)) }
}

/** Opens two writers beside each other. */
const pair = (folder, fields) => ['a.wav', 'b.wav'].map((name) => writer(slow(folder, name), fields))

/** Asserts that the second tone is where its event says, with one sign for every 50 ms. */
function assertPlace(signs, told) {
  const { atMs } = told.findLast(({ type }) => type === 'started')
  assert.ok(Math.abs(signs.search(/[?^]\^/) - atMs / 50) <= 1, `not at ${atMs} ms: ${signs}`)
}

module.exports = [
  {
    ...onSlowDisk,
    what: 'two wav outputs on a disk that takes 400 ms a call',
    short: true,
    async run({ folder }) {
      setDelay(folder, 400)
      const all = pair(folder)
      await within(each(all, ({ session }) => session.playAudio(seconds(4))), LATE_MS)
      await within(each(all, ({ session }) => session.close()), LATE_MS)
      setDelay(folder, 0)
      for (const { file, words } of all) {
        assert.deepEqual(words(), ['connected', 'started', 'completed', 'disconnected'])
        assert.match(await heard(file), /^\.*\??#{79,80}\??$/)
      }
    }
  },
  {
    ...onSlowDisk,
    what: 'two wav outputs on a disk that hangs as they are opened, and recovers',
    async run({ folder }) {
      setDelay(folder, -1)
      const all = pair(folder)
      const failed = each(all, ({ session }) => code(session.playAudio(seconds(1))))
      assert.deepEqual(await within(failed, LATE_MS), ['ERR_OUTPUT', 'ERR_OUTPUT'])
      for (const { words } of all) assert.deepEqual(words(), ['failed ERR_OUTPUT'])
      setDelay(folder, 0)
      await within(each(all, ({ session }) => session.playAudio(seconds(1))))
      await within(each(all, ({ session }) => session.close()))
      for (const { file } of all) assert.match(await heard(file), /^\.*\??#{19,20}\??$/)
      assert.deepEqual(readdirSync(path.join(folder, 'slow')).sort(), ['.ms', 'a.wav', 'b.wav'])
    }
  },
  {
    ...onSlowDisk,
    what: 'a wav output on a disk that hangs as it is opened, given up or closed',
    async run({ folder }) {
      setDelay(folder, -1)
      const controller = new AbortController()
      const open = (name) => ['realtime', 'manual'].map((clock) => writer(slow(folder, `${name}-${clock}.wav`), { clock }).session)
      const abandoned = open('given-up')
      const connecting = each(abandoned, (session) => code(session.connect({ signal: controller.signal })))
      await sleep(200)
      controller.abort()
      assert.deepEqual(await within(connecting), ['ERR_ABORTED', 'ERR_ABORTED'])
      await within(each(abandoned, (session) => session.close()))
      const [realtime, manual] = open('closed')
      const playing = realtime.playAudio(seconds(1))
      const advanced = code(manual.advance(1000))
      const closed = each([realtime, manual], (session) => code(session.close()))
      assert.equal((await within(playing)).reason, 'closed')
      // On the manual clock the failure to open is known first: then there is nothing to close.
      assert.deepEqual(await within(closed, LATE_MS), ['ERR_OUTPUT', undefined])
      assert.equal(await within(advanced), 'ERR_CLOSED')
      setDelay(folder, 0)
      const late = performance.now() + 5000
      while (readdirSync(path.join(folder, 'slow')).length > 1) {
        assert.ok(performance.now() < late, `${readdirSync(path.join(folder, 'slow'))} are left`)
        await sleep(20)
      }
    }
  },
  {
    ...onSlowDisk,
    what: 'two wav outputs on a disk that hangs as they are written, and recovers',
    async run({ folder }) {
      const all = pair(folder)
      const playing = each(all, ({ session }) => code(session.playAudio(seconds(60))))
      await sleep(2000)
      setDelay(folder, -1)
      assert.deepEqual(await within(playing, LATE_MS), ['ERR_OUTPUT', 'ERR_OUTPUT'])
      const again = each(all, ({ session }) => code(session.playAudio(seconds(1))))
      assert.deepEqual(await within(again), ['ERR_OUTPUT', 'ERR_OUTPUT'], 'the disk is as it was')
      setDelay(folder, 0)
      await sleep(500)
      await within(each(all, ({ session }) => session.playAudio(seconds(1, HIGH))))
      await within(each(all, ({ session }) => session.close()))
      for (const { file, told, words } of all) {
        const end = ['started', 'failed ERR_OUTPUT', 'started', 'completed', 'disconnected']
        assert.deepEqual(words(), ['connected', 'started', 'error ERR_OUTPUT', 'failed ERR_OUTPUT', ...end])
        const signs = await heard(file)
        assert.match(signs, /^\.*\??#{220,}\??\.{6,}\??\^{19,20}\??$/)
        assertPlace(signs, told)
      }
    }
  },
  {
    ...onSlowDisk,
    what: 'a wav output on a disk that is too slow, and recovers',
    async run({ folder }) {
      const { file, session, told, words } = writer(slow(folder, 'a.wav'), { channels: 2, format: 'f32' })
      const playing = session.playAudio(seconds(60)).catch((error) => error)
      await sleep(1000)
      setDelay(folder, 9000)
      const { code, message } = await within(playing, 2 * LATE_MS)
      assert.equal(code, 'ERR_OUTPUT')
      const expected = 'Expected a disk that takes sound as fast as it is made for output.path but received'
      assert.equal(message, `${expected} ${file}, whose disk is 15 s behind`)
      setDelay(folder, 0)
      await sleep(9500)
      await within(session.playAudio(seconds(1, HIGH)))
      await within(session.close())
      const rest = ['started', 'completed', 'disconnected']
      assert.deepEqual(words(), ['connected', 'started', 'error ERR_OUTPUT', 'failed ERR_OUTPUT', ...rest])
      const signs = await heard(file)
      assert.match(signs, /^\.*\??#{300,}\??\.{100,}\??\^{19,20}\??$/)
      assertPlace(signs, told)
    }
  },
  {
    ...onSlowDisk,
    what: 'two wav outputs on a disk that hangs as they are closed, and recovers',
    async run({ folder }) {
      writeFileSync(slow(folder, 'b.wav'), HIGH)
      const all = pair(folder)
      await each(all, ({ session }) => session.playAudio(seconds(1)))
      setDelay(folder, -1)
      const since = performance.now()
      const errors = await within(each(all, ({ session }) => session.close().catch((error) => error)), LATE_MS)
      assert.ok(performance.now() - since >= PATIENCE_MS - 1000, 'it is waited for')
      for (const [n, rest] of ['', `; what was written is in ${all[1].file}.part`].entries()) {
        const expected = 'Expected a disk that answers within 10 s for output.path but received'
        assert.deepEqual([errors[n].code, errors[n].message], ['ERR_OUTPUT', `${expected} ${all[n].file}, whose disk does not${rest}`])
      }
      setDelay(folder, 0)
      await sleep(1000)
      // The events hold: one file is whole where it always was, the other where it was written.
      assert.match(await heard(all[0].file), /^\??#{19,20}\??$/)
      assert.match(await heard(`${all[1].file}.part`), /^\??#{19,20}\??$/)
      assert.match(await heard(all[1].file), /^\^{20}$/)
    }
  },
  {
    ...onSlowDisk,
    what: 'ten manual sessions on a disk that hangs, beside ten that render',
    async run({ folder }) {
      const hung = Array.from({ length: 10 }, (_, n) => writer(slow(folder, `${n}.wav`), { clock: 'manual' }))
      await each(hung, ({ session }) => session.advance(100))
      setDelay(folder, -1)
      for (const { session } of hung) session.playAudio(seconds(3)).catch(() => {})
      const advanced = each(hung, ({ session }) => code(session.advance(5000)))
      await sleep(200)
      const rendered = Array.from({ length: 10 }, async () => {
        const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
        const playing = session.playAudio(seconds(5))
        await session.advance(6000)
        await playing
        await session.close()
      })
      await within(Promise.all(rendered), PATIENCE_MS - 2000)
      assert.deepEqual(new Set(await within(advanced, LATE_MS)), new Set(['ERR_OUTPUT']))
      const cut = ['connected', 'started', 'error ERR_OUTPUT', 'failed ERR_OUTPUT']
      for (const { words } of hung) assert.deepEqual(words(), cut)
      assert.equal(await within(code(hung[0].session.advance(1000)), 500), 'ERR_OUTPUT')
      setDelay(folder, 0)
      await sleep(500)
      for (const { session } of hung) session.playAudio(seconds(1, HIGH))
      await within(each(hung, ({ session }) => session.advance(2000)))
      await within(each(hung, ({ session }) => session.close()))
      for (const { file, told, words } of hung) {
        assert.deepEqual(words(), [...cut, 'started', 'completed', 'disconnected'])
        const signs = await heard(file)
        assert.match(signs, /^\.\.#{8,}\??\.*\??\^{19,20}\??\.{19,20}$/)
        assertPlace(signs, told)
      }
    }
  },
  {
    ...onSlowDisk,
    what: 'two manual wav outputs lose nothing to a disk that takes 100 ms a call',
    async run({ folder }) {
      setDelay(folder, 100)
      const all = pair(folder, { clock: 'manual' })
      const playing = each(all, ({ session }) => session.playAudio(seconds(8)))
      await within(each(all, ({ session }) => session.advance(8000)), 2 * LATE_MS)
      await playing
      await within(each(all, ({ session }) => session.close()))
      setDelay(folder, 0)
      for (const { file } of all) assert.match(await heard(file), /^#{160}$/)
    }
  },
  {
    ...onSlowDisk,
    what: 'a process whose wav output hangs ends',
    async run({ folder }) {
      setDelay(folder, -1)
      const exit = 'setTimeout(() => process.exit(), 300)'
      for (const end of ['', exit, `session.close().catch(() => {}); ${exit}`]) {
        const script = `
          const { SpeakerSession } = require(${JSON.stringify(root)})
          const { tone } = require(${JSON.stringify(path.join(root, '__test__', 'support', 'wav'))})
          const session = new SpeakerSession({ output: { type: 'wav', path: ${JSON.stringify(slow(folder, 'a.wav'))} } })
          session.playAudio({ audio: tone(440, 200) }).catch(() => {})
          ${end}`
        const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
        try {
          assert.deepEqual(await within(once(child, 'exit'), LATE_MS + 5000), [0, null])
        } finally {
          child.kill('SIGKILL')
        }
      }
    }
  },
  {
    ...mounted('size=1m'),
    what: 'two wav outputs on a disk that is full after five seconds',
    short: true,
    async run({ folder }) {
      const all = pair(folder)
      const ends = await within(each(all, ({ session }) => code(session.playAudio(seconds(20)))), 2 * LATE_MS)
      assert.deepEqual(ends, ['ERR_OUTPUT', 'ERR_OUTPUT'])
      assert.deepEqual(await within(each(all, ({ session }) => code(session.close()))), ['ERR_OUTPUT', 'ERR_OUTPUT'])
      for (const { file, words } of all) {
        assert.deepEqual(words(), ['connected', 'started', 'error ERR_OUTPUT', 'failed ERR_OUTPUT', 'disconnected'])
        // The part that fitted is a playable file.
        assert.match(await heard(file), /^[.?]{0,2}#{80,}\??$/)
      }
    }
  },
  {
    what: 'a process with a wav output is killed',
    needs: ['linux'],
    async run({ folder }) {
      const file = path.join(folder, 'a.wav')
      const script = `
        const { SpeakerSession } = require(${JSON.stringify(root)})
        const { tone } = require(${JSON.stringify(path.join(root, '__test__', 'support', 'wav'))})
        const session = new SpeakerSession({ output: { type: 'wav', path: ${JSON.stringify(file)} } })
        session.on('started', () => console.log('now'))
        session.playAudio({ audio: tone(440, 1000), loop: true })`
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      await within(once(child.stdout, 'data'))
      await sleep(2000)
      child.kill('SIGKILL')
      await once(child, 'exit')
      // All but the last half second, and what a busy disk has not accepted yet.
      assert.match(await heard(file), /^[.?]{0,2}#{16,}\??$/)
      assert.deepEqual(readdirSync(folder).sort(), ['a.wav', 'slow'])
    }
  }
]
